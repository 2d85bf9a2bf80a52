/** Drop path (stochastic depth, Huang et al. 2016) as in timm: which branches of which images are left out. */

/** The rate of each block, rising linearly from 0 in the first to `rate` in the last. */
export function dropPathRates(rate: number, depth: number): number[] {
  return Array.from({ length: depth }, (_, i) => depth === 1 ? 0 : rate * i / (depth - 1));
}

/**
 * What each image's branch is multiplied with: 0 where it is dropped, else 1 / (1 − rate).
 * @param uniforms one draw from [0, 1) per image; those below the rate drop
 */
export function dropPathScales(uniforms: Float32Array, rate: number): Float32Array {
  const kept = Math.fround(1 - rate);
  return uniforms.map((draw) => Math.fround(kept + draw) >= 1 ? 1 / (1 - rate) : 0);
}
