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

/** Fixed-point weights that map a line of `from` pixels to `to`. */
function makeWeights(from: number, to: number): Weights {
  const scale = from / to;
  const stretch = Math.max(1, scale);
  const support = KERNEL_RADIUS * stretch;
  const taps = Math.min(from, Math.ceil(support) * 2 + 1);
  const first = new Int32Array(to);
  const values = new Int32Array(to * taps);
  const line = new Float64Array(Math.ceil(support) * 2 + 1);
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const low = Math.max(0, Math.trunc(center - support + 0.5));
    const count = Math.min(from, Math.trunc(center + support + 0.5)) - low;
    let sum = 0;
    for (let k = 0; k < count; k++) {
      line[k] = cubic((k + low - center + 0.5) * (1 / stretch));
      sum += line[k];
    }
    // Zero weights fill up the line; shifting them to the front keeps every read inside the image.
    first[i] = Math.min(low, from - taps);
    const at = i * taps + (low - first[i]);
    for (let k = 0; k < count; k++) {
      const weight = sum === 0 ? line[k] : line[k] / sum;
      values[at + k] = Math.trunc(weight * (1 << FRACTION_BITS) + (weight < 0 ? -0.5 : 0.5));
    }
  }
  return { taps, first, values };
}
