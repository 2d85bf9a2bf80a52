/** Matrix products with what surrounds them in a linear layer, by the kernel that suits the device. */
import type { tf } from "../deps/tfjs.ts";
import { type KernelSource, launch } from "../gpu/kernel.ts";
import { operandOf, storageOf } from "../gpu/operand.ts";
import { kernelTarget, type Target } from "../gpu/target.ts";
import { type LanesPlan, lanesSource, lanesTile } from "./matmul_lanes.ts";
import { tilesSource } from "./matmul_tiles.ts";
import { type ProductForm, type ProductSizes, type ProductVariant, sizesUniform } from "./product_form.ts";
import { tilesCandidates, type TilesPlan } from "./tiles_plan.ts";

/** How a product is dealt out on the device. */
export type ProductPlan = LanesPlan | TilesPlan;

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
  /** What the product and the column sums are multiplied with before anything is added; 1 by default. */
  readonly scale?: number;
  /** Gives the result (and its GELU) in half precision. */
  readonly half?: boolean;
  /**
   * Adds the product, and for TN the column sums of the left matrix, to what these tensors hold, in place, and gives them
   * as the result: single precision, [m, n] and [m]. Not together with `gelu` and `half`.
   */
  readonly into?: { readonly value: tf.Tensor; readonly columnSums?: tf.Tensor };
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
  return kernelTarget() !== null && inputs % 4 === 0 && outputs % 4 === 0;
}

/** The plans worth trying on a software adapter, the one to take without measuring first. */
export function lanesCandidates(
  form: ProductForm,
  _sizes: Pick<ProductSizes, "m" | "n" | "k">,
  lanes: number,
): LanesPlan[] {
  const rows = form === "TN" ? 4 * lanes : Math.max(32, 4 * lanes);
  return [{ family: "lanes", lanes, rows, groups: Math.max(1, 16 / lanes), kStep: 8 }];
}

/** The plans worth trying for a product on the target, the one to take without measuring first. */
export function productCandidates(
  form: ProductForm,
  sizes: Pick<ProductSizes, "m" | "n" | "k">,
  target: Target,
): ProductPlan[] {
  return target.family === "lanes"
    ? lanesCandidates(form, sizes, target.lanes)
    : tilesCandidates(form, sizes, target);
}

function sourceOf(variant: ProductVariant, plan: ProductPlan): KernelSource {
  return plan.family === "lanes" ? lanesSource(variant, plan) : tilesSource(variant, plan);
}

function workgroupsOf({ m, n }: ProductSizes, plan: ProductPlan): [number, number] {
  const [rows, columns] = plan.family === "lanes" ? lanesTile(plan) : [plan.rows, plan.columns];
  return [Math.ceil(m / rows), Math.ceil(n / columns)];
}

/**
 * Records a product: NN is A·B, NT is A·Bᵀ, TN is Aᵀ·B.
 * @param a [m, k], or [k, m] for TN
 * @param b [k, n], or [n, k] for NT
 * @param plan the device's own by default
 */
export function product(
  form: ProductForm,
  a: tf.Tensor,
  b: tf.Tensor,
  extras: ProductExtras = {},
  plan?: ProductPlan,
): ProductResult {
  const target = kernelTarget();
  if (!target) throw new Error("Products by our kernels need the WebGPU backend");
  const sizes = sizesOf(form, a, b);
  const { bias, residual, slope, gelu = false, half = false, into } = extras;
  if (into && (gelu || half)) {
    throw new Error("A product is added to a tensor without GELU and in single precision");
  }
  const columnSums = into ? into.columnSums !== undefined : extras.columnSums ?? false;
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
    accumulate: into !== undefined,
    columnSums,
  };
  const shape = half ? { half: [sizes.m, sizes.n] } : [sizes.m, sizes.n];
  const chosen = plan ?? productCandidates(form, sizes, target)[0];
  const inPlace = into ? [into.value, ...(into.columnSums ? [into.columnSums] : [])] : [];
  const made = launch(sourceOf(variant, chosen), {
    inputs: [
      ...operands,
      ...[added.bias, added.residual, added.slope].filter((extra) => extra !== undefined),
    ],
    outputs: into ? [] : [shape, ...(gelu ? [shape] : []), ...(columnSums ? [[sizes.m]] : [])],
    inPlace,
    uniform: sizesUniform({ ...sizes, scale: extras.scale }),
    workgroups: workgroupsOf(sizes, chosen),
  });
  const [value, ...others] = [...inPlace, ...made];
  return {
    value: value as tf.Tensor2D,
    activated: gelu ? others.shift() as tf.Tensor2D : undefined,
    columnSums: columnSums ? others.shift() as tf.Tensor1D : undefined,
  };
}
