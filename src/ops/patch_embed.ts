/** The patch embedding: a convolution whose stride is its kernel, computed as a linear layer on patches. */
import { tf } from "../deps/tfjs.ts";
import { differentiable } from "./operation.ts";

/**
 * @param patches [N, K, p·q·C] in the order of `patchify`; data, gets no gradient
 * @param weight [D, C, p, q], PyTorch's convolution layout
 * @param bias [D]
 * @returns [N, K, D]
 * @throws {RangeError} when the patches do not fit the weight
 */
export function patchEmbed(patches: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor): tf.Tensor3D {
  const [images, count, values] = patches.shape;
  const [width, channels, p, q] = weight.shape;
  if (values !== channels * p * q) {
    throw new RangeError(
      `A patch embedding for ${channels} channels of ${p}x${q} was given patches of ${values} values`,
    );
  }
  return differentiable<tf.Tensor3D>([weight, bias], () => {
    const rows = tf.reshape(patches, [images * count, values]) as tf.Tensor2D;
    // [D, C, p, q] → [p·q·C, D], the order of values in a patch
    const columns = tf.transpose(tf.reshape(weight, [width, channels, p * q]), [2, 1, 0]);
    const product = tf.matMul(rows, tf.reshape(columns, [values, width]) as tf.Tensor2D);
    return {
      value: tf.reshape(tf.add(product, bias), [images, count, width]),
      saved: [rows],
      gradients: (upstream, [rows]) => {
        const dy = tf.reshape(upstream, [images * count, width]) as tf.Tensor2D;
        const dColumns = tf.matMul(dy, rows as tf.Tensor2D, true, false); // [D, p·q·C]
        const dWeight = tf.transpose(tf.reshape(dColumns, [width, p * q, channels]), [0, 2, 1]);
        return [tf.reshape(dWeight, weight.shape), tf.sum(dy, 0)];
      },
    };
  });
}
