/**
 * Layer norm for CPU adapters: one subgroup per row, the row's values spread over the lanes, no barrier.
 *
 * Forward: 8 bytes of traffic per value (one read, one write) and about 8 operations. Backward in x: three reads and one
 * write. Backward in gain and bias: sums down the columns in pieces of rows, then over the pieces, in a fixed order.
 */
import { tf } from "../deps/tfjs.ts";
import { type KernelSource, launch } from "../gpu/kernel.ts";
import { float, repeat } from "./wgsl.ts";

/** Rows whose column sums one workgroup makes. */
const pieceRows = 256;

/** Adds up a value over the lanes; every lane gets the sum. */
function sumOverLanes(name: string, lanes: number): string {
  return repeat(Math.log2(lanes), (i) => `  ${name} += subgroupShuffleXor(${name}, ${1 << i}u);`);
}

/** Loads of the row's quads that belong to this lane; lanes beyond the width hold zeros. */
function eachQuad(width: number, lanes: number, line: (name: number, quad: string) => string): string {
  const quads = width / 4;
  return repeat(Math.ceil(quads / lanes), (i) => {
    const quad = `${i * lanes}u + lane`;
    return (i + 1) * lanes <= quads ? line(i, quad) : `  if (${quad} < ${quads}u) {\n${line(i, quad)}\n  }`;
  });
}

function forwardSource(width: number, lanes: number, eps: number): KernelSource {
  const parts = Math.ceil(width / 4 / lanes);
  return {
    name: `layer_norm_${width}_${lanes}_${eps}`,
    code: `
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> gain: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> statistics: array<vec2f>; // mean, 1 / deviation
@group(0) @binding(5) var<uniform> sizes: vec4u;

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = id.x + id.y * sizes.y;
  if (row >= sizes.x) { return; }
  let start = row * ${width / 4}u;
${repeat(parts, (i) => `  var x${i} = vec4f();`)}
${eachQuad(width, lanes, (i, quad) => `  x${i} = x[start + ${quad}];`)}
  var total = ${sumOf(parts, (i) => `dot(x${i}, vec4f(1.0))`)};
${sumOverLanes("total", lanes)}
  let mean = total / ${float(width)};
${repeat(parts, (i) => `  var d${i} = vec4f();`)}
${eachQuad(width, lanes, (i) => `  d${i} = x${i} - mean;`)}
  var squares = ${sumOf(parts, (i) => `dot(d${i}, d${i})`)};
${sumOverLanes("squares", lanes)}
  let inverse = inverseSqrt(squares / ${float(width)} + ${float(eps)});
${
      eachQuad(width, lanes, (i, quad) =>
        `  y[start + ${quad}] = d${i} * inverse * gain[${quad}] + bias[${quad}];`)
    }
  if (lane == 0u) { statistics[row] = vec2f(mean, inverse); }
}`,
  };
}

function sumOf(count: number, term: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => term(i)).join(" + ");
}

function inputGradientSource(width: number, lanes: number): KernelSource {
  const parts = Math.ceil(width / 4 / lanes);
  return {
    name: `layer_norm_dx_${width}_${lanes}`,
    code: `
@group(0) @binding(0) var<storage, read> dy: array<vec4f>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> gain: array<vec4f>;
@group(0) @binding(3) var<storage, read> statistics: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4f>;
@group(0) @binding(5) var<uniform> sizes: vec4u;

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = id.x + id.y * sizes.y;
  if (row >= sizes.x) { return; }
  let start = row * ${width / 4}u;
  let mean = statistics[row].x;
  let inverse = statistics[row].y;
${repeat(parts, (i) => `  var n${i} = vec4f();\n  var g${i} = vec4f();`)}
${
      eachQuad(width, lanes, (i, quad) =>
        `  n${i} = (x[start + ${quad}] - mean) * inverse;\n  g${i} = dy[start + ${quad}] * gain[${quad}];`)
    }
  var total = ${sumOf(parts, (i) => `dot(g${i}, vec4f(1.0))`)};
  var along = ${sumOf(parts, (i) => `dot(g${i}, n${i})`)};
${sumOverLanes("total", lanes)}
${sumOverLanes("along", lanes)}
  total /= ${float(width)};
  along /= ${float(width)};
${eachQuad(width, lanes, (i, quad) => `  dx[start + ${quad}] = inverse * (g${i} - total - n${i} * along);`)}
}`,
  };
}

/** Sums of dy · normalised x and of dy down the columns of one piece of rows. */
function columnSource(width: number, lanes: number): KernelSource {
  return {
    name: `layer_norm_columns_${width}_${lanes}`,
    code: `
@group(0) @binding(0) var<storage, read> dy: array<vec4f>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> statistics: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> pieces: array<vec4f>; // [piece][gain, bias][width / 4]
@group(0) @binding(4) var<uniform> sizes: vec4u;

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let quad = id.x * ${lanes}u + lane;
  if (quad >= ${width / 4}u) { return; }
  var gain = vec4f();
  var bias = vec4f();
  let end = min(sizes.x, (id.y + 1u) * ${pieceRows}u);
  for (var row = id.y * ${pieceRows}u; row < end; row++) {
    let g = dy[row * ${width / 4}u + quad];
    gain += g * (x[row * ${width / 4}u + quad] - statistics[row].x) * statistics[row].y;
    bias += g;
  }
  pieces[(id.y * 2u) * ${width / 4}u + quad] = gain;
  pieces[(id.y * 2u + 1u) * ${width / 4}u + quad] = bias;
}`,
  };
}

function sizesUniform(rows: number, perRow: number): ArrayBuffer {
  return new Uint32Array([rows, perRow, 0, 0]).buffer;
}

/** Rows as workgroups, split where one dimension is too short. */
function rowWorkgroups(rows: number): [number, number] {
  const limit = 65535;
  return rows <= limit ? [rows, 1] : [limit, Math.ceil(rows / limit)];
}

/** Layer norm of [M, D] and its statistics [M, 2]. D must be a multiple of 4. */
export function layerNormKernel(
  x: tf.Tensor2D,
  gain: tf.Tensor,
  bias: tf.Tensor,
  eps: number,
  lanes: number,
): tf.Tensor[] {
  const [rows, width] = x.shape;
  const workgroups = rowWorkgroups(rows);
  return launch(forwardSource(width, lanes, eps), {
    inputs: [x, gain, bias],
    outputs: [[rows, width], [rows, 2]],
    uniform: sizesUniform(rows, workgroups[0]),
    workgroups,
  });
}

/** Gradients of x, gain and bias. */
export function layerNormKernelGradients(
  dy: tf.Tensor2D,
  x: tf.Tensor2D,
  gain: tf.Tensor,
  statistics: tf.Tensor,
  lanes: number,
): [dx: tf.Tensor, dGain: tf.Tensor, dBias: tf.Tensor] {
  const [rows, width] = x.shape;
  const workgroups = rowWorkgroups(rows);
  const uniform = sizesUniform(rows, workgroups[0]);
  const [dx] = launch(inputGradientSource(width, lanes), {
    inputs: [dy, x, gain, statistics],
    outputs: [[rows, width]],
    uniform,
    workgroups,
  });
  const count = Math.ceil(rows / pieceRows);
  const [pieces] = launch(columnSource(width, lanes), {
    inputs: [dy, x, statistics],
    outputs: [[count, 2, width]],
    uniform,
    workgroups: [Math.ceil(width / 4 / lanes), count],
  });
  const [dGain, dBias] = tf.unstack(tf.sum(pieces, 0));
  return [dx, dGain, dBias];
}
