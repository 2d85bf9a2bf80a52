/**
 * Matrix product for CPU adapters: one subgroup per workgroup, no barrier, no workgroup memory.
 *
 * A workgroup makes a tile of R rows by `lanes · 4 · groups` columns, in registers. Over K in short steps, each lane
 * loads a part of A and of B; the A values are broadcast from lane to lane, the B values stay in their own lane, which
 * holds four neighbouring columns (per column group). Why this shape: docs/performance.md.
 *
 * Work: 2·M·N·K operations; traffic per tile (R + columns) · K · 4 bytes.
 */
import type { KernelSource } from "../../gpu/kernel.ts";
import { type ProductVariant, variantName } from "./product_form.ts";
import { productDeclarations } from "./product_wgsl.ts";
import { asStored, component, repeat } from "../templates/wgsl.ts";

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
  /** Terms added in one turn of the loop, a multiple of 4; for TN of the lanes. */
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
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) lane: u32) {
${body(shape)}
}`,
  };
}

/**
 * Quad `at` of an operand as an expression, 0 where `inside` is false: beyond the last row or, for A, beyond k. A texture
 * is 0 beyond its end, so that there only what would run into another row has to be kept out (`strict`).
 */
function quad(name: "a" | "b", storage: string, at: string, inside: string, strict = false): string {
  if (storage.endsWith("texture")) {
    return strict ? `select(vec4f(), ${name}(${at}), ${inside})` : `${name}(${at})`;
  }
  return `select(vec4f(), ${name}(select(0u, ${at}, ${inside})), ${inside})`;
}

function body(shape: Shape): string {
  const { form, columnSums, rows, groups, kStep } = shape;
  const touches = touchesResult(shape);
  return `
  let row0 = tile.x * ${rows}u;
  let column0 = tile.y * ${shape.lanes * groups}u; // in units of four
${starts(shape)}
${repeat(rows, (r) => repeat(groups, (g) => `  var c${r}_${g} = vec4f();`))}
${columnSums ? repeat(rows / 4, (quad) => `  var sum${quad} = vec4f();`) : ""}
${touches ? `  var touched = 0.0;\n${touchResult(shape)}` : ""}
  for (var k = 0u; k < sizes_k; k += ${kStep}u) {
    let k4 = k / 4u;
${rowStarts(shape)}
${repeat(groups, (g) => loadB(shape, g))}
${repeat(rows / rowsPerLoad(shape), (load) => loadA(shape, load))}
${form === "NT" ? repeat(groups, (g) => turnB(shape, g)) : ""}
${multiply(shape)}
  }
${repeat(groups, (g) => store(shape, g))}
${columnSums ? storeSums(shape) : ""}
${
    touches
      ? `  if (sizes.zero != 0u) { c[0] = vec4f(touched); } // not ever: so that the loads are made`
      : ""
  }`;
}

/**
 * The sizes, and where A's and B's parts begin, outside of the loop and of the stores: llvmpipe reads a uniform value by
 * value wherever a branch uses it.
 */
function starts({ form, lanes, rows, groups }: Shape): string {
  const aRow = (load: number) => `row0 + ${load * lanes}u + lane`;
  const column = (g: number) => `(column0 + ${g * lanes}u + lane)`;
  return `
  let sizes_m = sizes.m;
  let sizes_n4 = sizes.n / 4u;
  let sizes_k = sizes.k;
  let sizes_scale = sizes.scale;
  let sizes_b_column = sizes.b_column;
  let c_column = sizes.c_column;
  let c_stride = sizes.c_stride;
  let a_stride = sizes.a_stride;
  let b_stride = sizes.b_stride;
${
    form === "TN"
      ? "  let a_at = sizes.a_column + row0 / 4u;"
      : repeat(rows / lanes, (load) =>
        `  let a_in${load} = ${aRow(load)} < sizes_m;
  let a_at${load} = (${aRow(load)}) * a_stride + sizes.a_column;`)
  }
