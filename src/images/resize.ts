/**
 * Bicubic resizing, bit-exact with Pillow's `Image.crop(box).resize(size, BICUBIC)` for 8-bit channels: weights in 22-bit
 * fixed point (`resize_weights.ts`), a horizontal pass rounded to 8 bits and then a vertical one.
 */
import type { PixelValues, Size } from "../config/types.ts";
import type { Box, Image } from "./image.ts";
import { resizeByDefinition } from "./resize_definition.ts";
import { resizeBySimd } from "./resize_simd.ts";

/** Mirrors pixels [height, width, channels] left to right, in place. */
export function flipHorizontally(pixels: PixelValues, [height, width]: Size, channels: number): void {
  const rowLength = width * channels;
  for (let y = 0; y < height; y++) {
    for (let left = 0, right = width - 1; left < right; left++, right--) {
      for (let c = 0; c < channels; c++) {
        const a = y * rowLength + left * channels + c, b = y * rowLength + right * channels + c;
        const held = pixels[a];
        pixels[a] = pixels[b];
        pixels[b] = held;
      }
    }
  }
}

/**
 * The `box` of an image, resized to `[height, width]` and, if so, mirrored left to right: pixels [height, width, channels], written to `out` when given.
 * As in Pillow, the crop comes first: pixels outside the box have no influence.
 */
export function resizeBicubic(
  image: Image,
  box: Box,
  size: Size,
  out: Uint8Array = new Uint8Array(size[0] * size[1] * image.channels),
  mirrored = false,
): Uint8Array {
  if (!resizeBySimd(image, box, size, image.channels, out, mirrored)) {
    resizeByDefinition(image, box, size, out);
    if (mirrored) flipHorizontally(out, size, image.channels);
  }
  return out;
}
