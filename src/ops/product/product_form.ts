/** What a matrix product is, whatever kernel makes it. */
import type { Storage } from "../../gpu/operand.ts";

/** Which operand is stored transposed: C = A·B, A·Bᵀ or Aᵀ·B. */
export type ProductForm = "NN" | "NT" | "TN";

/** What a generated product does besides multiplying; its bindings are in this order, then C and the sizes. */
export interface ProductVariant {
  /** Which factor is transposed. */
  readonly form: ProductForm;
  /** How A is stored. */
  readonly a: Storage;
  /** How B is stored. */
  readonly b: Storage;
  /** Adds a row vector to every row; how it is stored. */
  readonly bias?: Storage;
  /** Adds a matrix that lies like C; how it is stored. */
  readonly residual?: Storage;
  /** Multiplies with the slope of GELU at a matrix that lies like C; how it is stored. */
  readonly slope?: Storage;
  /** Writes GELU(C): also, after C, or in its place. */
  readonly gelu: "also" | "instead" | null;
  /** Writes C (and GELU(C)) in half precision. */
  readonly half: boolean;
  /** Adds to what C holds (single precision only). */
  readonly accumulate: boolean;
  /** Only for TN: writes the column sums of A after C, or adds to them where `accumulate`: a bias gradient. */
  readonly columnSums: boolean;
  /** Only for tiles: workgroups share the terms as well, and each piece of the sums is written behind the one before. */
  readonly pieces: boolean;
}

/** Part of a kernel's name that tells everything its code depends on. */
export function variantName(variant: ProductVariant): string {
  const { form, a, b, bias, residual, slope, gelu, half, accumulate, columnSums, pieces } = variant;
  const flags = [
    bias && `bias_${bias}`,
    residual && `residual_${residual}`,
    slope && `slope_${slope}`,
    gelu === "also" ? "gelu" : gelu && "gelu_instead",
    half && "half",
    accumulate && "accumulate",
    columnSums && "sums",
    pieces && "pieces",
  ];
  return [form, a, b, ...flags.filter(Boolean)].join("_");
}

/**
 * The uniform of every product kernel. Rows of a matrix are `stride` quads apart and start `column` quads in, so that a
 * product can work on a block of columns; blocks of rows are bound as such.
 */
export const sizesStruct = `struct Sizes {
  m: u32, n: u32, k: u32, scale: f32,
  a_stride: u32, a_column: u32, b_stride: u32, b_column: u32,
  c_stride: u32, c_column: u32, piece: u32, zero: u32,
}`;

/** Values of that uniform. */
export interface ProductSizes {
  /** Rows of C. */
  readonly m: number;
  /** Columns of C. */
  readonly n: number;
  /** Terms of each sum. */
  readonly k: number;
  /** Values from row to row of A, B and C. */
  readonly strides: readonly [a: number, b: number, c: number];
  /** First column of A, B and C. */
  readonly columns: readonly [a: number, b: number, c: number];
  /** What the sums with their bias (and the column sums) are multiplied with before more is added; 1 by default. */
  readonly scale?: number;
  /** Terms of a piece, where workgroups share them; all by default. */
  readonly piece?: number;
}

/** Packs the uniform. */
export function sizesUniform({ m, n, k, strides, columns, scale = 1, piece = k }: ProductSizes): ArrayBuffer {
  const layout = [0, 1, 2].flatMap((i) => [strides[i] / 4, columns[i] / 4]);
  const uniform = new Uint32Array([m, n, k, 0, ...layout, piece, 0]).buffer;
  new Float32Array(uniform)[3] = scale;
  return uniform;
}

/** Operations of a product; its traffic is at least 4·(m·k + k·n + m·n) bytes in single precision. */
export function productFlops({ m, n, k }: Pick<ProductSizes, "m" | "n" | "k">): number {
  return 2 * m * n * k;
}
