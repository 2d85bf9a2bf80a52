/** One launch of a product's kernel, and what the tuner needs to know of it. */
import { tf } from "../../deps/tfjs.ts";
import { isHalf } from "../../gpu/half.ts";
import { allocateOutput, type KernelSource, launch, type Operand } from "../../gpu/kernel.ts";
import { operandOf, storageOf } from "../../gpu/operand.ts";
import { roomyRows } from "../../gpu/room.ts";
import { kernelTarget, requiredTarget, type Target } from "../../gpu/target.ts";
import { choosePlan } from "../../gpu/tuner.ts";
import { type LanesPlan, lanesSource, lanesTile } from "./matmul_lanes.ts";
import { tilesSource } from "./matmul_tiles.ts";
import { type ProductForm, type ProductSizes, type ProductVariant, sizesUniform } from "./product_form.ts";
import { tilesCandidates, type TilesPlan } from "./tiles_plan.ts";

/** How a product is dealt out on the device. */
export type ProductPlan = LanesPlan | TilesPlan;

/** A launch: matrices as they are bound, whole or a block of their rows. */
export interface ProductLaunch {
  /** Which factor is transposed. */
  readonly form: ProductForm;
  /** Sizes of the block. */
  readonly sizes: ProductSizes;
  /** The left matrix. */
  readonly a: Operand;
  /** The right matrix. */
  readonly b: Operand;
  /** Added to every row. */
  readonly bias?: Operand;
  /** Added. */
  readonly residual?: Operand;
  /** The result is multiplied with the slope of GELU there. */
  readonly slope?: Operand;
  /** Where the product goes, in the tensor's precision. */
  readonly value: Operand;
  /** Where GELU of it goes. */
  readonly activated?: Operand;
  /** Whether GELU of it is written in its place. */
  readonly activate?: boolean;
  /** Where the column sums of the left matrix go; whole. */
  readonly columnSums?: tf.Tensor;
  /** Whether value and sums are added to what is there. */
  readonly accumulate: boolean;
  /** Pieces of `sizes.piece` terms that value and sums have room for, one behind the other; 1 by default. */
  readonly pieces?: number;
}

/** The plans worth trying on a software adapter, the one to take without measuring first. */
export function lanesCandidates(
  form: ProductForm,
  _sizes: Pick<ProductSizes, "m" | "n" | "k">,
  lanes: number,
): LanesPlan[] {
  const rows = form === "TN" ? 4 * lanes : Math.max(32, 4 * lanes);
  const kStep = form === "TN" ? Math.max(8, lanes) : 8;
  return [{ family: "lanes", lanes, rows, groups: Math.max(1, 16 / lanes), kStep }];
}

/** The plans worth trying for a product on the target, the one to take without measuring first. */
export function productCandidates(
  form: ProductForm,
  sizes: Pick<ProductSizes, "m" | "n" | "k"> & { readonly pieces?: number },
  target: Target,
): ProductPlan[] {
  return target.family === "lanes"
    ? lanesCandidates(form, sizes, target.lanes)
    : tilesCandidates(form, sizes, target);
}

/** Whether products have several plans to choose from on the open device, so that tuning may pay. */
export function productsHaveChoices(): boolean {
  const target = kernelTarget();
  const sizes = { m: 1024, n: 1024, k: 1024 };
  return target !== null &&
    (["NN", "NT", "TN"] as const).some((form) => productCandidates(form, sizes, target).length > 1);
}

function variantOf(run: ProductLaunch): ProductVariant {
  const { form, a, b, bias, residual, slope, value, activated, columnSums, accumulate, pieces = 1 } = run;
  return {
    form,
    a: storageOf(a),
    b: storageOf(b),
    bias: bias && storageOf(bias),
    residual: residual && storageOf(residual),
    slope: slope && storageOf(slope),
    gelu: activated ? "also" : run.activate ? "instead" : null,
    half: isHalf(value.tensor),
    accumulate,
    columnSums: columnSums !== undefined,
    pieces: pieces > 1,
  };
}

function sourceOf(variant: ProductVariant, plan: ProductPlan): KernelSource {
  return plan.family === "lanes" ? lanesSource(variant, plan) : tilesSource(variant, plan);
}

