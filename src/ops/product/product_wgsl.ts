/** The parts of a product kernel's code that do not depend on how the work is dealt out: its bindings and its end. */
import { type ProductVariant, sizesStruct } from "./product_form.ts";
import {
  asStored,
  bindings,
  declareQuads,
  declareResult,
  geluFunctions,
  loadQuads,
} from "../templates/wgsl.ts";

/**
 * Bindings in the order of `ProductVariant`, and a function `NAME(i)` for quad i of each matrix that is read: `a`, `b`,
 * `bias`, `residual`, `slope`.
 */
export function productDeclarations(variant: ProductVariant): string {
  const { a, b, bias, residual, slope, gelu, half, columnSums } = variant;
  const read = Object.entries({ a, b, bias, residual, slope })
    .filter((entry): entry is [string, NonNullable<typeof entry[1]>] => entry[1] !== undefined);
  return `${sizesStruct}
${
    bindings(
      ...read.map(([name, storage]) => declareQuads(name, storage)),
      declareResult("c", half),
      ...(gelu === "also" ? [declareResult("activated", half)] : []),
      ...(columnSums ? [declareResult("sums")] : []),
      "var<uniform> sizes: Sizes;",
    )
  }
${read.map(([name, storage]) => loadQuads(name, storage)).join("\n")}
${gelu || slope ? geluFunctions : ""}`;
}

/**
 * The function `store(row, column4, sum)`: scales four sums side by side with their bias, adds what the variant adds, and
 * writes them where they lie inside C. With pieces, `piece` says which.
 */
export function storeFunction(
  { bias, residual, slope, gelu, half, accumulate, pieces }: ProductVariant,
): string {
  const terms = [
    `${bias ? "(sum + bias(column))" : "sum"} * sizes.scale`,
    ...(residual ? ["residual(at)"] : []),
    ...(accumulate ? ["c[at]"] : []),
  ].join(" + ");
  return `
fn store(row: u32, column4: u32, sum: vec4f) {
  if (row >= sizes.m || column4 >= sizes.n / 4u) { return; }
  let column = sizes.c_column + column4;
  let at = ${pieces ? "(piece * sizes.m + row)" : "row"} * sizes.c_stride + column;
  let value = ${slope ? `(${terms}) * gelu_slope4(slope(at))` : terms};
  c[at] = ${asStored(gelu === "instead" ? "gelu4(value)" : "value", half)};
  ${gelu === "also" ? `activated[at] = ${asStored("gelu4(value)", half)};` : ""}
}`;
}
