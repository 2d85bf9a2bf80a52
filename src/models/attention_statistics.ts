/**
 * Where the heads of a block look. On the host: it takes a moment an image, every row of weights is gone before the next, and
 * sums are in double precision.
 */
import type { Size } from "../config/types.ts";

/** Where the heads of one block look, for one image. */
export interface BlockAttention {
  /** [heads][1 + L]: how the class token's attention is spread, its own share first; each row sums to 1. */
  readonly classToken: readonly Float32Array[];
  /** [heads]: entropy of those rows, in nats; at most ln(1 + L). */
  readonly classEntropy: readonly number[];
  /** [heads]: entropy of a patch token's attention, in nats, mean over patches. */
  readonly entropy: readonly number[];
  /**
   * [heads]: mean attention distance in pixels, mean over patches: how far the patches that a patch looks at lie from it,
   * centre to centre, weighted by its attention to each, of which the class token's share is left out (Dosovitskiy et al.
   * 2020, appendix D.7).
   */
  readonly distance: readonly number[];
}

/** What a block's attention is made of. */
export interface AttentionLayout {
  /** Attention heads. */
  readonly heads: number;
  /** Patches per column and per row. */
  readonly grid: Size;
  /** Height and width of a patch in pixels. */
  readonly patchSize: Size;
}

/**
 * Calls back with softmax(q kᵀ / √d) of every query of every head, in order.
 * @param packed [T, 3 · heads · d], ordered query, key, value, then head
 * @param visit is given a row of T weights, which the next call overwrites, and its entropy in nats
 * @throws {RangeError} when the values are not T such rows
 */
export function eachAttentionRow(
  packed: Float32Array,
  tokens: number,
  heads: number,
  visit: (head: number, query: number, row: Float64Array, entropy: number) => void,
): void {
  const size = packed.length / (3 * tokens * heads);
  if (!Number.isInteger(size)) {
    throw new RangeError(
      `${packed.length} values are no query, key and value of ${heads} heads for ${tokens} tokens`,
    );
  }
  const [width, row] = [heads * size, new Float64Array(tokens)];
  for (let head = 0; head < heads; head++) {
    const keys = new Float64Array(tokens * size);
    const query = new Float64Array(size);
    const load = (to: Float64Array, place: number, token: number, part: number, scale: number) => {
      const from = (3 * token + part) * width + head * size;
      for (let i = 0; i < size; i++) to[place + i] = packed[from + i] * scale;
    };
    for (let token = 0; token < tokens; token++) load(keys, token * size, token, 1, 1);
    for (let token = 0; token < tokens; token++) {
      load(query, 0, token, 0, 1 / Math.sqrt(size));
      multiply(keys, query, row);
      visit(head, token, row, softmax(row));
    }
  }
}

/** Products of each row of a matrix with a vector. */
function multiply(rows: Float64Array, vector: Float64Array, out: Float64Array): void {
  for (let row = 0, at = 0; row < out.length; row++) {
    let sum = 0;
    for (let i = 0; i < vector.length; i++, at++) sum += rows[at] * vector[i];
    out[row] = sum;
  }
}

/** Softmax in place. Returns the entropy in nats: ln Σ e^s − Σ p s. */
function softmax(row: Float64Array): number {
  let largest = -Infinity;
  for (const score of row) largest = Math.max(largest, score);
  let [total, weighted] = [0, 0];
  for (let i = 0; i < row.length; i++) {
    const score = row[i] - largest;
    row[i] = Math.exp(score);
    total += row[i];
    weighted += row[i] * score;
  }
  for (let i = 0; i < row.length; i++) row[i] /= total;
  return Math.log(total) - weighted / total;
}

/**
 * Statistics of one block's attention for one image.
 * @param packed [1 + L, 3 · heads · d], the packed query-key-value product, class token first
 * @throws {RangeError} when it does not fit the layout
 */
export function attentionStatistics(
  packed: Float32Array,
  { heads, grid, patchSize }: AttentionLayout,
): BlockAttention {
  const patches = grid[0] * grid[1];
  const pixels = distances(grid, patchSize);
  const classToken: Float32Array[] = [];
  const classEntropy: number[] = [];
  const [entropies, far] = [new Float64Array(heads), new Float64Array(heads)];
  eachAttentionRow(packed, 1 + patches, heads, (head, query, row, entropy) => {
    if (query === 0) {
      classToken.push(Float32Array.from(row));
      classEntropy.push(entropy);
      return;
    }
    entropies[head] += entropy / patches;
    far[head] += meanDistance(row, query - 1, grid, pixels) / patches;
  });
  return { classToken, classEntropy, entropy: Array.from(entropies), distance: Array.from(far) };
}

/** How far the patches lie that a patch looks at; 0 where the class token takes everything. */
function meanDistance(row: Float64Array, patch: number, [rows, columns]: Size, pixels: Float64Array): number {
  const [own, across] = [Math.floor(patch / columns), patch % columns];
  let [sum, total] = [0, 0];
  for (let y = 0, at = 1; y < rows; y++) {
    const from = Math.abs(y - own) * columns;
    for (let x = 0; x < columns; x++, at++) {
      sum += row[at] * pixels[from + Math.abs(x - across)];
      total += row[at];
    }
  }
  return total > 0 ? sum / total : 0;
}

/** [rows, columns]: pixels between the centres of patches so many rows and columns apart. */
function distances([rows, columns]: Size, [height, width]: Size): Float64Array {
  return Float64Array.from(
    { length: rows * columns },
    (_, at) => Math.hypot(Math.floor(at / columns) * height, at % columns * width),
  );
}
