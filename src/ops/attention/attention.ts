/** Multi-head self-attention (Vaswani et al. 2017) straight from the packed query-key-value product. */
import { tf } from "../../deps/tfjs.ts";
import { attentionKernel, attentionKernelFits, attentionKernelGradient } from "./attention_kernel.ts";
import type { AttentionShape } from "./attention_shape.ts";
import { type Bodies, chooseBody, differentiable } from "../operation.ts";
import { softmaxGradientComposed } from "./softmax.ts";

/** What a body of attention computes. */
export interface AttentionBody {
  /** The result, then what the way back needs besides the packed product. */
  forward(packed: tf.Tensor, sizes: AttentionShape): tf.Tensor[];
  /** Gradient of the packed product. */
  backward(upstream: tf.Tensor, packed: tf.Tensor, kept: tf.Tensor[], sizes: AttentionShape): tf.Tensor;
}

const composed: AttentionBody = {
  forward(packed, sizes) {
    const [q, k, v] = splitHeads(packed, sizes);
    const scores = batchedProduct(tf.mul(q, 1 / Math.sqrt(sizes.headWidth)), k, "transposeRight");
    const weights = tf.softmax(scores); // [N·h, T, T]
    return [joinHeads(batchedProduct(weights, v), sizes), weights];
  },
  backward(upstream, packed, [weights], sizes) {
    const [q, k, v] = splitHeads(packed, sizes);
    const dOut = takeHeads(upstream, sizes); // [N·h, T, d]
    const dv = batchedProduct(weights, dOut, "transposeLeft");
    const dWeights = batchedProduct(dOut, v, "transposeRight");
    const dScores = tf.mul(softmaxGradientComposed(weights, dWeights), 1 / Math.sqrt(sizes.headWidth));
    const dq = batchedProduct(dScores, k);
    const dk = batchedProduct(dScores, q, "transposeLeft");
    return packGradients(dq, dk, dv, sizes);
  },
};

const kernel: AttentionBody = {
  forward(packed, sizes) {
    const [attended, logTotal] = attentionKernel(packed, sizes);
    return [attended, attended, logTotal];
  },
  backward: (upstream, packed, [attended, logTotal], sizes) =>
    attentionKernelGradient(upstream, packed, attended, logTotal, sizes),
};

/** Bodies of `attention`. */
export const attentionBodies: Bodies<AttentionBody> = { name: "attention", composed, kernel };

/**
 * softmax(q kᵀ / √d) v per head, heads side by side in the result.
 * @param packed [N, T, 3 · heads · d], ordered query, key, value, then head, as PyTorch's `qkv` layers leave it
 * @param heads any number that divides the width; d may be odd
 * @returns [N, T, heads · d]
 * @throws {RangeError} when the last dimension is not a multiple of 3 · heads
 */
export function attention(packed: tf.Tensor, heads: number): tf.Tensor {
  const [images, tokens, packedWidth] = packed.shape;
  if (packed.rank !== 3 || packedWidth % (3 * heads) !== 0) {
    throw new RangeError(
      `Attention with ${heads} heads was given [${packed.shape}]; the last size must be a multiple of ${
        3 * heads
      }`,
    );
  }
  const sizes: AttentionShape = { images, tokens, heads, headWidth: packedWidth / (3 * heads) };
  const body = attentionKernelFits(sizes) ? chooseBody(attentionBodies) : composed;
  return differentiable([packed], () => {
    const [value, ...kept] = body.forward(packed, sizes);
    return {
      value,
      saved: [packed, ...kept],
      gradients: (upstream, [packed, ...kept]) => [body.backward(upstream, packed, kept, sizes)],
    };
  });
}

/** [N, T, 3·h·d] → three of [N·h, T, d] */
function splitHeads(packed: tf.Tensor, { images, tokens, heads, headWidth }: AttentionShape): tf.Tensor3D[] {
  const apart = tf.transpose(tf.reshape(packed, [images, tokens, 3, heads, headWidth]), [2, 0, 3, 1, 4]);
  return tf.split(tf.reshape(apart, [3 * images * heads, tokens, headWidth]) as tf.Tensor3D, 3, 0);
}

/** [N, T, h·d] → [N·h, T, d] */
function takeHeads(x: tf.Tensor, { images, tokens, heads, headWidth }: AttentionShape): tf.Tensor3D {
  const apart = tf.transpose(tf.reshape(x, [images, tokens, heads, headWidth]), [0, 2, 1, 3]);
  return tf.reshape(apart, [images * heads, tokens, headWidth]);
}

/** [N·h, T, d] → [N, T, h·d] */
function joinHeads(x: tf.Tensor, { images, tokens, heads, headWidth }: AttentionShape): tf.Tensor {
  const together = tf.transpose(tf.reshape(x, [images, heads, tokens, headWidth]), [0, 2, 1, 3]);
  return tf.reshape(together, [images, tokens, heads * headWidth]);
}

/** Three of [N·h, T, d] → [N, T, 3·h·d] */
function packGradients(dq: tf.Tensor, dk: tf.Tensor, dv: tf.Tensor, sizes: AttentionShape): tf.Tensor {
  const { images, tokens, heads, headWidth } = sizes;
  const apart = tf.reshape(tf.concat([dq, dk, dv], 0), [3, images, heads, tokens, headWidth]);
  return tf.reshape(tf.transpose(apart, [1, 3, 0, 2, 4]), [images, tokens, 3 * heads * headWidth]);
}

function batchedProduct(a: tf.Tensor, b: tf.Tensor, form?: "transposeLeft" | "transposeRight"): tf.Tensor {
  return tf.matMul(a as tf.Tensor3D, b as tf.Tensor3D, form === "transposeLeft", form === "transposeRight");
}
