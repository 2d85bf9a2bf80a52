/**
 * Weights of bicubic resizing as Pillow has them: the kernel of Keys (1981) with a = −0.5, widened when shrinking
 * (antialiasing), in 22-bit fixed point (Pillow, `src/libImaging/Resample.c`).
 */

/** Fraction bits of a weight. */
export const FRACTION_BITS = 22;
/** What rounds a sum of weighted bytes to the nearest one. */
export const HALF = 1 << (FRACTION_BITS - 1);
const KERNEL_RADIUS = 2;

/** Which input pixels make an output pixel, and how much each counts. */
export interface Weights {
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

/** Which input pixels make an output pixel, and how much each counts, before rounding. */
export interface ExactWeights extends Omit<Weights, "values"> {
  /** `taps` weights for each output pixel. */
  readonly values: Float64Array;
}

/** Weights that map a line of `from` pixels to `to`. */
export function makeExactWeights(from: number, to: number): ExactWeights {
  const scale = from / to;
  const stretch = Math.max(1, scale);
  const support = KERNEL_RADIUS * stretch;
  let taps = 0;
  for (let i = 0; i < to; i++) taps = Math.max(taps, reach(i, from, scale, support).count);
  const first = new Int32Array(to);
  const values = new Float64Array(to * taps);
  for (let i = 0; i < to; i++) {
    const { low, count } = reach(i, from, scale, support);
    // A line of fewer pixels is filled up with zero weights, in front where needed to stay inside the image.
    first[i] = Math.min(low, from - taps);
    const at = i * taps + low - first[i];
    let sum = 0;
    for (let k = 0; k < count; k++) {
      values[at + k] = cubic((k + low - (i + 0.5) * scale + 0.5) * (1 / stretch));
      sum += values[at + k];
    }
    for (let k = 0; k < count; k++) values[at + k] /= sum;
  }
  return { taps, first, values };
}

/** Fixed-point weights that map a line of `from` pixels to `to`. */
export function makeWeights(from: number, to: number): Weights {
  const { taps, first, values } = makeExactWeights(from, to);
  const fixed = new Int32Array(values.length);
  for (let i = 0; i < fixed.length; i++) {
    fixed[i] = Math.trunc(values[i] * (1 << FRACTION_BITS) + (values[i] < 0 ? -0.5 : 0.5));
  }
  return { taps, first, values: fixed };
}
