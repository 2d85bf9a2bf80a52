/**
 * Bicubic resizing of pixels of any depth, bit-exact with Pillow's `Image.crop(box).resize(size, BICUBIC)` of mode "F": sums in
 * double precision, rounded to single after each pass, and not cut to any range (Pillow, `src/libImaging/Resample.c`).
 */
import type { Size } from "../config/types.ts";
import type { Box, DeepImage } from "./image.ts";
import { type ExactWeights, makeExactWeights } from "./resize_weights.ts";

/** Mixes the pixels of each row: box of the image → [box.height, width, channels]. */
function mixRows(image: DeepImage, box: Box, width: number): Float32Array {
  const weights = makeExactWeights(box.width, width);
  const out = new Float32Array(box.height * width * image.channels);
  if (image.channels === 3) mixRowsOfThree(image, box, width, weights, out);
  else mixRowsOfAny(image, box, width, weights, out);
  return out;
}

function mixRowsOfAny(
  { data, width: imageWidth, channels }: DeepImage,
  box: Box,
  width: number,
  { taps, first, values }: ExactWeights,
  out: Float32Array,
): void {
  const pairs = channels - channels % 2;
  const line = new Float32Array(box.width * channels); // floats of whatever kind the image's values are
  for (let y = 0, to = 0; y < box.height; y++) {
    const from = ((box.top + y) * imageWidth + box.left) * channels;
    line.set(data.subarray(from, from + line.length));
    for (let x = 0; x < width; x++, to += channels) {
      const start = first[x] * channels, end = (x + 1) * taps;
      for (let c = 0; c < pairs; c += 2) {
        let a = 0, b = 0;
        for (let k = x * taps, at = start + c; k < end; k++, at += channels) {
          a += line[at] * values[k];
          b += line[at + 1] * values[k];
        }
        out[to + c] = a;
        out[to + c + 1] = b;
      }
      if (pairs === channels) continue;
      let last = 0;
      for (let k = x * taps, at = start + pairs; k < end; k++, at += channels) last += line[at] * values[k];
      out[to + pairs] = last;
    }
  }
}

/** The same for RGB, whose sums need no memory. */
function mixRowsOfThree(
  { data, width: imageWidth }: DeepImage,
  box: Box,
  width: number,
  { taps, first, values }: ExactWeights,
  out: Float32Array,
): void {
  const line = new Float32Array(box.width * 3);
  for (let y = 0, to = 0; y < box.height; y++) {
    const from = ((box.top + y) * imageWidth + box.left) * 3;
    line.set(data.subarray(from, from + line.length));
    for (let x = 0; x < width; x++, to += 3) {
      let red = 0, green = 0, blue = 0;
      for (let k = x * taps, at = first[x] * 3; k < (x + 1) * taps; k++, at += 3) {
        const weight = values[k];
        red += line[at] * weight;
        green += line[at + 1] * weight;
        blue += line[at + 2] * weight;
      }
      out[to] = red;
      out[to + 1] = green;
      out[to + 2] = blue;
    }
  }
}

/** Mixes the rows, and scales what comes of it: [rows, rowLength] → [height, rowLength]; four columns share each weight. */
function mixColumns(
  data: Float32Array,
  rows: number,
  rowLength: number,
  height: number,
  [low, high]: DeepImage["range"],
  out: Float32Array,
): void {
  const { taps, first, values } = makeExactWeights(rows, height);
  const unit = high - low, quads = rowLength - rowLength % 4;
  for (let y = 0; y < height; y++) {
    const from = first[y] * rowLength, to = y * rowLength, start = y * taps, end = start + taps;
    for (let i = 0; i < quads; i += 4) {
      let a = 0, b = 0, c = 0, d = 0;
      for (let k = start, at = from + i; k < end; k++, at += rowLength) {
        const weight = values[k];
        a += data[at] * weight;
        b += data[at + 1] * weight;
        c += data[at + 2] * weight;
        d += data[at + 3] * weight;
      }
      out[to + i] = (Math.fround(a) - low) / unit;
      out[to + i + 1] = (Math.fround(b) - low) / unit;
      out[to + i + 2] = (Math.fround(c) - low) / unit;
      out[to + i + 3] = (Math.fround(d) - low) / unit;
    }
    for (let i = quads; i < rowLength; i++) {
      let sum = 0;
      for (let k = start, at = from + i; k < end; k++, at += rowLength) sum += data[at] * values[k];
      out[to + i] = (Math.fround(sum) - low) / unit;
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
