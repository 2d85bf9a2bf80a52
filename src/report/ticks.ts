/** Round numbers for the axes of a chart. */

/** Marks at equal distances, with the text of each. */
export interface Ticks {
  /** First mark, at or below the smallest value. */
  readonly low: number;
  /** Last mark, at or above the largest value. */
  readonly high: number;
  /** Every mark, ascending. */
  readonly values: readonly number[];
  /** What stands beside each mark. */
  readonly labels: readonly string[];
}

/** The smallest 1, 2 or 5 times a power of ten that is not below `least`, but for rounding. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [1, 2, 5, 10].find((f) => f * power >= least * (1 - 1e-9)) ?? 10;
  return factor * power;
}

/** The power of ten of a positive number's first digit; the summand keeps 0.1 + 0.2 from counting as more than 0.3. */
const exponentOf = (value: number): number => Math.floor(Math.log10(value) + 1e-9);

/** A number in as many digits as its step needs; thousands as k, millions as M, very small or large with an exponent. */
function label(value: number, step: number): string {
  if (value === 0) return "0";
  const size = Math.max(Math.abs(value), step);
  if (size >= 1e9 || step < 1e-4) {
    const digits = Math.max(0, exponentOf(Math.abs(value)) - exponentOf(step));
    return value.toExponential(Math.min(digits, 12)).replace("e+", "e");
  }
  const [unit, suffix] = size >= 1e6 && step >= 1e4
    ? [1e6, "M"]
    : size >= 1e4 && step >= 100
    ? [1e3, "k"]
    : [1, ""];
  return `${(value / unit).toFixed(Math.max(0, -exponentOf(step / unit)))}${suffix}`;
}

/**
 * Ticks that enclose the range from `low` to `high`, about `count` of them, at steps of 1, 2 or 5 times a power of ten.
 * An empty range is widened; with `wholeSteps` no step is below 1.
 */
export function niceTicks(low: number, high: number, count: number, wholeSteps = false): Ticks {
  if (!(high - low > Math.max(Math.abs(low), Math.abs(high)) * 1e-9)) {
    const pad = Math.abs(low) * 0.1 || 1;
    [low, high] = [low - pad, high + pad];
  }
  const step = Math.max(roundStep((high - low) / count), wholeSteps ? 1 : 0);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  const values = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  return { low: first * step, high: last * step, values, labels: values.map((value) => label(value, step)) };
}
