/**
 * Matrix product for CPU adapters: one subgroup per workgroup, no barrier, no workgroup memory.
 *
 * A workgroup makes a tile of R rows by `lanes · 4 · groups` columns, in registers. Over K in steps of 8, each lane
 * loads a part of A and of B; the A values are broadcast from lane to lane, the B values stay in their own lane, which
 * holds four neighbouring columns (per column group). Why this shape: notes in docs/performance.md.
 *
 * Work: 2·M·N·K operations; traffic per tile (R + columns) · K · 4 bytes.
 */
import type { KernelSource } from "../gpu/kernel.ts";
import { bindings, component, declareQuads, geluFunctions, loadQuads, repeat } from "./wgsl.ts";

/** Which operand is stored transposed: C = A·B, A·Bᵀ or Aᵀ·B. */
export type ProductForm = "NN" | "NT" | "TN";

/** What a generated product does besides multiplying. */
export interface ProductVariant {
  /** Which factor is transposed. */
  readonly form: ProductForm;
  /** Lanes of a subgroup. */
  readonly lanes: number;
  /** Whether A and B are bound as textures (else as buffers); bias and residual are bound like A. */
  readonly textures: readonly [a: boolean, b: boolean];
  /** Adds a row vector to every row. */
  readonly bias: boolean;
  /** Adds a matrix of C's shape. */
  readonly residual: boolean;
  /** Writes GELU(C) besides C. */
  readonly gelu: boolean;
  /** Only for TN: writes the column sums of A, which is what a bias gradient is. */
  readonly columnSums: boolean;
}

const kStep = 8;

/** Rows and columns of C that one workgroup makes. */
export function tileOf(lanes: number): { rows: number; columns: number; groups: number } {
  const groups = Math.max(1, 16 / lanes); // column groups, so that a tile is 64 columns wide
  return { rows: Math.max(32, 4 * lanes), columns: lanes * 4 * groups, groups };
}

/** The kernel; bindings are A, B, then bias and residual if any, C, GELU(C) or column sums if any, and the sizes. */
export function productSource(variant: ProductVariant): KernelSource {
  const { form, lanes, textures, bias, residual, gelu, columnSums } = variant;
  const flags = [bias && "bias", residual && "residual", gelu && "gelu", columnSums && "sums"].filter(
    Boolean,
  );
  const storage = textures.map((texture) => texture ? "t" : "b").join("");
  return {
    name: ["matmul", form, lanes, storage, ...flags].join("_"),
    code: () => `
${declarations(variant)}
${loaders(variant)}
${bias ? loadQuads("bias", textures[0]) : ""}
${residual ? loadQuads("residual", textures[0]) : ""}
${gelu ? geluFunctions : ""}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) lane: u32) {
${body(variant)}
}`,
  };
}

function declarations({ textures, bias, residual, gelu, columnSums }: ProductVariant): string {
  return "struct Sizes { m: u32, n: u32, k: u32, unused: u32 }\n" + bindings(
    declareQuads("a", textures[0]),
    declareQuads("b", textures[1]),
    ...(bias ? [declareQuads("bias", textures[0])] : []),
    ...(residual ? [declareQuads("residual", textures[0])] : []),
    "var<storage, read_write> c: array<vec4f>;",
    ...(gelu ? ["var<storage, read_write> activated: array<vec4f>;"] : []),
    ...(columnSums ? ["var<storage, read_write> sums: array<vec4f>;"] : []),
    "var<uniform> sizes: Sizes;",
  );
}

/** Quads of the operands by row and column; 0 wherever that matters (beyond the last row, and for A beyond k). */
function loaders({ form, textures }: ProductVariant): string {
  const [aRows, aColumns] = form === "TN" ? ["sizes.k", "sizes.m"] : ["sizes.m", "sizes.k"];
  const [bRows, bColumns] = form === "NT" ? ["sizes.n", "sizes.k"] : ["sizes.k", "sizes.n"];
  const load = (name: string, rows: string, columns: string, texture: boolean) => {
    const value = texture
      ? `${name}(row * (${columns} / 4u) + column4)`
      : `select(vec4f(), ${name}(min(row, ${rows} - 1u) * (${columns} / 4u) + column4), row < ${rows})`;
    // Beyond k a row's quads are the next row's: they must not be added.
    const guarded = name === "a" && form !== "TN"
      ? `select(vec4f(), ${value}, column4 < sizes.k / 4u)`
      : value;
    return `${
      loadQuads(name, texture)
    }\nfn load_${name}(row: u32, column4: u32) -> vec4f { return ${guarded}; }`;
  };
  return `${load("a", aRows, aColumns, textures[0])}\n${load("b", bRows, bColumns, textures[1])}`;
}

function body(variant: ProductVariant): string {
  const { lanes, columnSums } = variant;
  const { rows, groups } = tileOf(lanes);
  const sumGroups = rows / (4 * lanes);
  return `
  let row0 = tile.x * ${rows}u;
  let column0 = tile.y * ${lanes * groups}u; // in units of four
${repeat(rows, (r) => repeat(groups, (g) => `  var c${r}_${g} = vec4f();`))}
${columnSums ? repeat(sumGroups, (g) => `  var sum${g} = vec4f();`) : ""}
  for (var k = 0u; k < sizes.k; k += ${kStep}u) {
    let k4 = k / 4u;
${repeat(groups, (g) => loadB(variant, g))}
${multiply(variant, rows, groups)}
  }
${repeat(groups, (g) => store(variant, rows, g))}
${columnSums ? storeSums(lanes, sumGroups) : ""}`;
}

/** The lane's eight rows of B for one column group, as b{group}_{k}. */
function loadB({ form, lanes }: ProductVariant, g: number): string {
  const column = `column0 + ${g * lanes}u + lane`;
  if (form !== "NT") return repeat(kStep, (q) => `    let b${g}_${q} = load_b(k + ${q}u, ${column});`);
  // B is stored by columns: load four columns along k, and turn the 4 x 8 block around.
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
function multiply({ form, lanes, columnSums }: ProductVariant, rows: number, groups: number): string {
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

function store({ lanes, bias, residual, gelu }: ProductVariant, rows: number, g: number): string {
  const lines = repeat(rows, (r) => {
    const terms = [`c${r}_${g}`, ...(bias ? ["add"] : []), ...(residual ? ["residual(at)"] : [])];
    return `    if (row0 + ${r}u < sizes.m) {
      let at = (row0 + ${r}u) * (sizes.n / 4u) + column;
      let value = ${terms.join(" + ")};
      c[at] = value;
      ${gelu ? "activated[at] = gelu4(value);" : ""}
    }`;
  });
  return `  if (column0 + ${g * lanes}u + lane < sizes.n / 4u) {
    let column = column0 + ${g * lanes}u + lane;
    ${bias ? "let add = bias(column);" : ""}
${lines}
  }`;
}

/** Only the first tile of each row writes them: they do not depend on the columns. */
function storeSums(lanes: number, sumGroups: number): string {
  return repeat(sumGroups, (g) =>
    `  if (tile.y == 0u && row0 / 4u + ${g * lanes}u + lane < sizes.m / 4u) {
    sums[row0 / 4u + ${g * lanes}u + lane] = sum${g};
  }`);
}
