/**
 * Bicubic resizing, bit-exact with Pillow's `Image.crop(box).resize(size, BICUBIC)` for 8-bit channels: the kernel of
 * Keys (1981) with a = −0.5, widened when shrinking (antialiasing), weights in 22-bit fixed point, a horizontal pass
 * rounded to 8 bits and then a vertical one (Pillow, `src/libImaging/Resample.c`).
 */
import type { Size } from "../config/types.ts";
import type { Box, Image } from "./image.ts";

const FRACTION_BITS = 22;
const HALF = 1 << (FRACTION_BITS - 1);
const KERNEL_RADIUS = 2;

/** Which input pixels make an output pixel, and how much each counts. */
interface Weights {
  /** Input pixels considered for each output pixel. */
  readonly taps: number;
  /** First input pixel of each output pixel, so that `first + taps` never leaves the line. */
  readonly first: Int32Array;
  /** `taps` fixed-point weights for each output pixel. */
  readonly values: Int32Array;
}

function cubic(x: number): number {
  const a = -0.5;
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return (((d - 5) * d + 8) * d - 4) * a;
  return 0;
}

/** The input pixels `[low, low + count)` within reach of output pixel `i`. */
function reach(i: number, from: number, scale: number, support: number): { low: number; count: number } {
  const center = (i + 0.5) * scale;
  const low = Math.max(0, Math.trunc(center - support + 0.5));
  return { low, count: Math.min(from, Math.trunc(center + support + 0.5)) - low };
}

/** Fixed-point weights that map a line of `from` pixels to `to`. */
function makeWeights(from: number, to: number): Weights {
  const scale = from / to;
  const stretch = Math.max(1, scale);
  const support = KERNEL_RADIUS * stretch;
  let taps = 0;
  for (let i = 0; i < to; i++) taps = Math.max(taps, reach(i, from, scale, support).count);
  const first = new Int32Array(to);
  const values = new Int32Array(to * taps);
  const line = new Float64Array(taps);
  for (let i = 0; i < to; i++) {
    const { low, count } = reach(i, from, scale, support);
    let sum = 0;
    for (let k = 0; k < count; k++) {
      line[k] = cubic((k + low - (i + 0.5) * scale + 0.5) * (1 / stretch));
      sum += line[k];
    }
    // A line of fewer pixels is filled up with zero weights, in front where needed to stay inside the image.
    first[i] = Math.min(low, from - taps);
    const at = i * taps + low - first[i];
    for (let k = 0; k < count; k++) {
      const weight = line[k] / sum;
      values[at + k] = Math.trunc(weight * (1 << FRACTION_BITS) + (weight < 0 ? -0.5 : 0.5));
    }
  }
  return { taps, first, values };
}

/** Mixes the pixels of each row: box of the image → [box.height, width, channels]. */
function horizontalPass(image: Image, box: Box, width: number): Uint8ClampedArray {
  const weights = makeWeights(box.width, width);
  const out = new Uint8ClampedArray(box.height * width * image.channels);
  if (image.channels === 3) mixRowsOfThree(image, box, width, weights, out);
  else mixRows(image, box, width, weights, out);
  return out;
}

/** The horizontal pass for any channel count. */
function mixRows(image: Image, box: Box, width: number, weights: Weights, out: Uint8ClampedArray): void {
  const { data, channels } = image;
  const { taps, first, values } = weights;
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
}

/** The horizontal pass for RGB, where a data worker spends much of its time. */
function mixRowsOfThree(
  image: Image,
  box: Box,
  width: number,
  weights: Weights,
  out: Uint8ClampedArray,
): void {
  const { data } = image;
  const { taps, first, values } = weights;
  for (let y = 0, to = 0; y < box.height; y++) {
    const from = ((box.top + y) * image.width + box.left) * 3;
    for (let x = 0; x < width; x++, to += 3) {
      let red = HALF, green = HALF, blue = HALF;
      let at = from + first[x] * 3;
      for (let k = x * taps; k < x * taps + taps; k++) {
        const weight = values[k];
        red += Math.imul(data[at], weight);
        green += Math.imul(data[at + 1], weight);
        blue += Math.imul(data[at + 2], weight);
        at += 3;
      }
      out[to] = red >> FRACTION_BITS;
      out[to + 1] = green >> FRACTION_BITS;
      out[to + 2] = blue >> FRACTION_BITS;
    }
  }
}

/** Mixes the rows: [rows, rowLength] → [height, rowLength]; four columns at a time share each weight. */
function verticalPass(
  data: Uint8ClampedArray,
  rows: number,
  rowLength: number,
  height: number,
  out: Uint8ClampedArray,
): void {
  const { taps, first, values } = makeWeights(rows, height);
  const quads = rowLength - rowLength % 4;
  for (let y = 0; y < height; y++) {
    const from = first[y] * rowLength, to = y * rowLength;
    for (let i = 0; i < quads; i += 4) {
      let a = HALF, b = HALF, c = HALF, d = HALF;
      for (let k = y * taps, at = from + i; k < y * taps + taps; k++, at += rowLength) {
        const weight = values[k];
        a += Math.imul(data[at], weight);
        b += Math.imul(data[at + 1], weight);
        c += Math.imul(data[at + 2], weight);
        d += Math.imul(data[at + 3], weight);
      }
      out[to + i] = a >> FRACTION_BITS;
      out[to + i + 1] = b >> FRACTION_BITS;
      out[to + i + 2] = c >> FRACTION_BITS;
      out[to + i + 3] = d >> FRACTION_BITS;
    }
    for (let i = quads; i < rowLength; i++) {
      let sum = HALF;
      for (let k = 0; k < taps; k++) sum += Math.imul(data[from + k * rowLength + i], values[y * taps + k]);
      out[to + i] = sum >> FRACTION_BITS;
    }
  }
}

/**
 * The `box` of an image, resized to `[height, width]`: pixels [height, width, channels], written to `out` when given.
 * As in Pillow, the crop comes first: pixels outside the box have no influence.
 */
export function resizeBicubic(
  image: Image,
  box: Box,
  [height, width]: Size,
  out: Uint8Array = new Uint8Array(height * width * image.channels),
): Uint8Array {
  const mixed = horizontalPass(image, box, width);
  const clamped = new Uint8ClampedArray(out.buffer, out.byteOffset, out.byteLength);
  verticalPass(mixed, box.height, width * image.channels, height, clamped);
  return out;
}
