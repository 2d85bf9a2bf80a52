/**
 * Building blocks of the attention kernels in `attention_tiles.ts`: tiles of rows in workgroup memory, products of owned
 * with streamed rows, and sums of streamed rows by weights.
 */
import type { AttentionShape, Rows } from "./attention_shape.ts";
import { component, repeat } from "../templates/wgsl.ts";

/** Threads along each side of a block of scores. */
export const side = 8;
/** Rows that a thread owns, and streamed rows of which it makes scores. */
const perThread = 4;
/** Rows of a block. */
export const tileRows = side * perThread;
const threads = side * side;
/** Quads from row to row in a tile of eight: odd, so that neighbouring rows lie in different banks. */
const stride = side + 1;

/** Bytes of workgroup memory to use where there is more than the 16 KiB that every device has. */
const mostBytes = 20 * 1024;

/** A head in chunks of at most eight quads, which are in workgroup memory together. */
interface Chunks {
  /** How many. */
  readonly count: number;
  /** Quads of each; the last may reach beyond the head. */
  readonly size: number;
  /** Quads of the head. */
  readonly quads: number;
}

function chunksOf({ headWidth }: AttentionShape): Chunks {
  const quads = headWidth / 4;
  const count = Math.ceil(quads / side);
  return { count, size: Math.ceil(quads / count), quads };
}

/** Code for each chunk. */
export function eachChunk(shape: AttentionShape, make: (chunk: number) => string): string {
  return repeat(chunksOf(shape).count, make);
}

/** What one kernel keeps in workgroup memory of the rows it owns. */
export interface Owned {
  /** The rows. */
  readonly rows: readonly Rows[];
  /** Whether all of them stay there; else they are loaded chunk by chunk for every block. */
  readonly resident: boolean;
  /** Quads from row to row. */
  readonly stride: number;
}

/** How owned rows are kept: those of narrow heads stay, if there is the memory for it. */
export function ownedRows(rows: readonly Rows[], shape: AttentionShape, workgroupBytes: number): Owned {
  const { count, size } = chunksOf(shape);
  const whole = count * size | 1;
  const others = 2 * tileRows * stride + threads;
  const fits = 16 * (rows.length * tileRows * whole + others) <= Math.min(workgroupBytes, mostBytes);
  return { rows, resident: fits, stride: fits ? whole : stride };
}

const ownTile = (owned: Owned, rows: Rows) => owned.resident ? `own_${rows.name}` : "own";

function declareTiles(owned: Owned): string {
  const tiles = owned.resident ? owned.rows.map((rows) => ownTile(owned, rows)) : ["own"];
  return `
${tiles.map((name) => `var<workgroup> ${name}: array<vec4f, ${tileRows * owned.stride}>;`).join("\n")}
var<workgroup> streamed: array<vec4f, ${tileRows * stride}>;
var<workgroup> weights: array<vec4f, ${tileRows * stride}>; // [owned row][quad of streamed rows]
var<workgroup> shared4: array<vec4f, ${threads}>; // one quad per thread, for sums over the threads of a row`;
}

/** Where quads of a tile's 32 rows come from and go to. */
interface TileLoad {
  readonly tile: string;
  /** Quads from row to row of the tile. */
  readonly stride: number;
  readonly rows: Rows;
  /** The row of the batch, from the row of the tile. */
  readonly row: (r: string) => string;
  /** First quad of the head, an expression. */
  readonly first: string;
  /** Quads of each row. */
  readonly count: number;
  /** Set where quads beyond the head are wanted as zeros: the head's quads. */
  readonly end?: number;
}

/** Threads load a tile: side by side in memory, side by side in the tile; all loads start before the first has come. */
function loadTile({ tile, stride, rows, row, first, count, end }: TileLoad): string {
  const total = tileRows * count;
  const loads = Math.ceil(total / threads);
  const partial = (i: number) => (i + 1) * threads > total;
  return `    {
${
    repeat(loads, (i) => {
      const place = `thread + ${i * threads}u`;
      const value = rows.load(row(`r${i}`), `${first} + c${i}`);
      return `      let i${i} = ${partial(i) ? `min(${place}, ${total - 1}u)` : place};
      let r${i} = i${i} / ${count}u;
      let c${i} = i${i} % ${count}u;
      let value${i} = ${
        end === undefined ? value : `select(vec4f(), ${value}, ${first} + c${i} < ${end}u)`
      };`;
    })
  }
${
    repeat(loads, (i) => {
      const line = `${tile}[r${i} * ${stride}u + c${i}] = value${i};`;
      return partial(i) ? `      if (thread < ${total - i * threads}u) { ${line} }` : `      ${line}`;
    })
  }
    }`;
}

