/**
 * The two halves of a transformer block, each as one operation: x + attention(norm(x)) and x + mlp(norm(x)). As one
 * operation the way back adds the residual's gradient inside the layer norm's kernel, takes the slope of GELU inside a
 * product, frees each intermediate as soon as it is used, and may keep all of them in half precision, which then never
 * leaves the operation; images that drop path leaves out are not computed. The composed bodies are the same halves made of
 * `layerNorm`, `linear` and `attention`.
 */
import { tf } from "../../deps/tfjs.ts";
import { attention, attentionBodies } from "../attention/attention.ts";
import {
  attentionKernel,
  attentionKernelFits,
  attentionKernelGradient,
} from "../attention/attention_kernel.ts";
import { branchScales, checkKept, type KeptImages, putImages, takeImages } from "./kept_images.ts";
import { layerNorm, layerNormBodies } from "../norm/layer_norm.ts";
import { layerNormKernel, layerNormKernelGradients } from "../norm/layer_norm_kernel.ts";
import { linear, linearBodies } from "../product/linear.ts";
import { product, productKernelFits } from "../product/matmul.ts";
import {
  asMatrix,
  type Bodies,
  chooseBody,
  differentiable,
  recordsGradients,
  usesKernel,
} from "../operation.ts";

/** Weight and bias of a linear layer ([out, in] and [out]), or gain and bias of a layer norm ([D] each). */
export interface Affine {
  /** Weight or gain. */
  readonly weight: tf.Tensor;
  /** Bias. */
  readonly bias: tf.Tensor;
}

/** Parameters of x + attention(norm(x)). */
export interface AttentionParameters {
  /** The layer norm. */
  readonly norm: Affine;
  /** D to 3·D: query, key, value. */
  readonly qkv: Affine;
  /** D to D. */
  readonly proj: Affine;
  /** Attention heads. */
  readonly heads: number;
}

/** Parameters of x + mlp(norm(x)). */
export interface MlpParameters {
  /** The layer norm. */
  readonly norm: Affine;
  /** D to the hidden width, then GELU. */
  readonly fc1: Affine;
  /** The hidden width to D. */
  readonly fc2: Affine;
}

/** How a branch keeps what it makes. */
export interface BranchOptions {
  /**
   * Intermediates and their gradients in half precision. Gradients are multiplied with this power of two while they are
   * halves, because the loss is a mean over so many values that they would vanish; null (default) for single precision.
   */
  readonly halfScale?: number | null;
  /** The images that go through the branch, the others being left as they are: drop path. By default all of them do. */
  readonly kept?: KeptImages;
  /** What the layer norm adds to the variance; 1e-6 (default) in every ViT of MAE. */
  readonly epsilon?: number;
}

/** A body of `attentionResidual`. */
export type AttentionBranch = (
  x: tf.Tensor,
  parameters: AttentionParameters,
  options: BranchOptions,
) => tf.Tensor;
/** A body of `mlpResidual`. */
export type MlpBranch = (x: tf.Tensor, parameters: MlpParameters, options: BranchOptions) => tf.Tensor;

/** Bodies of `attentionResidual`. */
export const attentionBranchBodies: Bodies<AttentionBranch> = {
  name: "attentionResidual",
  composed(x, { norm, qkv, proj, heads }, { kept, epsilon }) {
    const normed = layerNorm(x, norm.weight, norm.bias, epsilon);
    const attended = attention(linear(normed, qkv.weight, qkv.bias), heads);
    if (kept) return addScaled(x, linear(attended, proj.weight, proj.bias), kept);
    return linear(attended, proj.weight, proj.bias, { residual: x });
  },
  kernel: attentionKernelBranch,
};

/** Bodies of `mlpResidual`. */
export const mlpBranchBodies: Bodies<MlpBranch> = {
  name: "mlpResidual",
  composed(x, { norm, fc1, fc2 }, { kept, epsilon }) {
    const normed = layerNorm(x, norm.weight, norm.bias, epsilon);
    const hidden = linear(normed, fc1.weight, fc1.bias, { activation: "gelu" });
    if (kept) return addScaled(x, linear(hidden, fc2.weight, fc2.bias), kept);
    return linear(hidden, fc2.weight, fc2.bias, { residual: x });
  },
  kernel: mlpKernelBranch,
};

