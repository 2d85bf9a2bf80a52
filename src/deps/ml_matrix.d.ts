/** What the program uses of ml-matrix. */

/** A matrix of doubles. */
export declare class Matrix {
  /** A matrix with the values of one row behind the other. */
  static from1DArray(rows: number, columns: number, values: ArrayLike<number>): Matrix;
}

/** Eigenvalues and eigenvectors. */
export declare class EigenvalueDecomposition {
  /** Decomposes a square matrix. */
  constructor(matrix: Matrix, options?: { readonly assumeSymmetric?: boolean });
  /** Real parts of the eigenvalues; of a symmetric matrix the eigenvalues, ascending. */
  readonly realEigenvalues: number[];
}
