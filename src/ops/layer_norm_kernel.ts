/**
 * Layer norm for CPU adapters: one subgroup works on a row, whose values are spread over its lanes; no barrier.
 *
 * Forward: 8 bytes of traffic per value (one read, one write) and about 8 operations. Backward in x: three reads and one
 * write. Backward in gain and bias: sums down the columns in pieces of rows, then over the pieces, in a fixed order.
 */
import { tf } from "../deps/tfjs.ts";
import { coverThreads, type KernelSource, launch } from "../gpu/kernel.ts";
import { operandOf, type Storage, storageOf } from "../gpu/operand.ts";
import { bindings, declareQuads, float, loadQuads, repeat } from "./wgsl.ts";

/** Rows whose column sums one workgroup makes. */
const pieceRows = 256;

/** Rows of one workgroup: enough that starting a workgroup costs little. */
const rowsPerGroup = 16;

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

/** A kernel whose workgroup goes through its rows one by one; `row` and its first quad `start` are known in the body. */
function rowKernel(lanes: number, width: number, body: string): string {
  return `
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (id.x + id.y * sizes.y) * ${rowsPerGroup}u;
  for (var row = first; row < min(first + ${rowsPerGroup}u, sizes.x); row++) {
    let start = row * ${width / 4}u;
${body}
  }
}`;
}

function forwardSource(width: number, lanes: number, eps: number, storage: Storage): KernelSource {
  const parts = Math.ceil(width / 4 / lanes);
  return {
    name: `layer_norm_${width}_${lanes}_${eps}_${storage}`,
    code: () => `
${
      bindings(
        declareQuads("x", storage),
        declareQuads("gain", storage),
        declareQuads("bias", storage),
        "var<storage, read_write> y: array<vec4f>;",
        "var<storage, read_write> statistics: array<vec4f>; // mean, 1 / deviation, and nothing twice",
        "var<uniform> sizes: vec4u;",
      )
    }
${loadQuads("x", storage)}
${loadQuads("gain", storage)}
${loadQuads("bias", storage)}
${
      rowKernel(
        lanes,
        width,
        `
${repeat(parts, (i) => `  var x${i} = vec4f();`)}
${eachQuad(width, lanes, (i, quad) => `  x${i} = x(start + ${quad});`)}
  var total = ${sumOf(parts, (i) => `dot(x${i}, vec4f(1.0))`)};
${sumOverLanes("total", lanes)}
  let mean = total / ${float(width)};
${repeat(parts, (i) => `  var d${i} = vec4f();`)}
${eachQuad(width, lanes, (i) => `  d${i} = x${i} - mean;`)}
  var squares = ${sumOf(parts, (i) => `dot(d${i}, d${i})`)};
${sumOverLanes("squares", lanes)}
  let inverse = inverseSqrt(squares / ${float(width)} + ${float(eps)});
${
          eachQuad(
            width,
            lanes,
            (i, quad) => `  y[start + ${quad}] = d${i} * inverse * gain(${quad}) + bias(${quad});`,
          )
        }
  if (lane == 0u) { statistics[row] = vec4f(mean, inverse, 0.0, 0.0); }`,
      )
    }`,
  };
}

function sumOf(count: number, term: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => term(i)).join(" + ");
}

