/**
 * Matrix product for CPU adapters: one subgroup per workgroup, no barrier, no workgroup memory.
 *
 * A workgroup makes a tile of R rows by `lanes · 4 · groups` columns, in registers. Over K in short steps, each lane
 * loads a part of A and of B; the A values are broadcast from lane to lane, the B values stay in their own lane, which
 * holds four neighbouring columns (per column group). Why this shape: docs/performance.md.
 *
 * Work: 2·M·N·K operations; traffic per tile (R + columns) · K · 4 bytes.
 */
import type { KernelSource } from "../gpu/kernel.ts";
import { type ProductVariant, variantName } from "./product_form.ts";
import { productDeclarations } from "./product_wgsl.ts";
import { asStored, component, repeat } from "./wgsl.ts";

/** How a product is dealt out to lanes. */
export interface LanesPlan {
  /** Discriminates plans. */
  readonly family: "lanes";
  /** Lanes of a subgroup. */
  readonly lanes: number;
  /** Rows of C that one workgroup makes: a multiple of the lanes; for TN of four times the lanes. */
  readonly rows: number;
  /** Column groups of `4 · lanes` that one workgroup makes. */
  readonly groups: number;
  /** Terms added in one turn of the loop, a multiple of 4. */
  readonly kStep: number;
}

/** Rows and columns of C that one workgroup makes. */
export function lanesTile({ lanes, rows, groups }: LanesPlan): [rows: number, columns: number] {
  return [rows, 4 * lanes * groups];
}

/** What the body is generated from. */
type Shape = ProductVariant & LanesPlan;

/** The kernel; its bindings are those of `ProductVariant`. */
export function lanesSource(variant: ProductVariant, plan: LanesPlan): KernelSource {
  const { lanes, rows, groups, kStep } = plan;
  const shape = { ...variant, ...plan };
  return {
    name: ["matmul_lanes", lanes, rows, groups, kStep, variantName(variant)].join("_"),
    code: () => `
${productDeclarations(variant)}
${loaders(variant)}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) lane: u32) {
${body(shape)}
}`,
  };
}

/** Quads of the operands by row and column; 0 wherever that matters (beyond the last row, and for A beyond k). */
function loaders({ form, a, b }: ProductVariant): string {
  const load = (name: "a" | "b", rows: string, storage: string) => {
    const at = (row: string) => `${name}(${row} * sizes.${name}_stride + sizes.${name}_column + column4)`;
    const value = storage.endsWith("texture")
      ? at("row")
      : `select(vec4f(), ${at(`min(row, ${rows} - 1u)`)}, row < ${rows})`;
    // Beyond k a row's quads are the next row's: they must not be added.
    const guarded = name === "a" && form !== "TN"
      ? `select(vec4f(), ${value}, column4 < sizes.k / 4u)`
      : value;
    return `fn load_${name}(row: u32, column4: u32) -> vec4f { return ${guarded}; }`;
  };
  return [
    load("a", form === "TN" ? "sizes.k" : "sizes.m", a),
    load("b", form === "NT" ? "sizes.n" : "sizes.k", b),
  ].join("\n");
}

function body(shape: Shape): string {
  const { lanes, columnSums, rows, groups, kStep } = shape;
  const sumGroups = rows / (4 * lanes);
  return `
  let row0 = tile.x * ${rows}u;
  let column0 = tile.y * ${lanes * groups}u; // in units of four
${repeat(rows, (r) => repeat(groups, (g) => `  var c${r}_${g} = vec4f();`))}
${columnSums ? repeat(sumGroups, (g) => `  var sum${g} = vec4f();`) : ""}
  for (var k = 0u; k < sizes.k; k += ${kStep}u) {
    let k4 = k / 4u;
${repeat(groups, (g) => loadB(shape, g))}
${multiply(shape)}
  }
${repeat(groups, (g) => store(shape, g))}
${columnSums ? storeSums(shape, sumGroups) : ""}`;
}

