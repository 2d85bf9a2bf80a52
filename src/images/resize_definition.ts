/** Bicubic resizing in plain TypeScript: what `resize_simd.ts` must equal, and what takes over where that cannot. */
import type { Size } from "../config/types.ts";
import type { Box, Image } from "./image.ts";
import { FRACTION_BITS, HALF, makeWeights } from "./resize_weights.ts";

/** Mixes the pixels of each row: box of the image → [box.height, width, channels]. */
function horizontalPass(image: Image, box: Box, width: number): Uint8ClampedArray {
  const { data, channels } = image;
  const { taps, first, values } = makeWeights(box.width, width);
  const out = new Uint8ClampedArray(box.height * width * channels);
  for (let y = 0, to = 0; y < box.height; y++) {
    const from = ((box.top + y) * image.width + box.left) * channels;
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        let sum = HALF;
        let at = from + first[x] * channels + c;
        for (let k = x * taps; k < x * taps + taps; k++) {
          sum += Math.imul(data[at], values[k]);
          at += channels;
        }
        out[to++] = sum >> FRACTION_BITS;
      }
    }
  }
  return out;
}

/** Mixes the rows: [rows, rowLength] → [height, rowLength]. */
function verticalPass(
  data: Uint8ClampedArray,
  rows: number,
  rowLength: number,
  height: number,
  out: Uint8ClampedArray,
): void {
  const { taps, first, values } = makeWeights(rows, height);
  for (let y = 0; y < height; y++) {
    const from = first[y] * rowLength;
    for (let i = 0; i < rowLength; i++) {
      let sum = HALF;
      for (let k = 0; k < taps; k++) sum += Math.imul(data[from + k * rowLength + i], values[y * taps + k]);
      out[y * rowLength + i] = sum >> FRACTION_BITS;
    }
  }
}

/** The definition of `resizeBicubic` (`resize.ts`). */
export function resizeByDefinition(image: Image, box: Box, [height, width]: Size, out: Uint8Array): void {
  const mixed = horizontalPass(image, box, width);
  const clamped = new Uint8ClampedArray(out.buffer, out.byteOffset, out.byteLength);
  verticalPass(mixed, box.height, width * image.channels, height, clamped);
}
