/** What fine-tuning makes of a batch of pixels: erased and mixed patches, and the labels that come of it. */
import { tf } from "../../deps/tfjs.ts";
import type { ErasingConfig, MixConfig, Size } from "../../config/finetune_types.ts";
import type { PixelValues } from "../../config/types.ts";
import { drawErasures } from "../../augment/erasing.ts";
import { drawMix, mixStream, softLabels } from "../../augment/mixing.ts";
import { mixedPatches } from "../../ops/pixels/mixed_patches.ts";
import type { ImageShape } from "../../ops/pixels/normalize_pixels.ts";

/** What is drawn for every batch, and how its pixels are normalised. */
export interface BatchRecipe {
  /** Per channel, for pixels in [0, 1]. */
  readonly mean: readonly number[];
  /** Per channel, for pixels in [0, 1]. */
  readonly std: readonly number[];
  /** Random erasing; null for none. */
  readonly erasing: ErasingConfig | null;
  /** Mixup, CutMix and label smoothing. */
  readonly mix: MixConfig;
  /** Of the draws. */
  readonly seed: number;
}

/** Pixels and labels. */
export interface LabelledBytes {
  /** N·H·W·C bytes or floats, channel fastest. */
  readonly pixels: PixelValues;
  /** N class numbers. */
  readonly labels: ArrayLike<number>;
  /** How many classes there are. */
  readonly classes: number;
  /** Micro-batches since the run's start: with the seed, what is drawn depends on it alone. */
  readonly place: number;
}

/** Sizes of the model that takes the batch; a `Classifier` has them. */
export interface BatchSizes {
  /** Pixels, [height, width]. */
  readonly imageSize: Size;
  /** Pixels of a patch, [height, width]. */
  readonly patchSize: Size;
  /** Values per pixel. */
  readonly channels: number;
}

/**
 * Uploads a batch and draws how it is erased and mixed. The caller disposes what it gives.
 * @returns patches [N, L, p·q·C] and soft labels [N, classes]
 * @throws {RangeError} when bytes or sizes do not fit together
 */
export function finetuneBatch(
  { pixels, labels, classes, place }: LabelledBytes,
  { mean, std, erasing, mix, seed }: BatchRecipe,
  { imageSize, patchSize, channels }: BatchSizes,
): { patches: tf.Tensor3D; labels: tf.Tensor2D } {
  const count = labels.length;
  const erasures = erasing === null
    ? Array<null>(count).fill(null)
    : drawErasures(count, imageSize, erasing, seed, place);
  const drawn = drawMix(mix, imageSize, mixStream(seed, place));
  const shares = softLabels(labels, classes, mix.labelSmoothing, drawn.share);
  const shape: ImageShape = [count, imageSize[0], imageSize[1], channels];
  return {
    patches: mixedPatches({ pixels, shape, mean, std, erasures, mix: drawn }, patchSize),
    labels: tf.tensor2d(shares, [count, classes], "float32"),
  };
}
