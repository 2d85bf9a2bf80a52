/** Layer normalisation over the last dimension (Ba et al. 2016), with the biased variance, as PyTorch's. */
import { tf } from "../../deps/tfjs.ts";
import { layerNormKernel, layerNormKernelGradients } from "./layer_norm_kernel.ts";
import { asMatrix, type Bodies, chooseBody, differentiable } from "../operation.ts";

/** What a body of layer norm computes. Matrices in: x [M, D], gain [D], bias [D]. */
export interface LayerNormBody {
  /** The result, then what the way back needs besides x and gain. */
  forward(x: tf.Tensor2D, gain: tf.Tensor, bias: tf.Tensor, eps: number): tf.Tensor[];
  /** Gradients of x, gain and bias. */
  backward(
    dy: tf.Tensor2D,
    x: tf.Tensor2D,
    gain: tf.Tensor,
    kept: tf.Tensor[],
  ): [tf.Tensor, tf.Tensor, tf.Tensor];
}

const composed: LayerNormBody = {
  forward(x, gain, bias, eps) {
    const centred = tf.sub(x, tf.mean(x, 1, true));
    const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), eps)); // [M, 1]
    const normalized = tf.mul(centred, inverse);
    return [tf.add(tf.mul(normalized, gain), bias), normalized, inverse];
  },
  backward(dy, _x, gain, [normalized, inverse]) {
    const scaled = tf.mul(dy, gain);
    const meanScaled = tf.mean(scaled, 1, true); // [M, 1]
    const meanAlong = tf.mean(tf.mul(scaled, normalized), 1, true);
    const dx = tf.mul(inverse, tf.sub(tf.sub(scaled, meanScaled), tf.mul(normalized, meanAlong)));
    return [dx, tf.sum(tf.mul(dy, normalized), 0), tf.sum(dy, 0)];
  },
};

const kernel: LayerNormBody = {
  forward: (x, gain, bias, eps) => layerNormKernel(x, gain, bias, eps),
  backward: (dy, x, gain, [statistics]) => layerNormKernelGradients(dy, x, gain, statistics),
};

/** Bodies of `layerNorm`. */
export const layerNormBodies: Bodies<LayerNormBody> = { name: "layerNorm", composed, kernel };

/**
 * (x − mean) / √(variance + eps) · gain + bias over the last dimension.
 * @param x [..., D]
 * @param gain [D]
 * @param bias [D]
 * @param eps 1e-6 in every ViT of MAE
 * @throws {RangeError} when gain or bias do not have D values
 */
export function layerNorm(x: tf.Tensor, gain: tf.Tensor, bias: tf.Tensor, eps = 1e-6): tf.Tensor {
  const width = x.shape[x.rank - 1];
  if (gain.size !== width || bias.size !== width) {
    throw new RangeError(`A layer norm of width ${gain.size} was given [${x.shape}]`);
  }
  const body = width % 4 === 0 ? chooseBody(layerNormBodies) : composed;
  return differentiable([x, gain, bias], () => {
    const rows = asMatrix(x); // [M, D]
    const [value, ...kept] = body.forward(rows, gain, bias, eps);
    return {
      value: tf.reshape(value, x.shape),
      saved: [rows, gain, ...kept],
      gradients: (upstream, [rows, gain, ...kept]) => {
        const [dx, dGain, dBias] = body.backward(asMatrix(upstream), rows as tf.Tensor2D, gain, kept);
        return [tf.reshape(dx, x.shape), dGain, dBias];
      },
    };
  });
}
