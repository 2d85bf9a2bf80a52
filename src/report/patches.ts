/** Pictures with patches hidden or put back, for the reconstruction figure. */

import type { Size } from "../config/types.ts";

/** Colour of removed patches: light gray, as in figure 2 of the paper. */
const REMOVED_GRAY = 206;

/**
 * A copy of `visible` where the pixels of removed patches come from `hidden`.
 * `[H, W, 3]` pixels, mask `[L]` with 1 for removed, patches in rows from the top left.
 */
function composePatches(
  visible: Uint8Array,
  hidden: (at: number) => number,
  mask: ArrayLike<number>,
  [height, width]: Size,
  [patchHeight, patchWidth]: Size,
): Uint8Array {
  const [rows, columns] = [height / patchHeight, width / patchWidth];
  if (visible.length !== height * width * 3 || mask.length !== rows * columns) {
    throw new RangeError(
      `Picture of ${visible.length} bytes and mask of ${mask.length} do not match ${height} x ${width} pixels ` +
        `in patches of ${patchHeight} x ${patchWidth}`,
    );
  }
  const result = visible.slice();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const patch = Math.floor(y / patchHeight) * columns + Math.floor(x / patchWidth);
      if (mask[patch] === 0) continue;
      for (let at = (y * width + x) * 3, end = at + 3; at < end; at++) result[at] = hidden(at);
    }
  }
  return result;
}

/**
 * The picture with its removed patches in light gray.
 *
 * @param original `[H, W, 3]` RGB
 * @param mask `[L]`, 1 is removed, 0 is visible
 * @param imageSize height and width in pixels, multiples of the patch's
 * @param patchSize height and width of a patch
 * @returns `[H, W, 3]`, a new array
 * @throws {RangeError} where the sizes do not match
 */
export function maskedPicture(
  original: Uint8Array,
  mask: ArrayLike<number>,
  imageSize: Size,
  patchSize: Size,
): Uint8Array {
  return composePatches(original, () => REMOVED_GRAY, mask, imageSize, patchSize);
}

/**
 * The reconstruction with the visible patches of the original pasted over it.
 *
 * @param original `[H, W, 3]` RGB
 * @param reconstruction `[H, W, 3]` RGB
 * @param mask `[L]`, 1 is removed, 0 is visible
 * @param imageSize height and width in pixels, multiples of the patch's
 * @param patchSize height and width of a patch
 * @returns `[H, W, 3]`, a new array
 * @throws {RangeError} where the sizes do not match
 */
export function pastePicture(
  original: Uint8Array,
  reconstruction: Uint8Array,
  mask: ArrayLike<number>,
  imageSize: Size,
  patchSize: Size,
): Uint8Array {
  if (reconstruction.length !== original.length) {
    throw new RangeError(
      `Reconstruction has ${reconstruction.length} bytes, the original ${original.length}`,
    );
  }
  return composePatches(original, (at) => reconstruction[at], mask, imageSize, patchSize);
}