/**
 * x + proj(attention(qkv(norm(x)))).
 * @param x [N, T, D]
 * @returns [N, T, D]
 */
export function attentionResidual(
  x: tf.Tensor,
  parameters: AttentionParameters,
  options: BranchOptions = {},
): tf.Tensor {
  const [images, , width] = x.shape;
  const { heads } = parameters;
  const fits = width % heads === 0 && productKernelFits(width, width) && usesKernel(linearBodies) &&
    attentionKernelFits({ images, heads, headWidth: width / heads }) &&
    usesKernel(attentionBodies) && usesKernel(layerNormBodies);
  const body = fits ? chooseBody(attentionBranchBodies) : attentionBranchBodies.composed;
  const { norm, qkv, proj } = parameters;
  return withoutLeftOut(x, [norm, qkv, proj], options, () => body(x, parameters, options));
}

/**
 * x + fc2(gelu(fc1(norm(x)))).
 * @param x [N, T, D]
 * @returns [N, T, D]
 */
export function mlpResidual(x: tf.Tensor, parameters: MlpParameters, options: BranchOptions = {}): tf.Tensor {
  const [hidden, width] = parameters.fc1.weight.shape as [number, number];
  const fits = productKernelFits(width, hidden) && usesKernel(linearBodies) && usesKernel(layerNormBodies);
  const body = fits ? chooseBody(mlpBranchBodies) : mlpBranchBodies.composed;
  const { norm, fc1, fc2 } = parameters;
  return withoutLeftOut(x, [norm, fc1, fc2], options, () => body(x, parameters, options));
}

/** The branch; where all images are left out just x, with gradients of 0 for the parameters. */
function withoutLeftOut(
  x: tf.Tensor,
  parameters: readonly Affine[],
  { kept }: BranchOptions,
  branch: () => tf.Tensor,
): tf.Tensor {
  if (kept) checkKept(kept, x.shape[0]);
  if (!kept || kept.images.length > 0) return branch();
  const inputs = parameters.flatMap(({ weight, bias }) => [weight, bias]);
  const shapes = inputs.map(({ shape }) => shape);
  return differentiable([x, ...inputs], () => ({
    value: tf.clone(x),
    saved: [],
    gradients: (upstream) => [tf.clone(upstream), ...shapes.map((shape) => tf.zeros(shape))],
  }));
}

/** x + the branch of the images that are kept: what drop path comes to. */
function addScaled(x: tf.Tensor, branch: tf.Tensor, kept: KeptImages): tf.Tensor {
  return differentiable([x, branch], () => {
    const scales = branchScales(kept, x.shape[0], x.rank);
    return {
      value: tf.add(x, tf.mul(branch, scales)),
      saved: [scales],
      gradients: (upstream, [scales]) => [tf.clone(upstream), tf.mul(upstream, scales)],
    };
  });
}

/** x + the last layer of the branch; `residual` and its input are the rows of the kept images. */
function residualSum(
  input: tf.Tensor2D,
  { weight, bias }: Affine,
  residual: tf.Tensor2D,
  x: tf.Tensor,
  { kept }: BranchOptions,
): tf.Tensor {
  return putImages(product("NT", input, weight, { bias, residual, scale: kept?.scale }).value, x, kept);
}

/** Gradients of x, with what came past the branch, and of the norm that the branch begins with. */
function throughNorm(
  dNormed: tf.Tensor2D,
  dy: tf.Tensor2D,
  { x, upstream, statistics }: { x: tf.Tensor; upstream: tf.Tensor; statistics: tf.Tensor },
  norm: Affine,
  { kept }: BranchOptions,
): tf.Tensor[] {
  const rows = asMatrix(takeImages(x, kept));
  const [dx, ...dNorm] = layerNormKernelGradients(dNormed, rows, norm.weight, statistics, { add: dy });
  return [putImages(dx, upstream, kept), ...dNorm];
}