/** The row of the batch that a workgroup's row r is; rows beyond the last are the last again, and not stored. */
export function ownRow(r: string): string {
  return `image + min(row0 + ${r}, tokens - 1u)`;
}

const streamedRow = (r: string) => `image + min(block + ${r}, tokens - 1u)`;
/** Rows 4·tx to 4·tx + 3 lie 8 apart, so that the threads of one load read neighbouring rows. */
const spreadRow = (r: string) => streamedRow(`(${r} % ${side}u) * ${perThread}u + ${r} / ${side}u`);

/** Code for each of the thread's four owned rows. */
export function eachRow(make: (r: number) => string): string {
  return repeat(perThread, make);
}

/** A vector of four expressions. */
export function vec4Of(make: (i: number) => string): string {
  return `vec4f(${[0, 1, 2, 3].map(make).join(", ")})`;
}

/** A loop whose body is written out so many times: more would take software adapters minutes to compile. */
const unrolled = 2;

/** Code for the indices 0 … count − 1, given an expression of the index. */
function steps(count: number, make: (index: string) => string): string {
  const whole = count - count % unrolled;
  const inLoop = repeat(unrolled, (i) => `      {${make(i === 0 ? "index" : `(index + ${i}u)`)}\n      }`);
  const loop = `    for (var index = 0u; index < ${whole}u; index += ${unrolled}u) {\n${inLoop}\n    }`;
  const rest = repeat(count - whole, (i) => `    {${make(`${whole + i}u`)}\n    }`);
  return whole > 0 ? `${loop}\n${rest}` : rest;
}

/** Makes `NAME0 … NAME3`: products of the thread's owned rows with the four streamed rows 4·tx … 4·tx + 3 of the block. */
export function scores(name: string, owned: Owned, own: Rows, streamed: Rows, shape: AttentionShape): string {
  const { count, size, quads } = chunksOf(shape);
  const tile = ownTile(owned, own);
  const chunk = { stride, first: "first", count: size, end: count * size > quads ? quads : undefined };
  const place = owned.resident ? "first + " : "";
  return `
${eachRow((r) => `    var ${name}${r} = vec4f();`)}
    for (var first = 0u; first < ${count * size}u; first += ${size}u) {
    workgroupBarrier();
${owned.resident ? "" : loadTile({ ...chunk, tile, rows: own, row: ownRow })}
${loadTile({ ...chunk, tile: "streamed", rows: streamed, row: spreadRow })}
    workgroupBarrier();
${
    steps(size, (c) => `
${repeat(perThread, (j) => `      let b${j} = streamed[(${j * side}u + tx) * ${stride}u + ${c}];`)}
${
      eachRow((r) =>
        `      let a${r} = ${tile}[(${r * side}u + ty) * ${owned.stride}u + ${place}${c}];
      ${name}${r} += ${vec4Of((j) => `dot(a${r}, b${j})`)};`
      )
    }`)
  }
    }`;
}

/**
 * Adds weights · streamed rows to the thread's quads `TARGETr_v` of the result: its rows, quad tx of every chunk v.
 * @param weight variables of the weights, one quad of streamed rows per owned row
 * @param synchronized whether a barrier has just passed since the tiles were read
 */
