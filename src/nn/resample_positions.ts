/** Position embeddings for another grid of patches. */
import type { Size } from "../config/types.ts";

/** The cubic convolution's parameter that PyTorch's `interpolate` uses. */
const a = -0.75;

/** Weights of the four neighbours for a point that lies `t` after the second (Keys 1981). */
function cubicWeights(t: number): number[] {
  const near = (x: number) => ((a + 2) * x - (a + 3)) * x * x + 1;
  const far = (x: number) => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return [far(t + 1), near(t), near(1 - t), far(2 - t)];
}

/**
 * For each place of the new grid the old places that it is made of, with their weights; beyond the border is the border.
 * Places between are in single precision, as PyTorch has them.
 */
function taps(from: number, to: number): { place: number; weight: number }[][] {
  const scale = Math.fround(from / to);
  return Array.from({ length: to }, (_, i) => {
    const centre = Math.fround(Math.fround(scale * (i + 0.5)) - 0.5);
    const before = Math.floor(centre);
    return cubicWeights(centre - before).map((weight, k) => ({
      place: Math.min(from - 1, Math.max(0, before - 1 + k)),
      weight,
    }));
  });
}

/**
 * Resamples a position embedding bicubically (pixel centres aligned, no antialiasing), as the official fine-tuning does
 * for another image size; the class token's row stays. Grids of equal size come out unchanged.
 * @param positions [1 + rows · columns, D], the class token's first
 * @param from patches per column and per row that the positions are of
 * @param to patches per column and per row that they are for
 * @returns [1 + rows · columns, D] of the new grid
 * @throws {RangeError} when the values do not fit the grid
 */
export function resamplePositions(
  positions: Float32Array,
  width: number,
  from: Size,
  to: Size,
): Float32Array {
  if (positions.length !== (1 + from[0] * from[1]) * width) {
    throw new RangeError(
      `${positions.length} values are no position embedding of width ${width} for a grid of ${from[0]}x${
        from[1]
      }`,
    );
  }
  const resampled = new Float32Array((1 + to[0] * to[1]) * width);
  resampled.set(positions.subarray(0, width));
  if (from[0] === to[0] && from[1] === to[1]) {
    resampled.set(positions);
    return resampled;
  }
  const [rows, columns] = [taps(from[0], to[0]), taps(from[1], to[1])];
  rows.forEach((above, y) =>
    columns.forEach((beside, x) => {
      const start = (1 + y * to[1] + x) * width;
      for (let i = 0; i < width; i++) {
        let value = 0;
        for (const row of above) {
          for (const column of beside) {
            const source = (1 + row.place * from[1] + column.place) * width + i;
            value += row.weight * column.weight * positions[source];
          }
        }
        resampled[start + i] = value;
      }
    })
  );
  return resampled;
}
