/** Launching the attention kernels of `attention_wgsl.ts`. */
import type { tf } from "../deps/tfjs.ts";
import { coverThreads, type KernelSource, launch } from "../gpu/kernel.ts";
import { asTexture, isTexture } from "../gpu/lanes.ts";
import { alongCode, type AttentionShape, forwardCode, gradientCode, planOf } from "./attention_wgsl.ts";

/** A kernel whose name tells everything that its code depends on. */
function sourceOf(
  kind: string,
  shape: AttentionShape,
  textures: readonly boolean[],
  code: () => string,
): KernelSource {
  const { heads, headWidth, lanes } = shape;
  return {
    name: ["attention", kind, ...textures, heads, headWidth, lanes, planOf(shape).stream].join("_"),
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
  const operand = asTexture(packed);
  const texture = isTexture(operand);
  return launch(sourceOf("forward", shape, [texture], () => forwardCode(shape, texture)), {
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
  const inputs = [asTexture(packed), asTexture(upstream)];
  const textures = [isTexture(inputs[0]), isTexture(inputs[1])] as const;
  const [along] = launch(sourceOf("along", shape, [textures[1]], () => alongCode(shape, textures[1])), {
    inputs: [inputs[1], textures[1] ? { texture: attended } : attended],
    outputs: [[statistics]],
    uniform,
    workgroups: [x, y],
  });
  const source = (of: "query" | "key") =>
    sourceOf(of, shape, textures, () => gradientCode(shape, of, textures));
  const common = { inputs: [...inputs, logTotal, along], uniform, workgroups: workgroupsOf(shape) };
  const [gradient] = launch(source("query"), { ...common, outputs: [packed.shape] });
  launch(source("key"), { ...common, inPlace: [gradient] });
  return gradient;
}
