/** Matrix products with what surrounds them in a linear layer, by the kernel that suits the device. */
import type { tf } from "../../deps/tfjs.ts";
import { isHalf } from "../../gpu/half.ts";
import { allocateOutput, type Operand, outputLike, type OutputShape } from "../../gpu/kernel.ts";
import { operandOf } from "../../gpu/operand.ts";
import { roomyRows } from "../../gpu/room.ts";
import { currentWebGpu } from "../../gpu/runtime.ts";
import { kernelTarget, requiredTarget } from "../../gpu/target.ts";
import { texelsPerRow } from "../../gpu/textures.ts";
import { type ProductBlock, productBlocks, type Rows } from "./product_blocks.ts";
import type { ProductForm, ProductSizes } from "./product_form.ts";
import { addPieces, type Pieces, piecesOf } from "./product_pieces.ts";
import { launchProduct, planFor, type ProductLaunch, type ProductPlan } from "./product_launch.ts";

/** What to do besides multiplying. */
export interface ProductExtras {
  /** [n], added to every row. */
  readonly bias?: tf.Tensor;
  /** [m, n], added. */
  readonly residual?: tf.Tensor;
  /** [m, n]; the result is multiplied with the slope of GELU there. */
  readonly slope?: tf.Tensor;
  /** Gives GELU of the result as well, or instead where no way back needs the result itself: a store less. */
  readonly gelu?: "also" | "instead";
  /** For TN: also gives the column sums of the left matrix, [m]. */
  readonly columnSums?: boolean;
  /** What the product with its bias and the column sums are multiplied with before more is added; 1 by default. */
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
  /** The product with what was added to it, or GELU of it where that was asked for instead. */
  readonly value: tf.Tensor2D;
  /** GELU of the value, where that was asked for as well. */
  readonly activated?: tf.Tensor2D;
  /** Column sums of the left matrix, where asked for. */
  readonly columnSums?: tf.Tensor1D;
}

function sizesOf(form: ProductForm, a: tf.Tensor, b: tf.Tensor, scale?: number): ProductSizes {
  const [aColumns, bColumns] = [a.shape[1] as number, b.shape[1] as number];
  const [m, k] = form === "TN" ? [aColumns, a.shape[0]] : [a.shape[0], aColumns];
  const n = form === "NT" ? b.shape[0] : bColumns;
  return { m, n, k, strides: [aColumns, bColumns, n], columns: [0, 0, 0], scale };
}

/**
 * Whether our kernels can make a linear layer's products on the open device; else tfjs's do. Kernels move four values at
 * a time, so that both widths must be multiples of four.
 */
export function productKernelFits(inputs: number, outputs: number): boolean {
  return kernelTarget() !== null && inputs % 4 === 0 && outputs % 4 === 0;
}

/**
 * Records a product: NN is A·B, NT is A·Bᵀ, TN is Aᵀ·B. What exceeds the device's bindings is made in blocks.
 * @param a [m, k], or [k, m] for TN
 * @param b [k, n], or [n, k] for NT
 * @param plan the device's own by default
 * @throws {DeviceError} when the result does not fit into a buffer, or a few rows of a matrix not into a binding
 */
export function product(
  form: ProductForm,
  a: tf.Tensor,
  b: tf.Tensor,
  extras: ProductExtras = {},
  plan?: ProductPlan,
): ProductResult {
  const sizes = sizesOf(form, a, b, extras.scale);
  const { m, n } = sizes;
  const shape = (half?: boolean) => form === "TN" ? { shape: [m, n], half } : outputLike(a, [m, n], half);
  const results = resultsOf(sizes, shape(extras.half), extras);
  const pieces = piecesOf(form, { m, n, k: form === "TN" ? roomyRows(a) : sizes.k }, requiredTarget());
  const { value, activated, columnSums } = results;
  const blocks = productBlocks(form, sizes, {
    bindingBytes: bytesPerOperand(),
    bytesPerValue: [isHalf(a) ? 2 : 4, isHalf(b) ? 2 : 4, 4],
  });
  const isWhole = blocks.length === 1 && blocks[0].k.length === 1;
  if (pieces && isWhole && onlyScaled(extras)) {
    launchPieces([a, b], sizes, pieces, results, extras, plan);
    return { value: value as tf.Tensor2D, columnSums: columnSums as tf.Tensor1D | undefined };
  }
  const partial = results.half && blocks[0].k.length > 1 ? allocateOutput(shape()) : null;
  const launches = blocks.flatMap((block) =>
    launchesOf(form, [a, b], sizes, block, extras, { ...results, partial })
  );
  for (const run of launches) launchProduct(run, plan ??= planFor(run));
  partial?.dispose();
  return {
    value: value as tf.Tensor2D,
    activated: activated as tf.Tensor2D | undefined,
    columnSums: columnSums as tf.Tensor1D | undefined,
  };
}

