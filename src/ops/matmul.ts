/** Matrix products with what surrounds them in a linear layer, by the kernel that suits the device. */
import { tf } from "../deps/tfjs.ts";
import { launch } from "../gpu/kernel.ts";
import { asTexture, cpuLanes, isTexture } from "../gpu/lanes.ts";
import { type ProductForm, productSource, tileOf } from "./matmul_subgroup.ts";

/** What to do besides multiplying. */
export interface ProductExtras {
  /** [n], added to every row. */
  readonly bias?: tf.Tensor;
  /** [m, n], added. */
  readonly residual?: tf.Tensor;
  /** Also gives GELU of the result. */
  readonly gelu?: boolean;
  /** For TN: also gives the column sums of the left matrix, [m]. */
  readonly columnSums?: boolean;
}

/** The product, and what the extras asked for. */
export interface ProductResult {
  /** The product with what was added to it. */
  readonly value: tf.Tensor2D;
  /** GELU of the value, where asked for. */
  readonly activated?: tf.Tensor2D;
  /** Column sums of the left matrix, where asked for. */
  readonly columnSums?: tf.Tensor1D;
}

/** Rows, columns and inner size of a product. */
interface ProductSizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

function sizesOf(form: ProductForm, a: tf.Tensor, b: tf.Tensor): ProductSizes {
  const [m, k] = form === "TN" ? [a.shape[1], a.shape[0]] : [a.shape[0], a.shape[1]];
  const n = form === "NT" ? b.shape[0] : b.shape[1];
  return { m: m as number, n: n as number, k: k as number };
}

/**
 * Whether our kernels can make a linear layer's products on the open device; else tfjs's do. Kernels move four values at
 * a time, so that both widths must be multiples of four.
 */
export function productKernelFits(inputs: number, outputs: number): boolean {
  return cpuLanes() !== null && inputs % 4 === 0 && outputs % 4 === 0;
}

/**
 * Records a product: NN is A·B, NT is A·Bᵀ, TN is Aᵀ·B.
 * @param a [m, k], or [k, m] for TN
 * @param b [k, n], or [n, k] for NT
 */
export function product(
  form: ProductForm,
  a: tf.Tensor,
  b: tf.Tensor,
  extras: ProductExtras = {},
): ProductResult {
  const lanes = cpuLanes();
  if (lanes === null) throw new Error("No matrix kernel suits this device");
  const sizes = sizesOf(form, a, b);
  const { bias, residual, gelu = false, columnSums = false } = extras;
  const operands = [asTexture(a), asTexture(b)];
  // Epilogue operands are bound like A, which a kernel's name tells.
  const bind = (extra: tf.Tensor) => isTexture(operands[0]) ? { texture: extra } : extra;
  const source = productSource({
    form,
    lanes,
    textures: [isTexture(operands[0]), isTexture(operands[1])],
    bias: bias !== undefined,
    residual: residual !== undefined,
    gelu,
    columnSums,
  });
  const { rows, columns } = tileOf(lanes);
  const shape = [sizes.m, sizes.n];
  const [value, extra] = launch(source, {
    inputs: [...operands, ...[bias, residual].filter((extra) => extra !== undefined).map(bind)],
    outputs: [shape, ...(gelu ? [shape] : []), ...(columnSums ? [[sizes.m]] : [])],
    uniform: new Uint32Array([sizes.m, sizes.n, sizes.k, 0]).buffer,
    workgroups: [Math.ceil(sizes.m / rows), Math.ceil(sizes.n / columns)],
  });
  return {
    value: value as tf.Tensor2D,
    activated: gelu ? extra as tf.Tensor2D : undefined,
    columnSums: columnSums ? extra as tf.Tensor1D : undefined,
  };
}
