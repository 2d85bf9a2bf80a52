/** Draws from distributions beyond the uniform and the normal one. */
import type { Random } from "./random.ts";

/** Gamma with the given shape, above 0, and scale 1 (Marsaglia and Tsang 2000). */
export function drawGamma(random: Random, shape: number): number {
  // Below 1 by way of shape + 1 (ibid., section 6).
  if (shape < 1) return drawGamma(random, shape + 1) * (1 - random.uniform()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}

/** Beta with the given parameters, above 0: a number in [0, 1]. */
export function drawBeta(random: Random, a: number, b: number): number {
  const x = drawGamma(random, a), y = drawGamma(random, b);
  // Both underflow only for parameters near 0, where nearly all draws are 0 or 1.
  return x + y > 0 ? x / (x + y) : random.integer(2);
}
