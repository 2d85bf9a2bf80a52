/**
 * Attention for CPU adapters, flash style (Dao et al. 2022): scores are made block by block in registers and never
 * stored. One subgroup works on a few rows of one head; rows are broadcast from lane to lane, streamed rows lie across
 * the lanes. No barrier, no workgroup memory, no atomics.
 *
 * Work, with T tokens and width d per head: forward 4·T²·d operations, backward 14·T²·d (the scores are made twice).
 * Traffic: every workgroup streams T·2·d values, so (T / rows)·T·2·d·4 bytes per head.
 */
import type { Storage } from "../../gpu/operand.ts";
import {
  type AttentionShape,
  type AttentionStorages,
  headQuads,
  packedRows,
  rowLoader,
  type Rows,
  scoreScale,
  storesHalf,
  upstreamRows,
} from "./attention_shape.ts";
import { asStored, bindings, declareQuads, declareResult, loadQuads, repeat } from "../templates/wgsl.ts";

/** Sizes, and the lanes of a subgroup. */
export interface LanesShape extends AttentionShape {
  /** Lanes of a subgroup. */
  readonly lanes: number;
}

/**
 * Rows that a workgroup owns. Each load of a streamed row serves all owned rows, and all their sums live in registers: heads
 * that take one or two quads of a lane leave room for more owned rows, unless many of them would lie behind the last token
 * (measured on llvmpipe with 8 lanes).
 */
function ownedRows({ tokens, headWidth, lanes }: LanesShape): number {
  const [few, many] = [Math.min(8, lanes), Math.min(16, 2 * lanes)];
  const inAll = (rows: number) => Math.ceil(tokens / rows) * rows;
  if (headWidth <= 4 * lanes) return many;
  return headWidth <= 8 * lanes && inAll(many) <= 1.05 * inAll(few) ? many : few;
}

/** Most streamed rows per lane in one block: with more, the code of a loop outgrows the cache for instructions. */
const longestStream = 5;

/** How the work of one shape is dealt out to workgroups and lanes. */
export interface Plan {
  /** Rows that one workgroup owns. */
  readonly rows: number;
  /** Streamed rows per lane in one block. */
  readonly stream: number;
  /** Quads of a head. */
  readonly quads: number;
  /** Quads of a head per lane. */
  readonly parts: number;
}

/**
 * Streamed rows per lane in one block: as many as may be, but fewer where whole blocks then hold at least a sixteenth fewer
 * rows in all, for rows behind the last one cost as much as others.
 */
function streamOf(perLane: number): number {
  const inBlocks = (stream: number) => Math.ceil(perLane / stream) * stream;
  let best = Math.ceil(perLane / Math.ceil(perLane / longestStream));
  for (let stream = best - 1; stream >= 3; stream--) {
    if (inBlocks(stream) <= inBlocks(best) * 15 / 16) best = stream;
  }
  return best;
}

/** How a shape's rows are dealt out. */
export function planOf(shape: LanesShape): Plan {
  const { tokens, headWidth, lanes } = shape;
  const quads = headWidth / 4;
  return {
    rows: ownedRows(shape),
    stream: streamOf(Math.ceil(tokens / lanes)),
    quads,
    parts: Math.ceil(quads / lanes),
  };
}

/** Loads that it takes the lanes to hold one quad of every owned row. */
function ownGroups({ lanes }: LanesShape, { rows }: Plan): number {
  return Math.ceil(rows / lanes);
}

/** Start of a kernel: which head, which rows; then the loop over blocks of streamed rows. */
function main(shape: LanesShape, plan: Plan, before: string, block: string, after: string): string {
  return `
@compute @workgroup_size(${shape.lanes})
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tokens = sizes.x;
  let row0 = id.x * ${plan.rows}u;
  let image = id.z * tokens;
  let head4 = id.y * ${plan.quads}u;
${
    repeat(ownGroups(shape, plan), (g) =>
      `  let own${g} = image + min(row0 + ${g * shape.lanes}u + lane % ${plan.rows}u, tokens - 1u);`)
  }
  let statistic0 = (id.z * ${shape.heads}u + id.y) * tokens;
${before}
  for (var block = 0u; block < tokens; block += ${shape.lanes * plan.stream}u) {
${block}
  }
${after}
}`;
}

/**
 * Scores of all owned rows with the block's streamed rows: one sum per owned row, streamed group and pair. Each pair has a
 * loop of its own, since shorter code runs faster.
 */
function scores(
  shape: LanesShape,
  plan: Plan,
  pairs: { sum: string; own: Rows; streamed: Rows }[],
): string {
  const streamedRows = repeat(
    plan.stream,
    (j) => `    let streamed${j} = image + min(block + ${j * shape.lanes}u + lane, tokens - 1u);`,
  );
  const loops = pairs.map(({ sum, own, streamed }) => `
${repeat(plan.rows, (r) => repeat(plan.stream, (j) => `    var ${sum}${r}_${j} = 0.0;`))}
    for (var c = 0u; c < ${plan.quads}u; c++) {
${repeat(ownGroups(shape, plan), (g) => `      let own${g}_quad = ${own.load(`own${g}`, "c")};`)}
${repeat(plan.stream, (j) => `      let other${j} = ${streamed.load(`streamed${j}`, "c")};`)}
${
    repeat(plan.rows, (r) => `
      let row${r} = subgroupBroadcast(own${Math.floor(r / shape.lanes)}_quad, ${r % shape.lanes}u);
${repeat(plan.stream, (j) => `      ${sum}${r}_${j} += dot(row${r}, other${j});`)}`)
  }
    }`);
  return `${streamedRows}\n${loops.join("\n")}`;
}

