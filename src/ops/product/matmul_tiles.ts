/**
 * Matrix product for GPUs: tiles in workgroup memory, blocks of C in registers.
 *
 * A workgroup makes a tile of `rows` x `columns` of C. In each turn of the loop over k it brings `kStep` terms of A's
 * rows and B's columns into workgroup memory, in the precision they are stored in, while what the next turn needs is
 * already on its way from memory; then each thread multiplies `threadRows` x `threadColumns` of them into registers, in
 * single precision. Two barriers per turn. With `lanes` > 1 the threads of a subgroup lie side by side along the columns
 * and get A from each other's registers: only B goes through workgroup memory.
 *
 * Every sum runs over k in order, one fused multiply-add per term, whatever the plan: the choice of a plan does not
 * change a bit of the result. Where workgroups share the terms (`product_pieces.ts`), that holds for each piece.
 *
 * Work: 2·m·n·k operations; traffic from memory per tile (rows + columns) · k values, from workgroup memory per thread
 * and term threadRows + threadColumns values for 2 · threadRows · threadColumns operations.
 */
import type { KernelSource } from "../../gpu/kernel.ts";
import { type ProductVariant, variantName } from "./product_form.ts";
import { productDeclarations, storeFunction } from "./product_wgsl.ts";
import { type TilesPlan, tilesThreads } from "./tiles_plan.ts";
import { component, repeat } from "../templates/wgsl.ts";

/** What one operand is to the tiles: its lines are rows of C for A, columns of C for B. */
interface Side {
  readonly name: "a" | "b";
  /** Whether four values side by side are four terms of one line; else they are one term of four lines. */
  readonly deep: boolean;
  /** How a quad is kept in workgroup memory. */
  readonly quad: "vec4f" | "vec4<f16>";
  /** Which tile of the side the threads work on that share it. */
  readonly tile: string;
  /** Lines of that tile. */
  readonly lines: number;
  /** Threads along the lines, and a thread's place among them. */
  readonly threads: number;
  readonly place: string;
  /** Threads that bring the tile, and a thread's place among them. */
  readonly movers: number;
  readonly mover: string;
}

/** What the body is generated from. */
interface Shape extends TilesPlan {
  readonly variant: ProductVariant;
  readonly a: Side;
  readonly b: Side;
}

function shapeOf(variant: ProductVariant, plan: TilesPlan): Shape {
  const { rows, columns, threadRows, threadColumns, lanes } = plan;
  const quadOf = (storage: string) => storage.startsWith("half") ? "vec4<f16>" : "vec4f";
  const movers = tilesThreads(plan);
  const wholeWorkgroup = { movers, mover: "index" };
  const b: Side = {
    name: "b",
    deep: variant.form === "NT",
    quad: quadOf(variant.b),
    tile: "tile.y",
    lines: columns,
    threads: columns / threadColumns,
    place: "tx",
    ...wholeWorkgroup,
  };
  const a = { name: "a", deep: variant.form !== "TN" } as const;
  const threads = rows / threadRows;
  const subgroups: Side = {
    ...a,
    quad: "vec4f",
    tile: `(tile.x * ${threads}u + ty)`,
    lines: threadRows,
    threads: 1,
    place: "0u",
    movers: lanes,
    mover: "tx",
  };
  const together: Side = {
    ...a,
    quad: quadOf(variant.a),
    tile: "tile.x",
    lines: rows,
    threads,
    place: "ty",
    ...wholeWorkgroup,
  };
  return { ...plan, variant, a: lanes > 1 ? subgroups : together, b };
}

/** The kernel; its bindings are those of `ProductVariant`. */
export function tilesSource(variant: ProductVariant, plan: TilesPlan): KernelSource {
  const { rows, columns, threadRows, threadColumns, kStep, lanes } = plan;
  const shape = shapeOf(variant, plan);
  const { a, b } = shape;
  return {
    name: ["matmul_tiles", rows, columns, threadRows, threadColumns, kStep, lanes, variantName(variant)]
      .join("_"),
    code: () => `
${productDeclarations(variant)}
${[a, b].map((side) => fetchFunction(side, kStep)).join("\n")}
${tiled(shape).map((side) => tileFunction(side, kStep)).join("\n")}
${variant.pieces ? "var<private> piece: u32;" : ""}
${storeFunction(variant)}
@compute @workgroup_size(${tilesThreads(plan)})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) index: u32) {
${body(shape)}
}`,
  };
}

/** The sides that go through workgroup memory. */
function tiled({ a, b, lanes }: Shape): Side[] {
  return lanes > 1 ? [b] : [a, b];
}

