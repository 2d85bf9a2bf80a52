/** The patch embedding: a convolution whose stride is its kernel, computed as a linear layer on patches. */
import { tf } from "../deps/tfjs.ts";
import { product, productKernelFits } from "./matmul.ts";
import { type Bodies, chooseBody, differentiable } from "./operation.ts";

/** Matrices in: rows [M, P], columns [P, D], dy [M, D]. */
interface PatchEmbedBody {
  forward(rows: tf.Tensor2D, columns: tf.Tensor2D, bias: tf.Tensor): tf.Tensor;
  /** dyᵀ · rows [D, P], and the sum of dy over its rows [D]. */
  backward(dy: tf.Tensor2D, rows: tf.Tensor2D): [tf.Tensor, tf.Tensor];
}

const composed: PatchEmbedBody = {
  forward: (rows, columns, bias) => tf.add(tf.matMul(rows, columns), bias),
  backward: (dy, rows) => [tf.matMul(dy, rows, true, false), tf.sum(dy, 0)],
};

const kernel: PatchEmbedBody = {
  forward: (rows, columns, bias) => product("NN", rows, columns, { bias }).value,
  backward(dy, rows) {
    const { value, columnSums } = product("TN", dy, rows, { columnSums: true });
    return [value, columnSums as tf.Tensor1D];
  },
};

const bodies: Bodies<PatchEmbedBody> = { name: "patchEmbed", composed, kernel };

/**
 * Embeds patches linearly; the same as a convolution whose kernel and stride are a patch.
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
  const body = productKernelFits(values, width as number) ? chooseBody(bodies) : composed;
  return differentiable<tf.Tensor3D>([weight, bias], () => {
    const rows = tf.reshape(patches, [images * count, values]) as tf.Tensor2D;
    // [D, C, p, q] → [p·q·C, D], the order of values in a patch
    const columns = tf.transpose(tf.reshape(weight, [width, channels, p * q]), [2, 1, 0]);
    const embedded = body.forward(rows, tf.reshape(columns, [values, width]) as tf.Tensor2D, bias);
    return {
      value: tf.reshape(embedded, [images, count, width]),
      saved: [rows],
      gradients: (upstream, [rows]) => {
        const dy = tf.reshape(upstream, [images * count, width]) as tf.Tensor2D;
        const [dColumns, dBias] = body.backward(dy, rows as tf.Tensor2D); // [D, p·q·C]
        const dWeight = tf.transpose(tf.reshape(dColumns, [width, p * q, channels]), [0, 2, 1]);
        return [tf.reshape(dWeight, weight.shape), dBias];
      },
    };
  });
}
