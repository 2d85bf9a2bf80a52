/**
 * Bicubic resizing of pixels of any depth, bit-exact with Pillow's `Image.crop(box).resize(size, BICUBIC)` of mode "F": sums in
 * double precision, rounded to single after each pass, and not cut to any range (Pillow, `src/libImaging/Resample.c`).
 */
import type { Size } from "../config/types.ts";
import type { Box, DeepImage } from "./image.ts";
import { makeExactWeights } from "./resize_weights.ts";

/** Mixes the pixels of each row: box of the image → [box.height, width, channels]. */
function mixRows({ data, width: imageWidth, channels }: DeepImage, box: Box, width: number): Float32Array {
  const { taps, first, values } = makeExactWeights(box.width, width);
  const out = new Float32Array(box.height * width * channels);
  for (let y = 0, to = 0; y < box.height; y++) {
    const from = ((box.top + y) * imageWidth + box.left) * channels;
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let k = x * taps, at = from + first[x] * channels + c; k < (x + 1) * taps; k++, at += channels) {
          sum += data[at] * values[k];
        }
        out[to++] = sum;
      }
    }
  }
  return out;
}

/** Mixes the rows, and scales what comes of it: [rows, rowLength] → [height, rowLength]. */
function mixColumns(
  data: Float32Array,
  rows: number,
  rowLength: number,
  height: number,
  [low, high]: DeepImage["range"],
  out: Float32Array,
): void {
  const { taps, first, values } = makeExactWeights(rows, height);
  for (let y = 0, to = 0; y < height; y++) {
    const from = first[y] * rowLength;
    for (let i = 0; i < rowLength; i++) {
      let sum = 0;
      for (let k = y * taps, at = from + i; k < (y + 1) * taps; k++, at += rowLength) {
        sum += data[at] * values[k];
      }
      out[to++] = (Math.fround(sum) - low) / (high - low);
    }
  }
}

/**
 * The `box` of an image, resized to `[height, width]` and scaled so that the image's range becomes 0 … 1: pixels
 * [height, width, channels], written to `out` when given. Bicubic resizing overshoots at edges, so values may lie beyond.
 */
export function resizeDeep(
  image: DeepImage,
  box: Box,
  [height, width]: Size,
  out: Float32Array = new Float32Array(height * width * image.channels),
): Float32Array {
  const mixed = mixRows(image, box, width);
  mixColumns(mixed, box.height, width * image.channels, height, image.range, out);
  return out;
}