/** What a product writes. */
interface Results {
  readonly value: tf.Tensor;
  readonly activated?: tf.Tensor;
  readonly columnSums?: tf.Tensor;
  readonly half: boolean;
}

function resultsOf(
  { m }: ProductSizes,
  shape: OutputShape,
  { gelu, columnSums, half = false, into }: ProductExtras,
): Results {
  if (into && (gelu || half)) {
    throw new Error("A product is added to a tensor without GELU and in single precision");
  }
  if (into) return { ...into, half };
  return {
    value: allocateOutput(shape),
    activated: gelu === "also" ? allocateOutput(shape) : undefined,
    columnSums: columnSums ? allocateOutput([m]) : undefined,
    half,
  };
}

/** Whether nothing is done to the sums but what pieces of them allow. */
function onlyScaled({ bias, residual, slope, gelu, half }: ProductExtras): boolean {
  return !bias && !residual && !slope && !gelu && !half;
}

/** A gradient of a weight whose terms are dealt out to several workgroups. */
function launchPieces(
  [a, b]: readonly [tf.Tensor, tf.Tensor],
  sizes: ProductSizes,
  { count, terms }: Pieces,
  { value, columnSums }: Results,
  { into }: ProductExtras,
  plan?: ProductPlan,
): void {
  const values = allocateOutput([count, sizes.m, sizes.n]);
  const sums = columnSums && allocateOutput([count, sizes.m]);
  const run: ProductLaunch = {
    form: "TN",
    sizes: { ...sizes, piece: terms },
    a: operandOf(a),
    b: operandOf(b),
    value: { tensor: values, texture: false },
    columnSums: sums,
    accumulate: false,
    pieces: count,
  };
  launchProduct(run, plan ?? planFor(run));
  addPieces(values, value, into !== undefined);
  values.dispose();
  if (!columnSums || !sums) return;
  addPieces(sums, columnSums, into !== undefined);
  sums.dispose();
}

/** Bytes of an operand that kernels can read at once: a binding or, where they are copied there, a texture. */
function bytesPerOperand(): number {
  const { family, bindingBytes } = requiredTarget();
  const side = currentWebGpu()?.adapter.limits.maxTextureDimension2D ?? 0;
  return family === "lanes" ? Math.min(bindingBytes, 8 * texelsPerRow * side) : bindingBytes;
}

/**
 * The launches of one block: one for each range of terms. The first adds the residual; bias, slope and GELU are the last
 * one's. A result in half precision cannot be added to: its sums grow in `partial`, which the last launch adds.
 */
function launchesOf(
  form: ProductForm,
  [a, b]: readonly [tf.Tensor, tf.Tensor],
  sizes: ProductSizes,
  { m, n, k: ranges }: ProductBlock,
  { bias, residual, slope, into, gelu }: ProductExtras,
  { value, activated, columnSums, partial }: Results & { readonly partial: tf.Tensor | null },
): ProductLaunch[] {
  if (partial && columnSums) {
    throw new Error("Column sums of a product in parts go with single precision only");
  }
  const { strides } = sizes;
  const ofC = (tensor: tf.Tensor) => written(rowsOf(tensor, sizes.n, m));
  return ranges.map((k, i): ProductLaunch => {
    const [first, last] = [i === 0, i === ranges.length - 1];
    const added = last && partial ? partial : first ? residual : undefined;
    return {
      form,
      sizes: {
        ...sizes,
        m: m.count,
        n: n.count,
        k: k.count,
        columns: [form === "TN" ? m.first : k.first, form === "NT" ? k.first : n.first, n.first],
      },
      a: rowsOf(a, strides[0], form === "TN" ? k : m),
      b: rowsOf(b, strides[1], form === "NT" ? n : k),
      bias: bias && last ? operandOf(bias) : undefined,
      residual: added && rowsOf(added, sizes.n, m),
      slope: slope && last ? rowsOf(slope, sizes.n, m) : undefined,
      value: ofC(partial && !last ? partial : value),
      activated: activated && last ? ofC(activated) : undefined,
      activate: gelu === "instead" && last,
      columnSums,
      accumulate: into !== undefined || !first && !(partial && last),
    };
  });
}

/** Some rows of a matrix as an operand. */
function rowsOf(tensor: tf.Tensor, width: number, { first, count }: Rows): Operand {
  const whole = count * width === tensor.size;
  return operandOf(tensor, whole ? undefined : { first: first * width, count: count * width });
}

/** The same as a buffer, for a kernel to write. */
function written(operand: Operand): Operand {
  return { ...operand, texture: false };
}