/** The lane's rows of B for one column group, as b{group}_{k}. */
function loadB({ form, lanes, kStep }: Shape, g: number): string {
  const column = `column0 + ${g * lanes}u + lane`;
  if (form !== "NT") return repeat(kStep, (q) => `    let b${g}_${q} = load_b(k + ${q}u, ${column});`);
  // B is stored by columns: load four columns along k, and turn the block around.
  const loads = repeat(
    4,
    (j) =>
      repeat(kStep / 4, (h) => `    let t${g}_${j}_${h} = load_b((${column}) * 4u + ${j}u, k4 + ${h}u);`),
  );
  const turned = repeat(kStep, (q) => {
    const parts = [0, 1, 2, 3].map((j) => `t${g}_${j}_${q >> 2}.${component(q)}`);
    return `    let b${g}_${q} = vec4f(${parts.join(", ")});`;
  });
  return `${loads}\n${turned}`;
}

/** Loads A and adds the products of all rows. */
function multiply({ form, lanes, columnSums, rows, groups, kStep }: Shape): string {
  const rowsPerLoad = form === "TN" ? 4 * lanes : lanes;
  return repeat(rows / rowsPerLoad, (load) => {
    const loads = form === "TN"
      ? repeat(
        kStep,
        (q) => `    let a${load}_${q} = load_a(k + ${q}u, row0 / 4u + ${load * lanes}u + lane);`,
      )
      : repeat(
        kStep / 4,
        (h) => `    let a${load}_${h} = load_a(row0 + ${load * lanes}u + lane, k4 + ${h}u);`,
      );
    const value = (r: number, q: number) =>
      form === "TN"
        ? `subgroupBroadcast(a${load}_${q}.${component(r)}, ${r >> 2}u)`
        : `subgroupBroadcast(a${load}_${q >> 2}.${component(q)}, ${r}u)`;
    const sums = columnSums ? repeat(kStep, (q) => `    sum${load} += a${load}_${q};`) : "";
    const products = repeat(rowsPerLoad, (r) => {
      const row = load * rowsPerLoad + r;
      const broadcasts = repeat(kStep, (q) => `    let s${row}_${q} = ${value(r, q)};`);
      const adds = repeat(
        groups,
        (g) => repeat(kStep, (q) => `    c${row}_${g} += s${row}_${q} * b${g}_${q};`),
      );
      return `${broadcasts}\n${adds}`;
    });
    return `${loads}\n${sums}\n${products}`;
  });
}

function store({ lanes, rows, bias, residual, slope, gelu, half, accumulate }: Shape, g: number): string {
  const lines = repeat(rows, (r) => {
    const sum = [
      `c${r}_${g} * sizes.scale`,
      ...(bias ? ["add"] : []),
      ...(residual ? ["residual(at)"] : []),
      ...(accumulate ? ["c[at]"] : []),
    ].join(" + ");
    return `    if (row0 + ${r}u < sizes.m) {
      let at = (row0 + ${r}u) * sizes.c_stride + column;
      let value = ${slope ? `(${sum}) * gelu_slope4(slope(at))` : sum};
      c[at] = ${asStored(gelu === "instead" ? "gelu4(value)" : "value", half)};
      ${gelu === "also" ? `activated[at] = ${asStored("gelu4(value)", half)};` : ""}
    }`;
  });
  return `  if (column0 + ${g * lanes}u + lane < sizes.n / 4u) {
    let column = sizes.c_column + column0 + ${g * lanes}u + lane;
    ${bias ? "let add = bias(column);" : ""}
${lines}
  }`;
}

/** Only the first tile of each row writes them: they do not depend on the columns. */
function storeSums({ lanes, accumulate }: Shape, sumGroups: number): string {
  return repeat(sumGroups, (g) => {
    const at = `sizes.a_column + row0 / 4u + ${g * lanes}u + lane`;
    return `  if (tile.y == 0u && row0 / 4u + ${g * lanes}u + lane < sizes.m / 4u) {
    sums[${at}] ${accumulate ? "+=" : "="} sum${g} * sizes.scale;
  }`;
  });
}
