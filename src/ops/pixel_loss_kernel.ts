/**
 * The pixel loss by kernel: one subgroup per patch, the patch's values spread over the lanes; for CPU adapters.
 *
 * Forward: 8 bytes read per value and one loss written per patch; backward: 8 read and 4 written. About 10 operations.
 * The target is never stored: both ways make it from the patches.
 */
import type { tf } from "../deps/tfjs.ts";
import { coverThreads, type KernelSource, launch } from "../gpu/kernel.ts";
import { operandOf, type Storage, storageOf } from "../gpu/operand.ts";
import { bindings, declareQuads, float, loadQuads, repeat } from "./wgsl.ts";

const patchesPerGroup = 16;

/** What a kernel is generated for. */
export interface LossShape {
  /** Values of a patch, a multiple of 4. */
  readonly values: number;
  /** Lanes of a subgroup. */
  readonly lanes: number;
  /** Whether the target is normalised patch by patch. */
  readonly normalize: boolean;
  /** Added to the variance of a patch. */
  readonly epsilon: number;
}

function overLanes(name: string, lanes: number): string {
  return repeat(Math.log2(lanes), (i) => `    ${name} += subgroupShuffleXor(${name}, ${1 << i}u);`);
}

/** Makes `shift` and `scale`, so that target = (value − shift) · scale. */
function statistics({ values, lanes, normalize, epsilon }: LossShape): string {
  if (!normalize) return "    let shift = 0.0;\n    let scale = 1.0;";
  const eachQuad = (line: string) => `    for (var q = lane; q < ${values / 4}u; q += ${lanes}u) { ${line} }`;
  return `
    var shift = 0.0;
${eachQuad("shift += dot(patches(start + q), vec4f(1.0));")}
${overLanes("shift", lanes)}
    shift /= ${float(values)};
    var squares = 0.0;
${eachQuad("let d = patches(start + q) - shift; squares += dot(d, d);")}
${overLanes("squares", lanes)}
    let scale = inverseSqrt(squares / ${float(values - 1)} + ${float(epsilon)});`;
}

function source(direction: "forward" | "backward", shape: LossShape, storage: Storage): KernelSource {
  const { values, lanes, normalize } = shape;
  const forward = direction === "forward";
  const difference = `prediction(start + q) - (patches(start + q) - shift) * scale`;
  return {
    name: `pixel_loss_${direction}_${values}_${lanes}_${normalize}_${storage}`,
    code: () => `
${
      bindings(
        declareQuads("prediction", storage),
        declareQuads("patches", storage),
        ...(forward ? [] : ["var<storage, read> factors: array<f32>;"]),
        forward
          ? "var<storage, read_write> losses: array<f32>;"
          : "var<storage, read_write> gradient: array<vec4f>;",
        "var<uniform> sizes: vec4u; // patches, workgroups in a row",
      )
    }
${loadQuads("prediction", storage)}
${loadQuads("patches", storage)}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (id.x + id.y * sizes.y) * ${patchesPerGroup}u;
  for (var patch_index = first; patch_index < min(first + ${patchesPerGroup}u, sizes.x); patch_index++) {
    let start = patch_index * ${values / 4}u;
${statistics(shape)}
${
      forward
        ? `    var total = 0.0;
    for (var q = lane; q < ${values / 4}u; q += ${lanes}u) { let d = ${difference}; total += dot(d, d); }
${overLanes("total", lanes)}
    if (lane == 0u) { losses[patch_index] = total / ${float(values)}; }`
        : `    let factor = factors[patch_index];
    for (var q = lane; q < ${
          values / 4
        }u; q += ${lanes}u) { gradient[start + q] = factor * (${difference}); }`
    }
  }
}`,
  };
}

function grid(patches: number): { workgroups: [number, number]; uniform: ArrayBuffer } {
  const [x, y] = coverThreads(patches, patchesPerGroup);
  return { workgroups: [x, y], uniform: new Uint32Array([patches, x, 0, 0]).buffer };
}

/** Mean squared error of every patch, [patches]. */
export function patchLosses(prediction: tf.Tensor, patches: tf.Tensor, shape: LossShape): tf.Tensor {
  const count = prediction.size / shape.values;
  const inputs = [operandOf(prediction), operandOf(patches)];
  return launch(source("forward", shape, storageOf(inputs[0])), {
    inputs,
    outputs: [[count]],
    ...grid(count),
  })[0];
}

/** Gradient of the prediction: (prediction − target) times the factor of its patch. */
export function patchLossGradient(
  prediction: tf.Tensor,
  patches: tf.Tensor,
  factors: tf.Tensor,
  shape: LossShape,
): tf.Tensor {
  const count = prediction.size / shape.values;
  const inputs = [operandOf(prediction), operandOf(patches)];
  return launch(source("backward", shape, storageOf(inputs[0])), {
    inputs: [...inputs, factors],
    outputs: [prediction.shape],
    ...grid(count),
  })[0];
}