/**
 * target_r += Σ over the block's streamed rows of weight_r · row, each lane holding its own quads of the target. With eight
 * lanes llvmpipe shuffles by a variable in one instruction, so that a short loop goes through the lanes; else it is unrolled.
 */
function accumulate(
  shape: LanesShape,
  plan: Plan,
  { target, weight, rows }: { target: string; weight: string; rows: Rows },
): string {
  const { lanes } = shape;
  const quad = (v: number) => `min(${v * lanes}u + lane, ${plan.quads - 1}u)`;
  const fromLane = (i: string, pass: string) => `
${repeat(plan.stream, (j) => `      let row${j} = image + min(block + ${j * lanes}u + ${i}, tokens - 1u);`)}
${
    repeat(plan.stream, (j) =>
      repeat(plan.parts, (v) => `      let v${j}_${v} = ${rows.load(`row${j}`, quad(v))};`))
  }
${
    repeat(plan.rows, (r) => {
      const weights = repeat(plan.stream, (j) => `      let w${r}_${j} = ${pass}(${weight}${r}_${j}, ${i});`);
      const terms = (v: number) => Array.from({ length: plan.stream }, (_, j) => `w${r}_${j} * v${j}_${v}`);
      return `${weights}
${repeat(plan.parts, (v) => `      ${target}${r}_${v} += ${terms(v).join(" + ")};`)}`;
    })
  }`;
  if (lanes !== 8) return repeat(lanes, (i) => `    {${fromLane(`${i}u`, "subgroupBroadcast")}\n    }`);
  return `    for (var i = 0u; i < ${lanes}u; i++) {${fromLane("i", "subgroupShuffle")}\n    }`;
}

/** Writes the owned rows' results to a quad of the output given by row and quad. */
function write(
  shape: LanesShape,
  plan: Plan,
  value: (r: number, v: number) => string,
  place: (row: string, quad: string) => string,
) {
  return repeat(
    plan.rows,
    (r) =>
      repeat(plan.parts, (v) =>
        `  if (row0 + ${r}u < tokens && ${v * shape.lanes}u + lane < ${plan.quads}u) {
    ${place(`(image + row0 + ${r}u)`, `(head4 + ${v * shape.lanes}u + lane)`)} = ${value(r, v)};
  }`),
  );
}

function overLanes(name: string, lanes: number, combine: (a: string, b: string) => string): string {
  return repeat(
    Math.log2(lanes),
    (i) => `    ${name} = ${combine(name, `subgroupShuffleXor(${name}, ${1 << i}u)`)};`,
  );
}

const inside = (shape: LanesShape, j: number) => `block + ${j * shape.lanes}u + lane < tokens`;

/** The forward kernel; bindings are the packed product, the result, log Σ exp of the scores, and the sizes. */
export function lanesForward(shape: LanesShape, storage: Storage): string {
  const plan = planOf(shape);
  const half = storesHalf(storage);
  const width4 = headQuads(shape);
  const [query, key, value] = packedRows(shape);
  const softmax = repeat(plan.rows, (r) => `
${
    repeat(plan.stream, (j) =>
      `    s${r}_${j} = select(-1e30, s${r}_${j} * ${scoreScale(shape)}, ${inside(shape, j)});`)
  }
    var top${r} = max(largest${r}, ${
    Array.from({ length: plan.stream }, (_, j) => `s${r}_${j}`).reduce((a, b) => `max(${a}, ${b})`)
  });
${overLanes(`top${r}`, shape.lanes, (a, b) => `max(${a}, ${b})`)}
    let shrink${r} = exp(largest${r} - top${r});
    largest${r} = top${r};
    total${r} *= shrink${r};
${repeat(plan.stream, (j) => `    s${r}_${j} = exp(s${r}_${j} - top${r});\n    total${r} += s${r}_${j};`)}
${repeat(plan.parts, (v) => `    o${r}_${v} *= shrink${r};`)}`);
  return `
${
    bindings(
      declareQuads("packed", storage),
      declareResult("attended", half),
      "var<storage, read_write> log_total: array<f32>;",
      "var<uniform> sizes: vec4u;",
    )
  }
${rowLoader("packed", storage, 3 * width4)}
${
    main(
      shape,
      plan,
      repeat(plan.rows, (r) => `
  var largest${r} = -1e30;
  var total${r} = 0.0;
${repeat(plan.parts, (v) => `  var o${r}_${v} = vec4f();`)}`),
      scores(shape, plan, [{ sum: "s", own: query, streamed: key }]) + softmax +
        accumulate(shape, plan, { target: "o", weight: "s", rows: value }),
      repeat(plan.rows, (r) => overLanes(`total${r}`, shape.lanes, (a, b) => `${a} + ${b}`)) +
        write(shape, plan, (r, v) =>
          asStored(`o${r}_${v} / total${r}`, half), (row, quad) =>
          `attended[${row} * ${width4}u + ${quad}]`) +
        repeat(plan.rows, (r) =>
          `  if (lane == 0u && row0 + ${r}u < tokens) {
    log_total[statistic0 + row0 + ${r}u] = largest${r} + log(total${r});
  }`),
    )
  }`;
}

