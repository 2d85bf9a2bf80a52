/** Sum of squares of each of many tensors: what the global gradient norm is made of. */
import { tf } from "../deps/tfjs.ts";
import { type KernelSource, launch } from "../gpu/kernel.ts";
import { operandOf, type Storage, storageOf } from "../gpu/operand.ts";
import { type Bodies, chooseBody } from "./operation.ts";
import { bindings, declareQuads, loadQuads } from "./wgsl.ts";

type Body = (tensors: readonly tf.Tensor[]) => tf.Tensor1D;

const bodies: Bodies<Body> = { name: "sumOfSquares", composed: composedBody, kernel: kernelBody };

/** Partial sums whose total is the sum of squares of all the tensors' values; how many there are is the body's affair. */
export function partialSumsOfSquares(tensors: readonly tf.Tensor[]): tf.Tensor1D {
  return chooseBody(bodies)(tensors);
}

function composedBody(tensors: readonly tf.Tensor[]): tf.Tensor1D {
  return tf.tidy(() => tf.stack(tensors.map((tensor) => tf.sum(tf.square(tensor)))) as tf.Tensor1D);
}

const threads = 64;
const quadsPerThread = 64;
const mostWorkgroups = 64;

/** Partial sums of one tensor: one per thread, each over every so-and-so-manieth quad, in a fixed order. */
function partialsOf(size: number): number {
  return threads * Math.min(mostWorkgroups, Math.ceil(size / 4 / threads / quadsPerThread));
}

/** Traffic: 4 bytes read per value; two operations. */
function kernelBody(tensors: readonly tf.Tensor[]): tf.Tensor1D {
  const counts = tensors.map(({ size }) => size % 4 === 0 ? partialsOf(size) : 1);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const partials = tf.zeros([total]) as tf.Tensor1D;
  let offset = 0;
  tensors.forEach((tensor, i) => {
    const quads = tensor.size % 4 === 0;
    const input = operandOf(tensor);
    launch(quads ? quadSource(storageOf(input)) : scalarSource, {
      inputs: [quads ? input : tensor],
      inPlace: [partials],
      uniform: new Uint32Array([quads ? tensor.size / 4 : tensor.size, offset, counts[i], 0]).buffer,
      workgroups: [quads ? counts[i] / threads : 1],
    });
    offset += counts[i];
  });
  return partials;
}

function quadSource(storage: Storage): KernelSource {
  return {
    name: `squares_${storage}`,
    code: () => `
${
      bindings(
        declareQuads("x", storage),
        "var<storage, read_write> partials: array<f32>;",
        "var<uniform> sizes: vec4u; // quads, first partial, partials",
      )
    }
${loadQuads("x", storage)}
@compute @workgroup_size(${threads})
fn main(@builtin(global_invocation_id) id: vec3u) {
  var total = 0.0;
  for (var i = id.x; i < sizes.x; i += sizes.z) {
    let value = x(i);
    total += dot(value, value);
  }
  partials[sizes.y + id.x] = total;
}`,
  };
}

/** For the few tensors whose size is no multiple of four: one thread. */
const scalarSource: KernelSource = {
  name: "squares_scalar",
  code: () => `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;
@group(0) @binding(2) var<uniform> sizes: vec4u;
@compute @workgroup_size(1)
fn main() {
  var total = 0.0;
  for (var i = 0u; i < sizes.x; i++) { total += x[i] * x[i]; }
  partials[sizes.y] = total;
}`,
};
