/** Layer normalisation over the last dimension (Ba et al. 2016), with the biased variance, as PyTorch's. */
import { tf } from "../deps/tfjs.ts";
import { asMatrix, differentiable } from "./operation.ts";

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
  return differentiable([x, gain, bias], () => {
    const rows = asMatrix(x); // [M, D]
    const { normalized, inverse } = normalize(rows, eps);
    return {
      value: tf.reshape(tf.add(tf.mul(normalized, gain), bias), x.shape),
      saved: [normalized, inverse, gain],
      gradients: (upstream, [normalized, inverse, gain]) => {
        const dy = asMatrix(upstream);
        const scaled = tf.mul(dy, gain);
        const meanScaled = tf.mean(scaled, 1, true); // [M, 1]
        const meanAlong = tf.mean(tf.mul(scaled, normalized), 1, true);
        const dx = tf.mul(inverse, tf.sub(tf.sub(scaled, meanScaled), tf.mul(normalized, meanAlong)));
        return [tf.reshape(dx, x.shape), tf.sum(tf.mul(dy, normalized), 0), tf.sum(dy, 0)];
      },
    };
  });
}

function normalize(rows: tf.Tensor2D, eps: number): { normalized: tf.Tensor; inverse: tf.Tensor } {
  const centred = tf.sub(rows, tf.mean(rows, 1, true));
  const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), eps)); // [M, 1]
  return { normalized: tf.mul(centred, inverse), inverse };
}