/** The function `fetch_NAME(tile, k, end, i)`: quad i of the turn that starts at term k; 0 from term `end` on. */
function fetchFunction({ name, deep, lines, quad }: Side, kStep: number): string {
  const [line4, term] = deep
    ? [`(tile * ${lines}u + i / ${kStep / 4}u)`, `k / 4u + i % ${kStep / 4}u`]
    : [`tile * ${lines / 4}u + i % ${lines / 4}u`, `(k + i / ${lines / 4}u)`];
  const stride = `sizes.${name}_stride`;
  const at = deep ? `${line4} * ${stride} + ${term}` : `${term} * ${stride} + ${line4}`;
  return `
fn fetch_${name}(tile: u32, k: u32, end: u32, i: u32) -> ${quad} {
  let value = ${name}(sizes.${name}_column + ${at});
  return select(${quad}(), ${quad}(value), ${term} < ${deep ? "end / 4u" : "end"});
}`;
}

/**
 * The side's workgroup memory, and the function `place_NAME(i, value)` that puts quad i of a turn there. Quads that
 * neighbouring threads read lie side by side, and all other indices of a read are constants. One quad of padding keeps
 * the writes of deep tiles apart in memory banks.
 */
function tileFunction({ name, deep, quad, lines, threads }: Side, kStep: number): string {
  const groups = lines / threads / 4;
  const extents = deep ? [threads + 1, kStep / 4, 4 * groups] : [threads, groups, kStep];
  const place = deep
    ? `let line = i / ${kStep / 4}u;
  ${name}_tile[line / ${4 * threads}u * 4u + line % 4u][i % ${kStep / 4}u][line / 4u % ${threads}u] = value;`
    : `let line4 = i % ${lines / 4}u;
  ${name}_tile[i / ${lines / 4}u][line4 / ${threads}u][line4 % ${threads}u] = value;`;
  return `
var<workgroup> ${name}_tile: ${extents.reduce((inner, count) => `array<${inner}, ${count}>`, quad as string)};
fn place_${name}(i: u32, value: ${quad}) {
  ${place}
}`;
}

/** A statement for each quad of the side that a thread moves in a turn; p counts them, i is the quad's number. */
function eachQuad(side: Side, kStep: number, make: (p: number, i: string) => string): string {
  const { lines, mover, movers } = side;
  const quads = lines * kStep / 4;
  return repeat(Math.ceil(quads / movers), (p) => {
    const i = p === 0 ? mover : `${mover} + ${p * movers}u`;
    const all = quads - p * movers >= movers;
    return all ? `    ${make(p, i)}` : `    if (${i} < ${quads}u) { ${make(p, i)} }`;
  });
}

/** Quads of the side that a thread moves in a turn. */
function movesOf({ lines, movers }: Side, kStep: number): number {
  return Math.ceil(lines * kStep / 4 / movers);
}

function body(shape: Shape): string {
  const { a, b, variant, threadRows, kStep } = shape;
  const fetch = (side: Side, k: string) =>
    eachQuad(
      side,
      kStep,
      (p, i) => `${side.name}_next${p} = fetch_${side.name}(${side.tile}, ${k}, end, ${i});`,
    );
  const place = (side: Side) =>
    eachQuad(side, kStep, (p, i) => `place_${side.name}(${i}, ${side.name}_next${p});`);
  const declare = (side: Side) =>
    repeat(movesOf(side, kStep), (p) => `  var ${side.name}_next${p} = ${side.quad}();`);
  return `  let tx = index % ${b.threads}u;
  let ty = index / ${b.threads}u;
${pieceOfTerms(variant)}
${repeat(threadRows, (r) => repeat(groupsOf(b), (g) => `  var c${r}_${g} = vec4f();`))}
${variant.columnSums ? declareSums(shape) : ""}
${[a, b].map(declare).join("\n")}
${[a, b].map((side) => fetch(side, "start")).join("\n")}
  for (var k = start; k < end; k += ${kStep}u) {
${tiled(shape).map(place).join("\n")}
${tiled(shape).includes(a) ? "" : repeat(movesOf(a, kStep), (p) => `    let own${p} = a_next${p};`)}
    workgroupBarrier();
${[a, b].map((side) => fetch(side, `k + ${kStep}u`)).join("\n")}
${variant.columnSums ? addTileToSums(shape) : ""}
${repeat(kStep / 4, (k4) => multiplyQuad(shape, k4))}
    workgroupBarrier();
  }
${repeat(threadRows, (r) => repeat(groupsOf(b), (g) => `  ${store(shape, r, g)}`))}
${variant.columnSums ? storeSums(shape) : ""}`;
}

/** The first of the workgroup's terms, and the one after its last. */
function pieceOfTerms({ pieces }: ProductVariant): string {
  if (!pieces) return "  let start = 0u;\n  let end = sizes.k;";
  return `  piece = tile.z;
  let start = tile.z * sizes.piece;
  let end = min(sizes.k, start + sizes.piece);`;
}

/** Groups of four lines that a thread has; they are `threads` groups apart. */
function groupsOf({ lines, threads }: Side): number {
  return lines / threads / 4;
}