export function accumulate(
  target: string,
  weight: string,
  rows: Rows,
  shape: AttentionShape,
  synchronized = false,
): string {
  const { size } = chunksOf(shape);
  const load = { tile: "streamed", stride, rows, row: streamedRow, count: size };
  return eachChunk(shape, (v) => `
${v === 0 && synchronized ? "" : "    workgroupBarrier();"}
${v === 0 ? eachRow((r) => `    weights[(${r * side}u + ty) * ${stride}u + tx] = ${weight}${r};`) : ""}
${loadTile({ ...load, first: `${v * size}u` })}
    workgroupBarrier();
${
    steps(side, (q) => `
${repeat(4, (j) => `      let b${j} = streamed[(4u * ${q} + ${j}u) * ${stride}u + tx];`)}
${
      eachRow((r) =>
        `      let w${r} = weights[(${r * side}u + ty) * ${stride}u + ${q}];
      ${target}${r}_${v} += ${[0, 1, 2, 3].map((j) => `w${r}.${component(j)} * b${j}`).join(" + ")};`
      )
    }`)
  }`);
}

/** Makes the thread's quads of a result, as `accumulate` adds to them. */
export function declareTargets(target: string, shape: AttentionShape): string {
  return eachChunk(shape, (v) => eachRow((r) => `  var ${target}${r}_${v} = vec4f();`));
}

/** Stores the thread's quads of a result, given the place of a row's quad. */
export function store(
  shape: AttentionShape,
  value: (r: number, v: number) => string,
  place: (row: string, quad: string) => string,
): string {
  const { size, quads } = chunksOf(shape);
  return eachRow((r) =>
    `  if (row0 + ${r * side}u + ty < tokens) {
    let row = image + row0 + ${r * side}u + ty;
${
      eachChunk(shape, (v) => {
        const line = `${place("row", `(head4 + ${v * size}u + tx)`)} = ${value(r, v)};`;
        const here = Math.min(size, quads - v * size);
        return here === side ? `    ${line}` : `    if (tx < ${here}u) { ${line} }`;
      })
    }
  }`
  );
}

/** `NAME` of each thread becomes the combination over the eight threads that own the same rows. */
export function overRow(name: string, combine: (a: string, b: string) => string): string {
  const others = Array.from({ length: side }, (_, i) => `shared4[ty * ${side}u + ${i}u]`);
  return `    shared4[thread] = ${name};
    workgroupBarrier();
    ${name} = ${others.reduce(combine)};`;
}

/**
 * The entry point.
 * @param before code before the loop over blocks of streamed rows; knows `thread`, `tx`, `ty` (its place along the streamed
 * and the owned rows), `tokens`, `row0`, `image` (first owned row, first row of the image), `head4` and `statistic0`
 * @param block code for one block; knows `block`, its first row, and `inside`, which of four streamed rows exist
 * @param after code after the loop
 */
export function main(
  shape: AttentionShape,
  owned: Owned,
  before: string,
  block: string,
  after: string,
): string {
  const quads = shape.headWidth / 4;
  const whole = { stride: owned.stride, row: ownRow, first: "0u", count: quads };
  const resident = owned.resident
    ? owned.rows.map((rows) => loadTile({ ...whole, tile: ownTile(owned, rows), rows }))
    : [];
  return `
${declareTiles(owned)}
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
  let tokens = sizes.x;
  let tx = thread % ${side}u;
  let ty = thread / ${side}u;
  let row0 = id.x * ${tileRows}u;
  let image = id.z * tokens;
  let head4 = id.y * ${quads}u;
  let statistic0 = (id.z * ${shape.heads}u + id.y) * tokens;
${resident.join("\n")}
${before}
  for (var block = 0u; block < tokens; block += ${tileRows}u) {
    let inside = vec4u(block + ${perThread}u * tx) + vec4u(0u, 1u, 2u, 3u) < vec4u(tokens);
${block}
  }
${after}
}`;
}

/** Stores one value per owned row, a component of `value` for each of the thread's rows, in an array of statistics. */
export function storeStatistic(array: string, value: string): string {
  return eachRow((r) =>
    `  if (tx == 0u && row0 + ${r * side}u + ty < tokens) {
    ${array}[statistic0 + row0 + ${r * side}u + ty] = ${value}.${component(r)};
  }`
  );
}

/** A quad of a statistic: of the thread's owned rows, or of the streamed rows 4·tx … 4·tx + 3. */
export function statistic(array: string, of: "own" | "streamed"): string {
  const row = (i: number) => of === "own" ? `row0 + ${i * side}u + ty` : `block + ${perThread}u * tx + ${i}u`;
  return vec4Of((i) => `${array}[statistic0 + min(${row(i)}, tokens - 1u)]`);
}