/** Σ over a head of upstream · attended, for every row and head: what the softmax's gradient subtracts. */
export function lanesAlong(
  { heads, headWidth }: AttentionShape,
  { upstream, attended }: Omit<AttentionStorages, "packed">,
): string {
  const quads = headWidth / 4;
  return `
${
    bindings(
      declareQuads("upstream", upstream),
      declareQuads("attended", attended),
      "var<storage, read_write> along: array<f32>;",
      "var<uniform> sizes: vec4u;",
    )
  }
${loadQuads("upstream", upstream)}
${loadQuads("attended", attended)}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * sizes.z; // [image, head, token]
  if (i >= sizes.y) { return; }
  let row = i / (${heads}u * sizes.x) * sizes.x + i % sizes.x;
  let start = (row * ${heads}u + i / sizes.x % ${heads}u) * ${quads}u;
  var total = 0.0;
  for (var c = 0u; c < ${quads}u; c++) { total += dot(upstream(start + c), attended(start + c)); }
  along[i] = total;
}`;
}

/** Gradient of the queries (streams keys), or of keys and values (streams queries). */
export function lanesGradient(
  shape: LanesShape,
  of: "query" | "key",
  { packed, upstream }: Omit<AttentionStorages, "attended">,
): string {
  const plan = planOf(shape);
  const half = storesHalf(packed);
  const width4 = headQuads(shape);
  const [query, key, value] = packedRows(shape);
  const statistic = (name: string, r: number, j: number) =>
    of === "query" ? `${name}_own${r}` : `${name}_streamed${j}`;
  const pairs = of === "query"
    ? [{ sum: "s", own: query, streamed: key }, { sum: "p", own: upstreamRows, streamed: value }]
    : [{ sum: "s", own: key, streamed: query }, { sum: "p", own: value, streamed: upstreamRows }];
  const targets = of === "query"
    ? [{ target: "dq", weight: "p", rows: key }]
    : [{ target: "dk", weight: "p", rows: query }, { target: "dv", weight: "s", rows: upstreamRows }];
  // s becomes the softmax's weight, p the gradient of the score.
  const weights = repeat(plan.rows, (r) =>
    repeat(plan.stream, (j) => `
    s${r}_${j} = select(0.0, exp(s${r}_${j} * ${scoreScale(shape)} - ${statistic("log", r, j)}), ${
      inside(shape, j)
    });
    p${r}_${j} = s${r}_${j} * (p${r}_${j} - ${statistic("along", r, j)}) * ${scoreScale(shape)};`));
  const streamedStatistics = repeat(plan.stream, (j) => `
    let log_streamed${j} = log_total[statistic0 + min(block + ${j * shape.lanes}u + lane, tokens - 1u)];
    let along_streamed${j} = along[statistic0 + min(block + ${j * shape.lanes}u + lane, tokens - 1u)];`);
  const ownStatistics = repeat(plan.rows, (r) => `
  let log_own${r} = log_total[statistic0 + min(row0 + ${r}u, tokens - 1u)];
  let along_own${r} = along[statistic0 + min(row0 + ${r}u, tokens - 1u)];`);
  const part = { dq: 0, dk: 1, dv: 2 } as const;
  return `
${
    bindings(
      declareQuads("packed", packed),
      declareQuads("upstream", upstream),
      "var<storage, read> log_total: array<f32>;",
      "var<storage, read> along: array<f32>;",
      declareResult("gradient", half),
      "var<uniform> sizes: vec4u;",
    )
  }
${rowLoader("packed", packed, 3 * width4)}
${rowLoader("upstream", upstream, width4)}
${
    main(
      shape,
      plan,
      (of === "query" ? ownStatistics : "") +
        targets.map(({ target }) =>
          repeat(plan.rows, (r) => repeat(plan.parts, (v) => `  var ${target}${r}_${v} = vec4f();`))
        )
          .join("\n"),
      (of === "key" ? streamedStatistics : "") + scores(shape, plan, pairs) + weights +
        targets.map((use) => accumulate(shape, plan, use)).join("\n"),
      targets.map(({ target }) =>
        write(
          shape,
          plan,
          (r, v) => asStored(`${target}${r}_${v}`, half),
          (row, quad) =>
            `gradient[${row} * ${3 * width4}u + ${part[target as keyof typeof part] * width4}u + ${quad}]`,
        )
      ).join("\n"),
    )
  }`;
}