function workgroupsOf(
  { sizes: { m, n }, pieces = 1 }: ProductLaunch,
  plan: ProductPlan,
): [number, number, number] {
  const [rows, columns] = plan.family === "lanes" ? lanesTile(plan) : [plan.rows, plan.columns];
  return [Math.ceil(m / rows), Math.ceil(n / columns), pieces];
}

/** Records the launch. */
export function launchProduct(run: ProductLaunch, plan: ProductPlan): void {
  const { sizes, a, b, bias, residual, slope, value, activated, columnSums } = run;
  const there = <Item>(items: readonly (Item | undefined)[]) => items.filter((item) => item !== undefined);
  launch(sourceOf(variantOf(run), plan), {
    inputs: there([a, b, bias, residual, slope]),
    inPlace: there<Operand | tf.Tensor>([value, activated, columnSums]),
    uniform: sizesUniform(sizes),
    workgroups: workgroupsOf(run, plan),
  });
}

/** Rows of C and terms that a launch has room for: a plan serves them all. */
function plannedSizes({ form, sizes: { m, k }, a }: ProductLaunch): [m: number, k: number] {
  if (a.count !== undefined) return [m, k];
  const rows = roomyRows(a.tensor);
  return form === "TN" ? [m, rows] : [rows, k];
}

/** The plan for a launch: what the tuner knows for the form, the shape and the operands' storage. */
export function planFor(run: ProductLaunch): ProductPlan {
  const { form, sizes, pieces = 1 } = run;
  const { n, piece = sizes.k } = sizes;
  const [m, k] = plannedSizes(run);
  const target = requiredTarget();
  const { a, b, half, columnSums } = variantOf(run);
  const flags = `${half ? "_half" : ""}${columnSums ? "_sums" : ""}${
    pieces > 1 ? `_${pieces}x${piece}` : ""
  }`;
  const key = `product_${target.family}_${target.lanes}_${form}_${a}_${b}${flags}_${m}x${n}x${k}`;
  return choosePlan(
    key,
    () => tunableProduct(key, { form, m, n, k, a, b, half, columnSums, piece, pieces }, target),
  );
}

/** What the time of a product depends on. */
type TimedProduct =
  & Pick<ProductVariant, "form" | "a" | "b" | "half" | "columnSums">
  & Pick<ProductSizes, "m" | "n" | "k">
  & { readonly piece: number; readonly pieces: number };

/** The product without what is added to it, which hardly depends on the plan. */
function tunableProduct(key: string, timed: TimedProduct, target: Target) {
  const { form, m, n, k, columnSums, piece, pieces } = timed;
  const widths = [form === "TN" ? m : k, form === "NT" ? k : n, n] as const;
  return {
    key,
    candidates: productCandidates(form, timed, target),
    operands: () => [
      madeUp([form === "TN" ? k : m, widths[0]], timed.a.startsWith("half")),
      madeUp([form === "NT" ? n : k, widths[1]], timed.b.startsWith("half")),
      allocateOutput({ shape: [pieces * m, n], half: timed.half }),
      ...(columnSums ? [allocateOutput([pieces * m])] : []),
    ],
    run(plan: ProductPlan, [a, b, value, sums]: readonly tf.Tensor[]): void {
      launchProduct({
        form,
        sizes: { m, n, k, strides: widths, columns: [0, 0, 0], piece },
        a: operandOf(a),
        b: operandOf(b),
        value: { tensor: value, texture: false },
        columnSums: sums,
        accumulate: false,
        pieces,
      }, plan);
    },
  };
}

/** Random values: a GPU runs faster, for its power is limited, on zeros. */
function madeUp(shape: [number, number], half: boolean): tf.Tensor {
  if (!half) return tf.randomUniform(shape, -1, 1);
  return tf.tidy(() => {
    const [rows, columns] = shape;
    const [left, right] = [tf.randomUniform([rows, 4], -1, 1), tf.randomUniform([4, columns], -1, 1)];
    const value = allocateOutput({ shape, half: true });
    const sizes = { m: rows, n: columns, k: 4, strides: [4, columns, columns], columns: [0, 0, 0] } as const;
    const run: ProductLaunch = {
      form: "NN",
      sizes,
      a: operandOf(left),
      b: operandOf(right),
      value: { tensor: value, texture: false },
      accumulate: false,
    };
    launchProduct(run, productCandidates("NN", sizes, requiredTarget())[0]);
    return value;
  });
}
