/** What is drawn for a batch before it is mixed, and the labels that come of it (timm's `Mixup`, batch mode). */
import type { MixConfig, Size } from "../config/finetune_types.ts";
import { type Mix, noMix, type PixelBox } from "../ops/pixels/pixel_changes.ts";
import { drawBeta } from "../util/distributions.ts";
import { Random, Stream } from "../util/random.ts";

/** The stream that mixes a micro-batch, counted from the start of the run. */
export function mixStream(seed: number, microBatch: number): Random {
  return new Random(seed, Stream.mix, microBatch);
}

/** Rows and columns that CutMix takes from the partner at a share, before the rectangle is cut to the image. */
export function cutSides([height, width]: Size, share: number): Size {
  const ratio = Math.sqrt(1 - share);
  return [Math.trunc(height * ratio), Math.trunc(width * ratio)];
}

/** CutMix's rectangle around a pixel, cut to the image. Odd sides lose a pixel, as in timm. */
export function cutBox(size: Size, share: number, centerY: number, centerX: number): PixelBox {
  const [height, width] = cutSides(size, share).map((side) => Math.floor(side / 2));
  const top = Math.max(0, centerY - height), left = Math.max(0, centerX - width);
  return {
    top,
    left,
    height: Math.min(size[0], centerY + height) - top,
    width: Math.min(size[1], centerX + width) - left,
  };
}

/** How much of an image is left beside CutMix's rectangle. */
export function shareBeside([height, width]: Size, box: PixelBox): number {
  return 1 - box.height * box.width / (height * width);
}

/**
 * Draws how a batch is mixed: whether at all, by which of the two where both are on, the share, and CutMix's place, whose share
 * is then corrected for what the border cut off.
 */
export function drawMix(config: MixConfig, size: Size, random: Random): Mix {
  const { mixup, cutmix, probability, switchProbability } = config;
  if ((mixup === 0 && cutmix === 0) || random.uniform() >= probability) return noMix;
  const isCut = cutmix > 0 && (mixup === 0 || random.uniform() < switchProbability);
  const parameter = isCut ? cutmix : mixup;
  const share = drawBeta(random, parameter, parameter);
  if (!isCut) return { share, box: null };
  const box = cutBox(size, share, random.integer(size[0]), random.integer(size[1]));
  return { share: shareBeside(size, box), box };
}

/**
 * Labels of a mixed batch: smoothed one-hot rows, each mixed with that of image N − 1 − n.
 * @param labels N class numbers below `classes`
 * @returns [N, classes], each row adding up to 1
 */
export function softLabels(
  labels: ArrayLike<number>,
  classes: number,
  smoothing: number,
  share: number,
): Float32Array {
  const off = smoothing / classes;
  const low = Math.fround(off), high = Math.fround(1 - smoothing + off);
  const own = Math.fround(share), others = Math.fround(1 - share);
  const rows = new Float32Array(labels.length * classes);
  for (let n = 0; n < labels.length; n++) {
    const label = labels[n], partner = labels[labels.length - 1 - n];
    for (let k = 0; k < classes; k++) {
      const first = Math.fround((k === label ? high : low) * own);
      rows[n * classes + k] = first + Math.fround((k === partner ? high : low) * others);
    }
  }
  return rows;
}
