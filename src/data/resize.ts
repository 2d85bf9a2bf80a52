/**
 * Bicubic resizing, bit-exact with Pillow's `Image.crop(box).resize(size, BICUBIC)` for 8-bit channels: weights in 22-bit
 * fixed point (`resize_weights.ts`), a horizontal pass rounded to 8 bits and then a vertical one.
 */
import type { Size } from "../config/types.ts";
import type { Box, Image } from "./image.ts";
import { resizeByDefinition } from "./resize_definition.ts";
import { resizeBySimd } from "./resize_simd.ts";

/**
 * The `box` of an image, resized to `[height, width]`: pixels [height, width, channels], written to `out` when given.
 * As in Pillow, the crop comes first: pixels outside the box have no influence.
 */
export function resizeBicubic(
  image: Image,
  box: Box,
  size: Size,
  out: Uint8Array = new Uint8Array(size[0] * size[1] * image.channels),
): Uint8Array {
  if (!resizeBySimd(image, box, size, image.channels, out)) resizeByDefinition(image, box, size, out);
  return out;
}