/** Adds four terms to all sums of the thread. */
function multiplyQuad(shape: Shape, k4: number): string {
  const { a, b, threadRows } = shape;
  const rows = tiled(shape).includes(a) && a.deep
    ? repeat(threadRows, (r) => `    let row${r} = vec4f(a_tile[${r}][${k4}][ty]);`)
    : "";
  // A deep B comes four columns at a time, so that few registers hold it.
  const products = b.deep
    ? repeat(groupsOf(b), (g) =>
      `    {
${repeat(4, (j) => `    let column${j} = vec4f(b_tile[${4 * g + j}][${k4}][tx]);`)}
${repeat(4, (q) => multiply(shape, k4, q, [g]))}
    }`)
    : repeat(4, (q) => multiply(shape, k4, q, Array.from({ length: groupsOf(b) }, (_, g) => g)));
  return `    {\n${rows}\n${products}\n    }`;
}

/** Adds term 4·k4 + q of the turn to the sums in these groups of columns. */
function multiply(shape: Shape, k4: number, q: number, groups: readonly number[]): string {
  const { a, b, threadRows, variant } = shape;
  const k = 4 * k4 + q;
  const together = tiled(shape).includes(a);
  const rows = together && !a.deep
    ? repeat(groupsOf(a), (h) => `    let rows${h} = vec4f(a_tile[${k}][${h}][ty]);`)
    : "";
  const left = (r: number) =>
    !together ? fromLane(shape, r, k) : a.deep ? `row${r}.${component(q)}` : `rows${r >> 2}.${component(r)}`;
  const right = (g: number) =>
    b.deep
      ? `vec4f(${[0, 1, 2, 3].map((j) => `column${j}.${component(q)}`).join(", ")})`
      : `vec4f(b_tile[${k}][${g}][tx])`;
  const products = groups.map((g) =>
    `    let b${g} = ${right(g)};
${repeat(threadRows, (r) => `    c${r}_${g} = fma(left${r}, b${g}, c${r}_${g});`)}`
  );
  return `    {
${rows}
${repeat(threadRows, (r) => `    let left${r} = vec4f(${left(r)});`)}
${variant.columnSums && !together ? addRowsToSums(shape) : ""}
${products.join("\n")}
    }`;
}

/** Term k of row r from the lane that fetched it. */
function fromLane({ a, threadRows, kStep, lanes }: Shape, r: number, k: number): string {
  const quad = a.deep ? r * (kStep / 4) + (k >> 2) : k * (threadRows / 4) + (r >> 2);
  return `subgroupBroadcast(own${Math.floor(quad / lanes)}.${component(a.deep ? k : r)}, ${quad % lanes}u)`;
}

function store({ a, b, columns }: Shape, r: number, g: number): string {
  const row = `${a.tile} * ${a.lines}u + (${(r >> 2) * a.threads}u + ${a.place}) * 4u + ${r % 4}u`;
  return `store(${row}, tile.y * ${columns / 4}u + ${g * b.threads}u + tx, c${r}_${g});`;
}

// Column sums of A, for TN. Only the first tile of each row of tiles makes them, as they do not depend on the columns.
// Like every sum they run over k in order: one thread per four rows, or each subgroup's first lane for its own rows.

function declareSums(shape: Shape): string {
  const count = tiled(shape).includes(shape.a) ? 1 : groupsOf(shape.a);
  return repeat(count, (h) => `  var sum${h} = vec4f();`);
}

function addTileToSums(shape: Shape): string {
  const { a, kStep } = shape;
  if (!tiled(shape).includes(a)) return "";
  return `    if (tile.y == 0u && index < ${a.lines / 4}u) {
${repeat(kStep, (k) => `      sum0 += vec4f(a_tile[${k}][index / ${a.threads}u][index % ${a.threads}u]);`)}
    }`;
}

function addRowsToSums({ a }: Shape): string {
  const rows = (h: number) => [0, 1, 2, 3].map((j) => `left${4 * h + j}.x`).join(", ");
  return repeat(groupsOf(a), (h) => `    sum${h} += vec4f(${rows(h)});`);
}

function storeSums(shape: Shape): string {
  const { a, variant } = shape;
  const together = tiled(shape).includes(a);
  const first = together ? `index < ${a.lines / 4}u` : "tx == 0u";
  return repeat(together ? 1 : groupsOf(a), (h) => {
    const row4 = `${a.tile} * ${a.lines / 4}u + ${together ? "index" : `${h}u`}`;
    return `  if (tile.y == 0u && ${first} && ${row4} < sizes.m / 4u) {
    sums[${variant.pieces ? "piece * (sizes.m / 4u)" : "sizes.a_column"} + ${row4}] ${
      variant.accumulate ? "+=" : "="
    } sum${h} * sizes.scale;
  }`;
  });
}
