/** How a GPU's workgroups and threads share a matrix product: the plans of `matmul_tiles.ts`. */
import type { Target } from "../../gpu/target.ts";
import type { ProductForm, ProductSizes } from "./product_form.ts";

/** How a product is dealt out to workgroups and threads. All but the lanes are powers of two, 4 at least. */
export interface TilesPlan {
  /** Discriminates plans. */
  readonly family: "tiles";
  /** Rows of C that one workgroup makes. */
  readonly rows: number;
  /** Columns of C that one workgroup makes; with lanes, `lanes · threadColumns`. */
  readonly columns: number;
  /** Rows of C that one thread makes. */
  readonly threadRows: number;
  /** Columns of C that one thread makes. */
  readonly threadColumns: number;
  /** Terms added in one turn of the loop. */
  readonly kStep: number;
  /** Lanes of a subgroup where its threads share A without workgroup memory; 1 uses no subgroup function. */
  readonly lanes: number;
}

/** Threads of a workgroup. */
export function tilesThreads({ rows, columns, threadRows, threadColumns }: TilesPlan): number {
  return (rows / threadRows) * (columns / threadColumns);
}

/** Bytes of workgroup memory that a plan takes in single precision. */
export function tilesBytes(form: ProductForm, plan: TilesPlan): number {
  const { rows, columns, threadRows, threadColumns, kStep, lanes } = plan;
  const a = lanes > 1 ? 0 : form === "TN" ? rows : rows + threadRows; // with the padding of deep tiles
  const b = form === "NT" ? columns + threadColumns : columns;
  return 4 * kStep * (a + b);
}

const shapes: readonly Omit<TilesPlan, "family" | "lanes">[] = [
  { rows: 128, columns: 128, threadRows: 8, threadColumns: 8, kStep: 8 },
  { rows: 64, columns: 64, threadRows: 4, threadColumns: 4, kStep: 16 },
  { rows: 32, columns: 32, threadRows: 4, threadColumns: 4, kStep: 16 },
  { rows: 128, columns: 128, threadRows: 8, threadColumns: 8, kStep: 16 },
  { rows: 128, columns: 64, threadRows: 8, threadColumns: 4, kStep: 16 },
  { rows: 64, columns: 128, threadRows: 4, threadColumns: 8, kStep: 16 },
  { rows: 64, columns: 64, threadRows: 8, threadColumns: 8, kStep: 16 },
  { rows: 32, columns: 32, threadRows: 4, threadColumns: 4, kStep: 32 },
];

/** Workgroups that keep a GPU of the larger kind busy. */
export const enoughWorkgroups = 128;
const mostThreads = 256;

/**
 * The plans worth trying for a product, the one to take without measuring first: the largest of three tiles that still
 * gives a GPU enough workgroups. Plans that the device has no threads or memory for are left out.
 */
export function tilesCandidates(
  form: ProductForm,
  { m, n, pieces = 1 }: Pick<ProductSizes, "m" | "n"> & { readonly pieces?: number },
  { threads, workgroupBytes, lanes }: Pick<Target, "threads" | "workgroupBytes" | "lanes">,
): TilesPlan[] {
  const alone = shapes.map((shape): TilesPlan => ({ family: "tiles", ...shape, lanes: 1 }));
  const sharing = lanes < 4 ? [] : [8, 16].map((threadRows): TilesPlan => {
    const rows = threadRows * Math.min(8, mostThreads / lanes);
    return { family: "tiles", rows, columns: 4 * lanes, threadRows, threadColumns: 4, kStep: 16, lanes };
  });
  // A tile that lies outside of C by more than half helps only where there is no smaller one.
  const suits = (lines: number, of: number) => lines <= 32 || lines < 2 * of;
  const possible = [...alone, ...sharing].filter((plan) =>
    tilesThreads(plan) <= Math.min(threads, mostThreads) && tilesBytes(form, plan) <= workgroupBytes &&
    suits(plan.rows, m) && suits(plan.columns, n)
  );
  const workgroups = ({ rows, columns }: TilesPlan) => pieces * Math.ceil(m / rows) * Math.ceil(n / columns);
  const simple = possible.filter((plan) => alone.slice(0, 3).includes(plan));
  const first = simple.find((plan) => workgroups(plan) >= enoughWorkgroups) ?? simple[simple.length - 1];
  return [first, ...possible.filter((plan) => plan !== first)];
}
