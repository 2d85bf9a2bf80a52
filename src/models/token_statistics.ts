/** Numbers about the tokens of one image that tell whether an encoder still tells its patches apart. */
import { EigenvalueDecomposition, Matrix } from "../deps/matrix.ts";

/** Statistics of the tokens of one image. NaN where there is no such number: one patch has no pairs. */
export interface TokenStatistics {
  /** Effective rank of the patch tokens, from 1 (all along one direction) to min(L, D). */
  readonly effectiveRank: number;
  /** Mean cosine similarity of two different patch tokens. */
  readonly patchCosine: number;
  /** Mean cosine similarity of a patch token and the class token. */
  readonly classCosine: number;
  /** Mean Euclidean norm of the patch tokens. */
  readonly patchNorm: number;
  /** Euclidean norm of the class token. */
  readonly classNorm: number;
}

/**
 * Statistics of one image's tokens.
 * @param tokens [1 + L, D], class token first; L from 1
 * @param width D
 * @throws {RangeError} when the values are no whole number of rows, or fewer than two
 */
export function tokenStatistics(tokens: Float32Array, width: number): TokenStatistics {
  const rows = tokens.length / width;
  if (!Number.isInteger(rows) || rows < 2) {
    throw new RangeError(
      `${tokens.length} values are no class token and patch tokens of ${width} values each`,
    );
  }
  const units = new Float64Array(tokens.length); // of length 1, or 0
  const norms = Array.from({ length: rows }, (_, row) => {
    const values = tokens.subarray(row * width, (row + 1) * width);
    const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
    values.forEach((value, i) => units[row * width + i] = norm === 0 ? 0 : value / norm);
    return norm;
  });
  const patches = rows - 1;
  const sum = new Float64Array(width); // of the patches' unit vectors
  let itself = 0;
  for (let at = width; at < units.length; at++) {
    sum[at % width] += units[at];
    itself += units[at] * units[at];
  }
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((total, value, i) => total + value * b[i], 0);
  return {
    effectiveRank: effectiveRank(tokens.subarray(width), width),
    // Of all pairs, those of a token with itself are left out.
    patchCosine: patches === 1 ? NaN : (dot(sum, sum) - itself) / (patches * (patches - 1)),
    classCosine: dot(units.subarray(0, width), sum) / patches,
    patchNorm: norms.slice(1).reduce((total, norm) => total + norm, 0) / patches,
    classNorm: norms[0],
  };
}

/**
 * The effective rank of a matrix (Roy & Vetterli 2007, "The effective rank: a measure of effective dimensionality"): e to the
 * entropy of its singular values, divided by their sum. 0 for a matrix of zeros, NaN where a value is not finite.
 *
 * Singular values are roots of the eigenvalues of the smaller of X Xᵀ and Xᵀ X, in double precision: those below 1e-7 of the
 * largest, which single precision does not hold either, count as 0.
 * @param values [rows, columns]
 */
export function effectiveRank(values: Float32Array, columns: number): number {
  if (!values.every(Number.isFinite)) return NaN;
  const gram = smallerGram(values, columns);
  const { realEigenvalues } = new EigenvalueDecomposition(gram, { assumeSymmetric: true });
  const largest = Math.max(...realEigenvalues);
  if (!(largest > 0)) return 0;
  const singular = realEigenvalues.filter((value) => value > 1e-14 * largest).map(Math.sqrt);
  const total = singular.reduce((sum, value) => sum + value, 0);
  const entropy = singular.reduce((sum, value) => sum - value / total * Math.log(value / total), 0);
  return Math.exp(entropy);
}

/** X Xᵀ or Xᵀ X, whichever has fewer rows; X is scaled so that its largest value is 1. */
function smallerGram(values: Float32Array, columns: number): Matrix {
  const rows = values.length / columns;
  const scale = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) || 1;
  const [size, length] = rows <= columns ? [rows, columns] : [columns, rows];
  // Vectors whose products are the matrix, one behind the other.
  const vectors = new Float64Array(values.length);
  values.forEach((value, at) => {
    const place = rows <= columns ? at : (at % columns) * rows + Math.floor(at / columns);
    vectors[place] = value / scale;
  });
  const gram = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0, a = i * length, b = j * length; k < length; k++) sum += vectors[a + k] * vectors[b + k];
      gram[i * size + j] = gram[j * size + i] = sum;
    }
  }
  return Matrix.from1DArray(size, size, gram);
}
