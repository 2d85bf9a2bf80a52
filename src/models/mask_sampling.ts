/**
 * Mask samplings (paper figure 6): random, block-wise, grid-wise. Each only shapes the noise that patches are ordered
 * by, so that the model keeps exactly the same number of patches whatever the sampling.
 */
import type { MaskConfig, Size } from "../config/types.ts";
import { keptCount } from "../ops/tokens/masking.ts";
import type { Random } from "../util/random.ts";

/**
 * Noise for a batch.
 * @param mask ratio and sampling
 * @param grid patches per column and row of an image
 * @returns [images, L] values; patches are kept in ascending order
 */
export function sampleNoise(mask: MaskConfig, grid: Size, images: number, random: Random): Float32Array {
  const length = grid[0] * grid[1];
  const noise = random.uniformArray(images * length);
  if (mask.sampling === "random") return noise;
  for (let n = 0; n < images; n++) {
    const own = noise.subarray(n * length, (n + 1) * length);
    if (mask.sampling === "block") removeBlocks(own, grid, length - keptCount(length, mask.ratio), random);
    else keepGrid(own, grid);
  }
  return noise;
}

/** Keeps one patch of every two by two: those get the lowest noise. */
function keepGrid(noise: Float32Array, [rows, columns]: Size): void {
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (row % 2 !== 0 || column % 2 !== 0) noise[row * columns + column] += 1;
    }
  }
}

const smallestBlock = 16; // patches, as BEiT's block-wise masking (Bao et al. 2021, algorithm 1)
const narrowestAspect = 0.3;

/** Removes random rectangles until enough patches are gone; the last rectangle is cut short at random. */
function removeBlocks(noise: Float32Array, [rows, columns]: Size, wanted: number, random: Random): void {
  const removed = new Uint8Array(rows * columns);
  let count = 0;
  for (let attempt = 0; count < wanted && attempt < 1000; attempt++) {
    const area = random.uniform(Math.min(smallestBlock, wanted), Math.max(smallestBlock, wanted - count) + 1);
    const aspect = Math.exp(random.uniform(Math.log(narrowestAspect), -Math.log(narrowestAspect)));
    const height = Math.min(rows, Math.max(1, Math.round(Math.sqrt(area * aspect))));
    const width = Math.min(columns, Math.max(1, Math.round(Math.sqrt(area / aspect))));
    const top = random.integer(rows - height + 1);
    const left = random.integer(columns - width + 1);
    for (let row = top; row < top + height; row++) {
      for (let column = left; column < left + width; column++) {
        const patch = row * columns + column;
        count += 1 - removed[patch];
        removed[patch] = 1;
      }
    }
  }
  // Noise above 1 is removed first. A surplus comes back among the kept, patches of blocks with the lowest noise first.
  for (let patch = 0; patch < noise.length; patch++) noise[patch] += removed[patch];
}