function attentionKernelBranch(...[x, parameters, options]: Parameters<AttentionBranch>): tf.Tensor {
  const { norm, qkv, proj, heads } = parameters;
  const { kept, epsilon } = options;
  const [images, tokens, width] = x.shape;
  const half = Boolean(options.halfScale);
  const scale = options.halfScale ?? 1;
  const branchScale = kept?.scale ?? 1;
  const sizes = { images: kept?.images.length ?? images, tokens, heads, headWidth: width / heads };
  const inputs = [x, norm.weight, norm.bias, qkv.weight, qkv.bias, proj.weight, proj.bias];
  return differentiable(inputs, () => {
    const rows = asMatrix(takeImages(x, kept));
    const [normed, statistics] = layerNormKernel(rows, norm.weight, norm.bias, epsilon, { half });
    const packed = product("NT", normed, qkv.weight, { bias: qkv.bias, half }).value;
    const [attended, logTotal] = attentionKernel(packed, sizes);
    return {
      value: residualSum(asMatrix(attended), proj, rows, x, options),
      saved: [x, normed, statistics, packed, attended, logTotal],
      gradients: (upstream, [x, normed, statistics, packed, attended, logTotal]) => {
        const dy = asMatrix(takeImages(upstream, kept));
        const dProj = product("TN", dy, asMatrix(attended), { columnSums: true, scale: branchScale });
        const dAttended = product("NN", dy, proj.weight, { half, scale: scale * branchScale }).value;
        const dPacked = attentionKernelGradient(dAttended, packed, attended, logTotal, sizes);
        const dQkv = product("TN", asMatrix(dPacked), normed, { columnSums: true, scale: 1 / scale });
        const dNormed = product("NN", asMatrix(dPacked), qkv.weight, { scale: 1 / scale }).value;
        return [
          ...throughNorm(dNormed, dy, { x, upstream, statistics }, norm, options),
          dQkv.value,
          dQkv.columnSums as tf.Tensor,
          dProj.value,
          dProj.columnSums as tf.Tensor,
        ];
      },
    };
  });
}

function mlpKernelBranch(...[x, { norm, fc1, fc2 }, options]: Parameters<MlpBranch>): tf.Tensor {
  const { kept, epsilon } = options;
  const half = Boolean(options.halfScale);
  const scale = options.halfScale ?? 1;
  const branchScale = kept?.scale ?? 1;
  const inputs = [x, norm.weight, norm.bias, fc1.weight, fc1.bias, fc2.weight, fc2.bias];
  if (!recordsGradients()) {
    return tf.tidy(() => {
      const rows = asMatrix(takeImages(x, kept));
      const [normed] = layerNormKernel(rows, norm.weight, norm.bias, epsilon, { half });
      const hidden = product("NT", normed, fc1.weight, { bias: fc1.bias, gelu: "instead", half }).value;
      return residualSum(hidden, fc2, rows, x, options);
    });
  }
  return differentiable(inputs, () => {
    const rows = asMatrix(takeImages(x, kept));
    const [normed, statistics] = layerNormKernel(rows, norm.weight, norm.bias, epsilon, { half });
    const hidden = product("NT", normed, fc1.weight, { bias: fc1.bias, gelu: "also", half });
    const activated = hidden.activated as tf.Tensor2D;
    return {
      value: residualSum(activated, fc2, rows, x, options),
      saved: [x, normed, statistics, hidden.value, activated],
      gradients: (upstream, [x, normed, statistics, sum, activated]) => {
        const dy = asMatrix(takeImages(upstream, kept));
        const dFc2 = product("TN", dy, activated, { columnSums: true, scale: branchScale });
        const dSum = product("NN", dy, fc2.weight, { slope: sum, half, scale: scale * branchScale }).value;
        const dFc1 = product("TN", dSum, normed, { columnSums: true, scale: 1 / scale });
        const dNormed = product("NN", dSum, fc1.weight, { scale: 1 / scale }).value;
        return [
          ...throughNorm(dNormed, dy, { x, upstream, statistics }, norm, options),
          dFc1.value,
          dFc1.columnSums as tf.Tensor,
          dFc2.value,
          dFc2.columnSums as tf.Tensor,
        ];
      },
    };
  });
}
