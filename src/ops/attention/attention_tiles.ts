/**
 * Attention for GPUs, flash style (Dao et al. 2022): a workgroup of 64 threads owns 32 rows of one head and streams the
 * other side in blocks of 32 rows through workgroup memory; a thread makes 4 x 4 scores of a block in registers and four
 * rows of each result. Scores are never stored. No subgroup functions, no atomics, at most 16 KiB of workgroup memory
 * (20 where there is more: then owned rows of wider heads stay there).
 *
 * Work, with T tokens and width d per head: forward 4·T²·d operations, backward 14·T²·d (the scores are made twice).
 * Traffic: every workgroup streams T·2·d values, so (T / 32)·T·2·d·4 bytes per head, half of that in half precision.
 */
import {
  type AttentionShape,
  type AttentionStorages,
  headQuads,
  packedRows,
  rowLoader,
  scoreScale,
  storesHalf,
  upstreamRows,
} from "./attention_shape.ts";
import {
  accumulate,
  declareTargets,
  eachChunk,
  eachRow,
  main,
  overRow,
  ownedRows,
  ownRow,
  scores,
  side,
  statistic,
  store,
  storeStatistic,
  vec4Of,
} from "./attention_blocks.ts";
import { asStored, bindings, component, declareQuads, declareResult } from "../templates/wgsl.ts";

/** The forward kernel; bindings are the packed product, the result, log Σ exp of the scores, and the sizes. */
export function tilesForward(
  shape: AttentionShape,
  { packed }: Pick<AttentionStorages, "packed">,
  workgroupBytes: number,
): string {
  const [query, key, value] = packedRows(shape);
  const owned = ownedRows([query], shape, workgroupBytes);
  const half = storesHalf(packed);
  const width4 = headQuads(shape);
  const largestOf = (x: string) => `max(max(${x}.x, ${x}.y), max(${x}.z, ${x}.w))`;
  const softmax = `
${eachRow((r) => `    s${r} = select(vec4f(-1e30), s${r} * ${scoreScale(shape)}, inside);`)}
    var top = max(largest, ${vec4Of((r) => largestOf(`s${r}`))});
${overRow("top", (a, b) => `max(${a}, ${b})`)}
    let shrink = exp(largest - top);
    largest = top;
${eachRow((r) => `    s${r} = exp(s${r} - top.${component(r)});`)}
    total = total * shrink + ${vec4Of((r) => `dot(s${r}, vec4f(1.0))`)};
${eachChunk(shape, (v) => eachRow((r) => `    o${r}_${v} *= shrink.${component(r)};`))}`;
  return `
${
    bindings(
      declareQuads("packed", packed),
      declareResult("attended", half),
      "var<storage, read_write> log_total: array<f32>;",
      "var<uniform> sizes: vec4u;",
    )
  }
${rowLoader("packed", packed, 3 * width4)}
${
    main(
      shape,
      owned,
      `  var largest = vec4f(-1e30); // a component per owned row
  var total = vec4f();
${declareTargets("o", shape)}`,
      scores("s", owned, query, key, shape) + softmax + accumulate("o", "s", value, shape, true),
      `${overRow("total", (a, b) => `${a} + ${b}`)}
${
        store(
          shape,
          (r, v) => asStored(`o${r}_${v} / total.${component(r)}`, half),
          (row, quad) => `attended[${row} * ${width4}u + ${quad}]`,
        )
      }
  let logarithm = largest + log(total);
${storeStatistic("log_total", "logarithm")}`,
    )
  }`;
}

/** s becomes the softmax's weights, p the gradients of the scores. */
function scoreGradients(
  shape: AttentionShape,
  log: (r: number) => string,
  along: (r: number) => string,
): string {
  return eachRow((r) => `
    s${r} = select(vec4f(), exp(s${r} * ${scoreScale(shape)} - ${log(r)}), inside);
    p${r} = s${r} * (p${r} - ${along(r)}) * ${scoreScale(shape)};`);
}

/** Where the gradient of a part of the packed product lies. */
function gradientPlace(shape: AttentionShape, part: number): (row: string, quad: string) => string {
  const width4 = headQuads(shape);
  return (row, quad) => `gradient[${row} * ${3 * width4}u + ${part * width4}u + ${quad}]`;
}

/**
 * Gradient of the queries; streams keys and values. Also gives Σ upstream · attended of every row and head, which the
 * softmax's gradient subtracts. Bindings: packed product, upstream, result, log Σ exp; gradient, those sums; sizes.
 */
export function tilesQueryGradient(
  shape: AttentionShape,
  { packed, upstream, attended }: AttentionStorages,
  workgroupBytes: number,
): string {
  const [query, key, value] = packedRows(shape);
  const owned = ownedRows([query, upstreamRows], shape, workgroupBytes);
  const half = storesHalf(packed);
  const width4 = headQuads(shape);
  const quads = shape.headWidth / 4;
  const along = eachRow((r) => `
  for (var c = tx; c < ${quads}u; c += ${side}u) {
    let row = ${ownRow(`${r * side}u + ty`)};
    along_own.${component(r)} += dot(load_upstream(row, head4 + c), load_attended(row, head4 + c));
  }`);
  return `
${
    bindings(
      declareQuads("packed", packed),
      declareQuads("upstream", upstream),
      declareQuads("attended", attended),
      "var<storage, read> log_total: array<f32>;",
      declareResult("gradient", half),
      "var<storage, read_write> along: array<f32>;",
      "var<uniform> sizes: vec4u;",
    )
  }
${rowLoader("packed", packed, 3 * width4)}
${rowLoader("upstream", upstream, width4)}
${rowLoader("attended", attended, width4)}
${
    main(
      shape,
      owned,
      `
  let log_own = ${statistic("log_total", "own")};
  var along_own = vec4f();
${along}
${overRow("along_own", (a, b) => `${a} + ${b}`)}
${storeStatistic("along", "along_own")}
${declareTargets("dq", shape)}`,
      scores("s", owned, query, key, shape) + scores("p", owned, upstreamRows, value, shape) +
        scoreGradients(shape, (r) => `log_own.${component(r)}`, (r) => `along_own.${component(r)}`) +
        accumulate("dq", "p", key, shape),
      store(shape, (r, v) => asStored(`dq${r}_${v}`, half), gradientPlace(shape, 0)),
    )
  }`;
}

/** Gradients of keys and values; streams queries and upstream. Bindings: packed product, upstream, both statistics; gradient; sizes. */
export function tilesKeyGradient(
  shape: AttentionShape,
  { packed, upstream }: Omit<AttentionStorages, "attended">,
  workgroupBytes: number,
): string {
  const [query, key, value] = packedRows(shape);
  const owned = ownedRows([key, value], shape, workgroupBytes);
  const half = storesHalf(packed);
  const width4 = headQuads(shape);
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
      owned,
      declareTargets("dk", shape) + "\n" + declareTargets("dv", shape),
      `
    let log_streamed = ${statistic("log_total", "streamed")};
    let along_streamed = ${statistic("along", "streamed")};` +
        scores("s", owned, key, query, shape) + scores("p", owned, value, upstreamRows, shape) +
        scoreGradients(shape, () => "log_streamed", () => "along_streamed") +
        accumulate("dv", "s", upstreamRows, shape) + accumulate("dk", "p", query, shape),
      store(shape, (r, v) => asStored(`dk${r}_${v}`, half), gradientPlace(shape, 1)) + "\n" +
        store(shape, (r, v) => asStored(`dv${r}_${v}`, half), gradientPlace(shape, 2)),
    )
  }`;
}
