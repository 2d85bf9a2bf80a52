/** Drop path (stochastic depth, Huang et al. 2016) as in timm: which branches of which images are left out. */
import type { KeptImages } from "../ops/branch/kept_images.ts";

/** The rate of each block, rising linearly from 0 in the first to `rate` in the last. */
export function dropPathRates(rate: number, depth: number): number[] {
  return Array.from({ length: depth }, (_, i) => depth === 1 ? 0 : rate * i / (depth - 1));
}

/**
 * The images that go through a branch, which is then multiplied with 1 / (1 − rate).
 * @param uniforms one draw from [0, 1) per image; those below the rate drop
 */
export function keptImages(uniforms: Float32Array, rate: number): KeptImages {
  const share = Math.fround(1 - rate);
  const images = Array.from(uniforms.keys()).filter((image) => Math.fround(share + uniforms[image]) >= 1);
  return { images, scale: 1 / (1 - rate) };
}
