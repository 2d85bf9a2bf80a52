/** Into the decoder and out of it: putting mask tokens where patches were removed, and dropping the class token. */
import { tf } from "../deps/tfjs.ts";
import { takeRows } from "./gather_tokens.ts";
import type { Masking } from "./masking.ts";
import { differentiable } from "./operation.ts";

/**
 * The decoder's input: encoded tokens back in their places, mask tokens in the others, positions added to all.
 * @param tokens [N, 1 + kept, D] from the encoder, class token first
 * @param maskToken [1, 1, D]
 * @param positions [1, 1 + L, D] (fixed: gets no gradient)
 * @returns [N, 1 + L, D]
 */
export function scatterTokens(
  tokens: tf.Tensor,
  maskToken: tf.Tensor,
  positions: tf.Tensor,
  masking: Masking,
): tf.Tensor3D {
  const { length, kept, idsKeep, idsRestore, mask } = masking;
  const [images, , width] = tokens.shape;
  const removed = length - kept;
  return differentiable<tf.Tensor3D>([tokens, maskToken], () => {
    const first = tf.slice(tokens, [0, 0, 0], [images, 1, width]);
    const visible = tf.slice(tokens, [0, 1, 0], [images, kept, width]);
    const fill = tf.add(tf.zeros([images, removed, width]), maskToken);
    const placed = takeRows(removed === 0 ? visible : tf.concat([visible, fill], 1), idsRestore);
    return {
      value: tf.add(tf.concat([first, placed], 1), positions),
      saved: [idsKeep, mask],
      gradients: (upstream, [idsKeep, mask]) => {
        const dFirst = tf.slice(upstream, [0, 0, 0], [images, 1, width]);
        const dPlaced = tf.slice(upstream, [0, 1, 0], [images, length, width]);
        const dVisible = takeRows(dPlaced, idsKeep as tf.Tensor2D);
        const dMask = tf.sum(tf.mul(dPlaced, tf.expandDims(mask, 2)), [0, 1]);
        return [tf.concat([dFirst, dVisible], 1), tf.reshape(dMask, maskToken.shape)];
      },
    };
  });
}

/**
 * Adds positions to every token.
 * @param tokens [N, T, D]
 * @param positions [1, T, D] (fixed: gets no gradient)
 */
export function addPositions(tokens: tf.Tensor, positions: tf.Tensor): tf.Tensor3D {
  return differentiable<tf.Tensor3D>([tokens], () => ({
    value: tf.add(tokens, positions),
    saved: [],
    gradients: (upstream) => [tf.clone(upstream)],
  }));
}

/** Patch tokens without the class token: [N, 1 + L, D] → [N, L, D]. */
export function dropClassToken(tokens: tf.Tensor): tf.Tensor3D {
  const [images, count, width] = tokens.shape;
  return differentiable<tf.Tensor3D>([tokens], () => ({
    value: tf.slice(tokens, [0, 1, 0], [images, count - 1, width]),
    saved: [],
    gradients: (upstream) => [tf.concat([tf.zeros([images, 1, width]), upstream], 1)],
  }));
}
