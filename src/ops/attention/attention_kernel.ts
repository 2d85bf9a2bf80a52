/** Attention by the kernels of the family that suits the device: `attention_lanes.ts` or `attention_tiles.ts`. */
import type { tf } from "../../deps/tfjs.ts";
import { isHalf } from "../../gpu/half.ts";
import {
  coverThreads,
  type KernelSource,
  launch,
  type Operand,
  type Output,
  outputLike,
} from "../../gpu/kernel.ts";
import { operandOf, type Storage, storageOf } from "../../gpu/operand.ts";
import { requiredTarget, type Target } from "../../gpu/target.ts";
import { tileRows } from "./attention_blocks.ts";
import { lanesAlong, lanesForward, lanesGradient, type LanesShape, planOf } from "./attention_lanes.ts";
import type { AttentionShape, AttentionStorages } from "./attention_shape.ts";
import { tilesForward, tilesKeyGradient, tilesQueryGradient } from "./attention_tiles.ts";

export type { AttentionShape } from "./attention_shape.ts";

/** Whether the kernels can run: heads of whole quads, and grids within the limits of a dispatch. */
export function attentionKernelFits({ images, heads, headWidth }: Omit<AttentionShape, "tokens">): boolean {
  return headWidth % 4 === 0 && images <= 65535 && heads <= 65535;
}

/** A kernel whose name tells everything that its code depends on. */
function sourceOf(kind: string, details: readonly unknown[], code: () => string): KernelSource {
  return { name: ["attention", kind, ...details].join("_"), code };
}

/** One workgroup for every so many rows of every head. */
function workgroupsFor({ images, tokens, heads }: AttentionShape, rows: number): [number, number, number] {
  return [Math.ceil(tokens / rows), heads, images];
}

/**
 * Attended values, and log Σ exp of the scores of every image, head and token.
 * @param packed [N · T, 3 · h · d] in any rank, in single or half precision
 * @returns [N, T, h · d] in the precision of `packed`, and [N · h · T]
 */
export function attentionKernel(packed: tf.Tensor, shape: AttentionShape): tf.Tensor[] {
  const { images, tokens, heads, headWidth } = shape;
  const operand = operandOf(packed);
  const { source, rows } = forwardSource(shape, storageOf(operand), requiredTarget());
  return launch(source, {
    inputs: [operand],
    outputs: [
      outputLike(packed, [images, tokens, heads * headWidth], isHalf(packed)),
      outputLike(packed, [images * heads * tokens]),
    ],
    uniform: new Uint32Array([tokens, 0, 0, 0]).buffer,
    workgroups: workgroupsFor(shape, rows),
  });
}

function forwardSource(
  shape: AttentionShape,
  packed: Storage,
  { family, lanes, workgroupBytes }: Target,
): { source: KernelSource; rows: number } {
  const { heads, headWidth } = shape;
  if (family === "tiles") {
    const details = [family, packed, heads, headWidth, workgroupBytes];
    return {
      source: sourceOf("forward", details, () => tilesForward(shape, { packed }, workgroupBytes)),
      rows: tileRows,
    };
  }
  const onLanes = { ...shape, lanes };
  const { rows, stream } = planOf(onLanes);
  const details = [family, packed, heads, headWidth, lanes, stream];
  return { source: sourceOf("forward", details, () => lanesForward(onLanes, packed)), rows };
}

/** What the way back reads. */
interface BackwardOperands {
  readonly packed: Operand;
  readonly upstream: Operand;
  readonly attended: Operand;
  readonly logTotal: tf.Tensor;
}

/** Gradient of the packed product, in its precision and shape; `upstream` may be in single or half. */
export function attentionKernelGradient(
  upstream: tf.Tensor,
  packed: tf.Tensor,
  attended: tf.Tensor,
  logTotal: tf.Tensor,
  shape: AttentionShape,
): tf.Tensor {
  const { family, lanes, workgroupBytes } = requiredTarget();
  const operands: BackwardOperands = {
    packed: operandOf(packed),
    upstream: operandOf(upstream),
    attended: operandOf(attended),
    logTotal,
  };
  const storages: AttentionStorages = {
    packed: storageOf(operands.packed),
    upstream: storageOf(operands.upstream),
    attended: storageOf(operands.attended),
  };
  return family === "lanes"
    ? lanesBackward(operands, storages, { ...shape, lanes })
    : tilesBackward(operands, storages, shape, workgroupBytes);
}

/** The gradient of the packed product is what that is. */
function gradientOf({ tensor }: Operand): Output {
  return outputLike(tensor, tensor.shape, isHalf(tensor));
}

function lanesBackward(
  { packed, upstream, attended, logTotal }: BackwardOperands,
  storages: AttentionStorages,
  shape: LanesShape,
): tf.Tensor {
  const { images, tokens, heads, headWidth, lanes } = shape;
  const { rows, stream } = planOf(shape);
  const statistics = images * heads * tokens;
  const [x, y] = coverThreads(statistics, 64);
  const uniform = new Uint32Array([tokens, statistics, x * 64, 0]).buffer;
  const details = ["lanes", ...Object.values(storages), heads, headWidth, lanes, stream];
  const [along] = launch(sourceOf("along", details, () => lanesAlong(shape, storages)), {
    inputs: [upstream, attended],
    outputs: [outputLike(packed.tensor, [statistics])],
    uniform,
    workgroups: [x, y],
  });
  const source = (of: "query" | "key") => sourceOf(of, details, () => lanesGradient(shape, of, storages));
  const common = {
    inputs: [packed, upstream, logTotal, along],
    uniform,
    workgroups: workgroupsFor(shape, rows),
  };
  const outputs = [gradientOf(packed)];
  const [gradient] = launch(source("query"), { ...common, outputs });
  launch(source("key"), { ...common, inPlace: [gradient] });
  return gradient;
}

function tilesBackward(
  { packed, upstream, attended, logTotal }: BackwardOperands,
  storages: AttentionStorages,
  shape: AttentionShape,
  bytes: number,
): tf.Tensor {
  const { images, tokens, heads, headWidth } = shape;
  const common = {
    uniform: new Uint32Array([tokens, 0, 0, 0]).buffer,
    workgroups: workgroupsFor(shape, tileRows),
  };
  const details = ["tiles", ...Object.values(storages), heads, headWidth, bytes];
  const [gradient, along] = launch(
    sourceOf("query", details, () => tilesQueryGradient(shape, storages, bytes)),
    {
      ...common,
      inputs: [packed, upstream, attended, logTotal],
      outputs: [gradientOf(packed), outputLike(packed.tensor, [images * heads * tokens])],
    },
  );
  launch(sourceOf("key", details, () => tilesKeyGradient(shape, storages, bytes)), {
    ...common,
    inputs: [packed, upstream, logTotal, along],
    inPlace: [gradient],
  });
  return gradient;
}
