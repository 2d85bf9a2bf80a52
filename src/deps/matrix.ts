/** Linear algebra on the host: pure JavaScript, without install scripts, after the well-tried routines of EISPACK and JAMA. */
// @ts-types="./ml_matrix.d.ts"
export { EigenvalueDecomposition, Matrix } from "npm:ml-matrix@6.15.1";
