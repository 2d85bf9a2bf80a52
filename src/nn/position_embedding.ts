/** Fixed two-dimensional sine-cosine position embeddings, as in the official code. */
import type { Size } from "../config/types.ts";

/**
 * One row per position. Each half of a row is [sin | cos] of one coordinate times 10000^(−i / (D/4)); the first half
 * encodes the column, the second the row: checkpoints depend on that order. Computed in float64, cast at the end.
 * @param width D, a multiple of 4
 * @param grid patches per column and row of the image
 * @param classToken true puts a row of zeros first
 * @returns [(1 +) rows · columns, D]
 * @throws {RangeError} when D is no multiple of 4
 */
export function sineCosinePositions(width: number, [rows, columns]: Size, classToken: boolean): Float64Array {
  if (width % 4 !== 0) {
    throw new RangeError(`A sine-cosine position embedding needs a width divisible by 4, not ${width}`);
  }
  const quarter = width / 4;
  const skip = classToken ? 1 : 0;
  const table = new Float64Array((skip + rows * columns) * width);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const start = (skip + row * columns + column) * width;
      for (let i = 0; i < quarter; i++) {
        const frequency = 1 / 10000 ** (i / quarter);
        table[start + i] = Math.sin(column * frequency);
        table[start + quarter + i] = Math.cos(column * frequency);
        table[start + 2 * quarter + i] = Math.sin(row * frequency);
        table[start + 3 * quarter + i] = Math.cos(row * frequency);
      }
    }
  }
  return table;
}