${
    form === "NT"
      ? repeat(groups, (g) =>
        repeat(4, (j) =>
          `  let b_in${g}_${j} = ${column(g)} * 4u + ${j}u < sizes.n;
  let b_at${g}_${j} = (${column(g)} * 4u + ${j}u) * b_stride + sizes.b_column;`))
      : repeat(groups, (g) => `  let b_at${g} = sizes.b_column + ${column(g)};`)
  }`;
}

/** Where the step's rows begin in the operands whose rows are the terms: all of B's, and of A's the lane's. */
function rowStarts({ form, lanes, kStep }: Shape): string {
  const a = repeat(kStep / lanes, (h) => `    let a_row${h} = (k + ${h * lanes}u + lane) * a_stride + a_at;`);
  const b = repeat(
    kStep,
    (q) => `    let b_row${q} = ${q === 0 ? "k * b_stride" : `b_row${q - 1} + b_stride`};`,
  );
  return `${form === "TN" ? a : ""}\n${form === "NT" ? "" : b}`;
}

/** Rows of C that one load of A serves. */
function rowsPerLoad({ form, lanes }: Shape): number {
  return form === "TN" ? 4 : lanes;
}

/**
 * The lane's rows of B for one column group, as b{group}_{k}, for NT to be turned yet.
 *
 * All loads of a turn come before its first sum: in Mesa 25 a load is a call, before which every register is written to
 * memory, the sums too where there are any.
 */
function loadB({ form, b, kStep }: Shape, g: number): string {
  if (form !== "NT") {
    return repeat(
      kStep,
      (q) => `    let b${g}_${q} = ${quad("b", b, `b_at${g} + b_row${q}`, `k + ${q}u < sizes_k`)};`,
    );
  }
  return repeat(
    4,
    (j) =>
      repeat(
        kStep / 4,
        (h) => `    let t${g}_${j}_${h} = ${quad("b", b, `b_at${g}_${j} + k4 + ${h}u`, `b_in${g}_${j}`)};`,
      ),
  );
}

/** Turns the four columns along k that NT loads into rows, as b{group}_{k}. */
function turnB({ kStep }: Shape, g: number): string {
  return repeat(kStep, (q) => {
    const parts = [0, 1, 2, 3].map((j) => `t${g}_${j}_${q >> 2}.${component(q)}`);
    return `    let b${g}_${q} = vec4f(${parts.join(", ")});`;
  });
}

/**
 * Whether the tile's lines of the result are asked for before the loop. Results lie in memory that no cache holds, and a
 * store to it waits; asked for together they wait together. With many terms, as TN has them, it does not pay.
 */
function touchesResult({ form, accumulate, half }: Shape): boolean {
  return form !== "TN" && !accumulate && !half;
}

/** Reads a value of each 64-byte line of the tile in the result, and in what is added to it or multiplied with it. */
function touchResult({ lanes, rows, groups, gelu, residual, slope }: Shape): string {
  const perRow = lanes * groups / lineQuads; // lines of a row: as many lanes ask for it
  const read = [
    (at: string) => `c[${at}]`,
    ...(gelu === "also" ? [(at: string) => `activated[${at}]`] : []),
    ...(residual ? [(at: string) => `residual(${at})`] : []),
    ...(slope ? [(at: string) => `slope(${at})`] : []),
  ];
  return `
  let touched_column = c_column + min(column0 + (lane % ${perRow}u) * 4u, sizes_n4 - 1u);
