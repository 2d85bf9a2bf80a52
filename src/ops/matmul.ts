/** Matrix products with what surrounds them in a linear layer, by the kernel that suits the device. */
import type { tf } from "../deps/tfjs.ts";
import { launch } from "../gpu/kernel.ts";
import { operandOf, storageOf } from "../gpu/operand.ts";
import { cpuLanes } from "../gpu/target.ts";
import { type LanesPlan, lanesSource, lanesTile } from "./matmul_lanes.ts";
import { type ProductForm, type ProductSizes, type ProductVariant, sizesUniform } from "./product_form.ts";

/** What to do besides multiplying. */
export interface ProductExtras {
  /** [n], added to every row. */
  readonly bias?: tf.Tensor;
  /** [m, n], added. */
  readonly residual?: tf.Tensor;
  /** [m, n]; the result is multiplied with the slope of GELU there. */
  readonly slope?: tf.Tensor;
  /** Also gives GELU of the result. */
  readonly gelu?: boolean;
  /** For TN: also gives the column sums of the left matrix, [m]. */
  readonly columnSums?: boolean;
  /** Gives the result (and its GELU) in half precision. */
  readonly half?: boolean;
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

function sizesOf(form: ProductForm, a: tf.Tensor, b: tf.Tensor): ProductSizes {
  const [aColumns, bColumns] = [a.shape[1] as number, b.shape[1] as number];
  const [m, k] = form === "TN" ? [aColumns, a.shape[0]] : [a.shape[0], aColumns];
  const n = form === "NT" ? b.shape[0] : bColumns;
  return { m, n, k, strides: [aColumns, bColumns, n], columns: [0, 0, 0] };
}

/**
 * Whether our kernels can make a linear layer's products on the open device; else tfjs's do. Kernels move four values at
 * a time, so that both widths must be multiples of four.
 */
export function productKernelFits(inputs: number, outputs: number): boolean {
  return cpuLanes() !== null && inputs % 4 === 0 && outputs % 4 === 0;
}

/** How a product is dealt out on a software adapter. */
export function planFor(form: ProductForm, lanes: number): LanesPlan {
  const rows = form === "TN" ? 4 * lanes : Math.max(32, 4 * lanes);
  return { family: "lanes", lanes, rows, groups: Math.max(1, 16 / lanes), kStep: 8 };
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
  plan: LanesPlan = planFor(form, cpuLanes() ?? 0),
): ProductResult {
  const sizes = sizesOf(form, a, b);
  const { bias, residual, slope, gelu = false, columnSums = false, half = false } = extras;
  const operands = [a, b].map((x) => operandOf(x));
  const added = {
    bias: bias && operandOf(bias),
    residual: residual && operandOf(residual),
    slope: slope && operandOf(slope),
  };
  const variant: ProductVariant = {
    form,
    a: storageOf(operands[0]),
    b: storageOf(operands[1]),
    bias: added.bias && storageOf(added.bias),
    residual: added.residual && storageOf(added.residual),
    slope: added.slope && storageOf(added.slope),
    gelu,
    half,
    accumulate: false,
    columnSums,
  };
  const [rows, columns] = lanesTile(plan);
  const shape = half ? { half: [sizes.m, sizes.n] } : [sizes.m, sizes.n];
  const [value, extra] = launch(lanesSource(variant, plan), {
    inputs: [
      ...operands,
      ...[added.bias, added.residual, added.slope].filter((extra) => extra !== undefined),
    ],
    outputs: [shape, ...(gelu ? [shape] : []), ...(columnSums ? [[sizes.m]] : [])],
    uniform: sizesUniform(sizes),
    workgroups: [Math.ceil(sizes.m / rows), Math.ceil(sizes.n / columns)],
  });
  return {
    value: value as tf.Tensor2D,
    activated: gelu ? extra as tf.Tensor2D : undefined,
    columnSums: columnSums ? extra as tf.Tensor1D : undefined,
  };
}
