/** Launching the attention kernels of `attention_wgsl.ts`. */
import type { tf } from "../deps/tfjs.ts";
import { coverThreads, type KernelSource, launch } from "../gpu/kernel.ts";
import { operandOf, type Storage, storageOf } from "../gpu/operand.ts";
import { alongCode, type AttentionShape, forwardCode, gradientCode, planOf } from "./attention_wgsl.ts";

/** A kernel whose name tells everything that its code depends on. */
function sourceOf(
  kind: string,
  shape: AttentionShape,
  storages: readonly Storage[],
  code: () => string,
): KernelSource {
  const { heads, headWidth, lanes } = shape;
  return {
    name: ["attention", kind, ...storages, heads, headWidth, lanes, planOf(shape).stream].join("_"),
    code,
  };
}

function workgroupsOf(shape: AttentionShape): [number, number, number] {
  return [Math.ceil(shape.tokens / planOf(shape).rows), shape.heads, shape.images];
}

/** Whether the kernels can run: heads of whole quads, and grids within the limits of a dispatch. */
export function attentionKernelFits({ images, heads, headWidth }: Omit<AttentionShape, "lanes">): boolean {
  return headWidth % 4 === 0 && images <= 65535 && heads <= 65535;
}

/** Attended values [N, T, h·d], and log Σ exp of the scores of every image, head and token. */
export function attentionKernel(packed: tf.Tensor, shape: AttentionShape): tf.Tensor[] {
  const { images, tokens, heads, headWidth } = shape;
  const operand = operandOf(packed);
  const storage = storageOf(operand);
  return launch(sourceOf("forward", shape, [storage], () => forwardCode(shape, storage)), {
    inputs: [operand],
    outputs: [[images, tokens, heads * headWidth], [images * heads * tokens]],
    uniform: new Uint32Array([tokens, 0, 0, 0]).buffer,
    workgroups: workgroupsOf(shape),
  });
}

/** Gradient of the packed product. */
export function attentionKernelGradient(
  upstream: tf.Tensor,
  packed: tf.Tensor,
  attended: tf.Tensor,
  logTotal: tf.Tensor,
  shape: AttentionShape,
): tf.Tensor {
  const { images, tokens, heads } = shape;
  const statistics = images * heads * tokens;
  const [x, y] = coverThreads(statistics, 64);
  const uniform = new Uint32Array([tokens, statistics, x * 64, 0]).buffer;
  const inputs = [operandOf(packed), operandOf(upstream), operandOf(attended)];
  const storages = [storageOf(inputs[0]), storageOf(inputs[1]), storageOf(inputs[2])] as const;
  const ends = [storages[1], storages[2]] as const;
  const [along] = launch(sourceOf("along", shape, ends, () => alongCode(shape, ends)), {
    inputs: [inputs[1], inputs[2]],
    outputs: [[statistics]],
    uniform,
    workgroups: [x, y],
  });
  const source = (of: "query" | "key") =>
    sourceOf(of, shape, storages, () => gradientCode(shape, of, storages));
  const common = {
    inputs: [inputs[0], inputs[1], logTotal, along],
    uniform,
    workgroups: workgroupsOf(shape),
  };
  const [gradient] = launch(source("query"), { ...common, outputs: [packed.shape] });
  launch(source("key"), { ...common, inPlace: [gradient] });
  return gradient;
}
