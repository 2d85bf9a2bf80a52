/** Where to crop: the random boxes of torchvision and MAE for training, centred ones for evaluation. */
import type { Size } from "../config/types.ts";
import type { Box } from "../images/image.ts";

/** The random draws a crop needs; `Random` is one, tests replay recorded ones. */
export interface CropDraws {
  /** Uniform on [low, high). */
  uniform(low: number, high: number): number;
  /** Uniform integer on [0, limit). */
  integer(limit: number): number;
}

/** What a random crop may be. */
export interface CropRanges {
  /** Its share of the image's area, `[low, high]`. */
  readonly cropScale: readonly [number, number];
  /** Its width over its height, `[low, high]`. */
  readonly cropRatio: readonly [number, number];
}

/** Rounds half to even, as Python's `round`. */
export function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
}

/** Draws an area share and a log-uniform aspect ratio, in float32 where torch does; the side lengths they come to. */
function drawSides(height: number, width: number, ranges: CropRanges, draws: CropDraws) {
  const area = height * width * draws.uniform(...ranges.cropScale);
  const [low, high] = ranges.cropRatio;
  const logLow = Math.fround(Math.log(Math.fround(low)));
  const logHigh = Math.fround(Math.log(Math.fround(high)));
  const ratio = Math.fround(Math.exp(Math.fround(draws.uniform(logLow, logHigh))));
  return {
    width: roundHalfToEven(Math.sqrt(area * ratio)),
    height: roundHalfToEven(Math.sqrt(area / ratio)),
  };
}

/** A box of the given sides, placed at random. */
function placeBox(
  height: number,
  width: number,
  sides: { height: number; width: number },
  draws: CropDraws,
): Box {
  const top = draws.integer(height - sides.height + 1);
  const left = draws.integer(width - sides.width + 1);
  return { top, left, ...sides };
}

/** The largest centred box with a ratio within the range. */
function centralBox(height: number, width: number, [low, high]: readonly [number, number]): Box {
  let boxHeight = height, boxWidth = width;
  if (width / height < low) boxHeight = Math.max(1, roundHalfToEven(width / low));
  else if (width / height > high) boxWidth = Math.max(1, roundHalfToEven(height * high));
  return {
    top: Math.floor((height - boxHeight) / 2),
    left: Math.floor((width - boxWidth) / 2),
    height: boxHeight,
    width: boxWidth,
  };
}

/**
 * The box of a random resized crop: ten tries for one that fits into the image, then the largest centred one
 * (torchvision `RandomResizedCrop.get_params`; draws in its order: area, ratio, then top and left once it fits).
 */
export function randomResizedCropBox(
  height: number,
  width: number,
  ranges: CropRanges,
  draws: CropDraws,
): Box {
  for (let attempt = 0; attempt < 10; attempt++) {
    const sides = drawSides(height, width, ranges, draws);
    if (sides.width > 0 && sides.width <= width && sides.height > 0 && sides.height <= height) {
      return placeBox(height, width, sides, draws);
    }
  }
  return centralBox(height, width, ranges.cropRatio);
}

/**
 * The box of MAE's crop for linear probing: one try, sides cut to the image (facebookresearch/mae `util/crop.py`, after
 * TensorFlow's). A side that rounds to 0 becomes 1.
 */
export function simpleRandomCropBox(
  height: number,
  width: number,
  ranges: CropRanges,
  draws: CropDraws,
): Box {
  const sides = drawSides(height, width, ranges, draws);
  return placeBox(height, width, {
    height: Math.max(1, Math.min(sides.height, height)),
    width: Math.max(1, Math.min(sides.width, width)),
  }, draws);
}

/** A centred box; half pixels are rounded to even (torchvision `center_crop`). The box must fit into the image. */
export function centerCropBox(height: number, width: number, [boxHeight, boxWidth]: Size): Box {
  return {
    top: roundHalfToEven((height - boxHeight) / 2),
    left: roundHalfToEven((width - boxWidth) / 2),
    height: boxHeight,
    width: boxWidth,
  };
}

/**
 * The size to which an image is resized, keeping its proportions, so that it just covers `cover`. For a square this is
 * torchvision's `Resize(side)`: the short side becomes `side`, the long one is cut to whole pixels.
 */
export function coveringSize(height: number, width: number, [coverHeight, coverWidth]: Size): Size {
  // Compared by products, so that proportions equal to the cover's never leave a side one pixel short.
  return coverHeight * width >= coverWidth * height
    ? [coverHeight, Math.max(coverWidth, Math.trunc(coverHeight * width / height))]
    : [Math.max(coverHeight, Math.trunc(coverWidth * height / width)), coverWidth];
}
