/** The patch embedding: a convolution whose stride is its kernel, computed as a linear layer on patches. */
import { tf } from "../../deps/tfjs.ts";
import type { Size } from "../../config/types.ts";
import { product, productKernelFits } from "../product/matmul.ts";
import { type Bodies, chooseBody, differentiable } from "../operation.ts";
import { launchQuads } from "../templates/quad_kernel.ts";

/** Matrices in: rows [M, P], weight [D, P] in the order of values in a patch, dy [M, D]. */
interface PatchEmbedBody {
  forward(rows: tf.Tensor2D, weight: tf.Tensor2D, bias: tf.Tensor): tf.Tensor;
  /** dyᵀ · rows [D, P], and the sum of dy over its rows [D]. */
  backward(dy: tf.Tensor2D, rows: tf.Tensor2D): [tf.Tensor, tf.Tensor];
  /** [D, a, b] → [D, b, a] */
  swap(x: tf.Tensor, [a, b]: Size): tf.Tensor;
}

const composed: PatchEmbedBody = {
  forward: (rows, weight, bias) => tf.add(tf.matMul(rows, tf.transpose(weight) as tf.Tensor2D), bias),
  backward: (dy, rows) => [tf.matMul(dy, rows, true, false), tf.sum(dy, 0)],
  swap: (x, [a, b]) => tf.transpose(tf.reshape(x, [x.size / (a * b), a, b]), [0, 2, 1]),
};

const kernel: PatchEmbedBody = {
  forward: (rows, weight, bias) => product("NT", rows, weight, { bias }).value,
  backward(dy, rows) {
    const { value, columnSums } = product("TN", dy, rows, { columnSums: true });
    return [value, columnSums as tf.Tensor1D];
  },
  swap: (x, [a, b]) =>
    launchQuads({
      name: `swap_${a}_${b}`,
      quads: {},
      values: { x: { type: "f32", tensor: x } },
      results: { swapped: [x.size / (a * b), b, a] },
      functions: `
fn source(i: u32) -> f32 { return x[i / ${a * b}u * ${a * b}u + i % ${a}u * ${b}u + i / ${a}u % ${b}u]; }`,
      code:
        "  swapped[i] = vec4f(source(4u * i), source(4u * i + 1u), source(4u * i + 2u), source(4u * i + 3u));",
    })[0],
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
    const ordered = channels === 1 ? weight : body.swap(weight, [channels, p * q]); // [D, p·q·C], as in a patch
    const embedded = body.forward(rows, tf.reshape(ordered, [width, values]) as tf.Tensor2D, bias);
    return {
      value: tf.reshape(embedded, [images, count, width]),
      saved: [rows],
      gradients: (upstream, [rows]) => {
        const dy = tf.reshape(upstream, [images * count, width]) as tf.Tensor2D;
        const [dOrdered, dBias] = body.backward(dy, rows as tf.Tensor2D); // [D, p·q·C]
        const dWeight = channels === 1 ? dOrdered : body.swap(dOrdered, [p * q, channels]);
        return [tf.reshape(dWeight, weight.shape), dBias];
      },
    };
  });
}