function inputGradientSource(width: number, lanes: number, storage: Storage): KernelSource {
  const parts = Math.ceil(width / 4 / lanes);
  return {
    name: `layer_norm_dx_${width}_${lanes}_${storage}`,
    code: () => `
${
      bindings(
        declareQuads("dy", storage),
        declareQuads("x", storage),
        declareQuads("gain", storage),
        declareQuads("statistics", storage),
        "var<storage, read_write> dx: array<vec4f>;",
        "var<uniform> sizes: vec4u;",
      )
    }
${loadQuads("dy", storage)}
${loadQuads("x", storage)}
${loadQuads("gain", storage)}
${loadQuads("statistics", storage)}
${
      rowKernel(
        lanes,
        width,
        `
  let statistic = statistics(row);
  let mean = statistic.x;
  let inverse = statistic.y;
${repeat(parts, (i) => `  var n${i} = vec4f();\n  var g${i} = vec4f();`)}
${
          eachQuad(
            width,
            lanes,
            (i, quad) =>
              `  n${i} = (x(start + ${quad}) - mean) * inverse;\n  g${i} = dy(start + ${quad}) * gain(${quad});`,
          )
        }
  var total = ${sumOf(parts, (i) => `dot(g${i}, vec4f(1.0))`)};
  var along = ${sumOf(parts, (i) => `dot(g${i}, n${i})`)};
${sumOverLanes("total", lanes)}
${sumOverLanes("along", lanes)}
  total /= ${float(width)};
  along /= ${float(width)};
${eachQuad(width, lanes, (i, quad) => `  dx[start + ${quad}] = inverse * (g${i} - total - n${i} * along);`)}`,
      )
    }`,
  };
}

/** Sums of dy · normalised x and of dy down the columns of one piece of rows. */
function columnSource(width: number, lanes: number, storage: Storage): KernelSource {
  return {
    name: `layer_norm_columns_${width}_${lanes}_${storage}`,
    code: () => `
${
      bindings(
        declareQuads("dy", storage),
        declareQuads("x", storage),
        declareQuads("statistics", storage),
        "var<storage, read_write> pieces: array<vec4f>; // [piece][gain, bias][width / 4]",
        "var<uniform> sizes: vec4u;",
      )
    }
${loadQuads("dy", storage)}
${loadQuads("x", storage)}
${loadQuads("statistics", storage)}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let quad = min(id.x * ${lanes}u + lane, ${width / 4 - 1}u); // lanes beyond the width repeat its last quad
  var gain = vec4f();
  var bias = vec4f();
  let end = min(sizes.x, (id.y + 1u) * ${pieceRows}u);
  for (var row = id.y * ${pieceRows}u; row < end; row++) {
    let g = dy(row * ${width / 4}u + quad);
    let statistic = statistics(row);
    gain += g * (x(row * ${width / 4}u + quad) - statistic.x) * statistic.y;
    bias += g;
  }
  pieces[(id.y * 2u) * ${width / 4}u + quad] = gain;
  pieces[(id.y * 2u + 1u) * ${width / 4}u + quad] = bias;
}`,
  };
}

/** Workgroups for all rows, split where one dimension is too short, and the uniform that tells rows and split. */
function rowWorkgroups(rows: number): { workgroups: [number, number]; uniform: ArrayBuffer } {
  const [x, y] = coverThreads(rows, rowsPerGroup);
  return { workgroups: [x, y], uniform: new Uint32Array([rows, x, 0, 0]).buffer };
}

/** Layer norm of [M, D] and its statistics [M, 4]. D must be a multiple of 4. */
export function layerNormKernel(
  x: tf.Tensor2D,
  gain: tf.Tensor,
  bias: tf.Tensor,
  eps: number,
  lanes: number,
): tf.Tensor[] {
  const [rows, width] = x.shape;
  const inputs = [operandOf(x), operandOf(gain), operandOf(bias)];
  return launch(forwardSource(width, lanes, eps, storageOf(inputs[0])), {
    inputs,
    outputs: [[rows, width], [rows, 4]],
    ...rowWorkgroups(rows),
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
  const inputs = [operandOf(dy), operandOf(x)];
  const storage = storageOf(inputs[0]);
  const grid = rowWorkgroups(rows);
  const [dx] = launch(inputGradientSource(width, lanes, storage), {
    inputs: [...inputs, operandOf(gain), operandOf(statistics)],
    outputs: [[rows, width]],
    ...grid,
  });
  const count = Math.ceil(rows / pieceRows);
  const [pieces] = launch(columnSource(width, lanes, storage), {
    inputs: [...inputs, operandOf(statistics)],
    outputs: [[count, 2, width]],
    uniform: grid.uniform,
    workgroups: [Math.ceil(width / 4 / lanes), count],
  });
  const [dGain, dBias] = tf.unstack(tf.sum(pieces, 0));
  return [dx, dGain, dBias];
}