${
    repeat(rows * perRow / lanes, (i) => {
      const row = `min(row0 + ${i * lanes / perRow}u + lane / ${perRow}u, sizes_m - 1u)`;
      return read.map((value) => `  touched += ${value(`${row} * c_stride + touched_column`)}.x;`).join(
        "\n",
      );
    })
  }`;
}

/** Quads of a line of a cache, 64 bytes. */
const lineQuads = 4;

/**
 * Adds the products of all rows. A step's terms are added up by themselves first: what a loop carries along is read and
 * written under a mask, so that it is touched once.
 */
function multiply(shape: Shape): string {
  const { form, lanes, columnSums, rows, groups, kStep } = shape;
  const served = rowsPerLoad(shape);
  return repeat(rows / served, (load) => {
    const value = (r: number, q: number) =>
      form === "TN"
        ? `subgroupBroadcast(a${load}_${Math.floor(q / lanes)}.${component(r)}, ${q % lanes}u)`
        : `subgroupBroadcast(a${load}_${q >> 2}.${component(q)}, ${r}u)`;
    const sums = columnSums ? repeat(kStep / lanes, (h) => `    sum${load} += a${load}_${h};`) : "";
    const products = repeat(served, (r) => {
      const row = load * served + r;
      const broadcasts = repeat(kStep, (q) => `    let s${row}_${q} = ${value(r, q)};`);
      const adds = repeat(groups, (g) => {
        const terms = repeat(kStep - 1, (q) => `    step${row}_${g} += s${row}_${q + 1} * b${g}_${q + 1};`);
        return `    var step${row}_${g} = s${row}_0 * b${g}_0;\n${terms}\n    c${row}_${g} += step${row}_${g};`;
      });
      return `${broadcasts}\n${adds}`;
    });
    return `${sums}\n${products}`;
  });
}

/**
 * For TN four columns of A, a term in each lane, as a{load}_{term / lanes}; else rows in lanes, as a{load}_{term / 4}. So the
 * lanes of a load lie in different rows of A as it is stored, and it asks for as many lines at a time as there are lanes; its
 * values are passed on by broadcasts anyway.
 */
function loadA({ form, a, lanes, kStep }: Shape, load: number): string {
  if (form === "TN") {
    return repeat(kStep / lanes, (h) => {
      const inside = `k + ${h * lanes}u + lane < sizes_k`;
      return `    let a${load}_${h} = ${quad("a", a, `a_row${h} + ${load}u`, inside)};`;
    });
  }
  return repeat(kStep / 4, (h) => {
    const inside = `${a.endsWith("texture") ? "" : `a_in${load} && `}k4 + ${h}u < sizes_k / 4u`;
    return `    let a${load}_${h} = ${quad("a", a, `a_at${load} + k4 + ${h}u`, inside, true)};`;
  });
}

/**
 * Adds what the variant adds to the sums of one column group and writes them. GELU besides is made from what was written, in
 * a loop: written out for each row, its values and its stores would take longer to compile than the rest of the kernel.
 */
function store({ lanes, rows, bias, residual, slope, gelu, half, accumulate }: Shape, g: number): string {
  const lines = repeat(rows, (r) => {
    const sum = [
      `${bias ? `(c${r}_${g} + add)` : `c${r}_${g}`} * sizes_scale`,
      ...(residual ? ["residual(at)"] : []),
      ...(accumulate ? ["c[at]"] : []),
    ].join(" + ");
    return `    if (row0 + ${r}u < sizes_m) {
      let at = (row0 + ${r}u) * c_stride + column;
      let value = ${asStored(slope ? `(${sum}) * gelu_slope4(slope(at))` : sum, half)};
      c[at] = ${gelu === "instead" ? asStored("gelu4(vec4f(value))", half) : "value"};
    }`;
  });
  return `  if (column0 + ${g * lanes}u + lane < sizes_n4) {
    let column = c_column + column0 + ${g * lanes}u + lane;
    ${bias ? "let add = bias(column);" : ""}
${lines}${
    gelu === "also"
      ? `
    for (var row = row0; row < min(row0 + ${rows}u, sizes_m); row++) {
      let at = row * c_stride + column;
      activated[at] = ${asStored("gelu4(vec4f(c[at]))", half)};
    }`
      : ""
  }
  }`;
}

/** Adds up the lanes' sums and writes them; only the first tile of each row does: they do not depend on the columns. */
function storeSums({ lanes, rows, accumulate }: Shape): string {
  const totals = repeat(rows / 4, (quad) => {
    const rounds = repeat(
      Math.log2(lanes),
      (i) => `    sum${quad} += subgroupShuffleXor(sum${quad}, ${1 << i}u);`,
    );
    return `${rounds}\n    total${Math.floor(quad / lanes)} = select(total${
      Math.floor(quad / lanes)
    }, sum${quad}, lane == ${quad % lanes}u);`;
  });
  const stores = repeat(rows / (4 * lanes), (g) =>
    `    if (row0 / 4u + ${g * lanes}u + lane < sizes_m / 4u) {
      sums[sizes.a_column + row0 / 4u + ${g * lanes}u + lane] ${
      accumulate ? "+=" : "="
    } total${g} * sizes_scale;
    }`);
  return `  if (tile.y == 0u) {
${repeat(rows / (4 * lanes), (g) => `    var total${g} = vec4f();`)}
${totals}
${stores}
  }`;
}
