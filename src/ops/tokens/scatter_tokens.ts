/** Into the decoder and out of it: mask tokens where patches were removed; the tokens of all patches, or of the removed. */
import { tf } from "../../deps/tfjs.ts";
import { bodyForWidth, takeRows } from "./gather_tokens.ts";
import type { Masking } from "./masking.ts";
import { type Bodies, differentiable } from "../operation.ts";
import {
  addPositionsKernel,
  dropFirstGradient,
  dropFirstKernel,
  removedTokensGradient,
  removedTokensKernel,
  scatterTokensGradients,
  scatterTokensKernel,
} from "./token_kernels.ts";

interface ScatterBody {
  forward(tokens: tf.Tensor, maskToken: tf.Tensor, positions: tf.Tensor, restore: tf.Tensor2D): tf.Tensor;
  /** Gradients of the tokens and the mask token. */
  backward(
    upstream: tf.Tensor,
    kept: tf.Tensor2D,
    mask: tf.Tensor,
    maskShape: number[],
  ): [tf.Tensor, tf.Tensor];
}

const scatterBodies: Bodies<ScatterBody> = {
  name: "scatterTokens",
  composed: {
    forward(tokens, maskToken, positions, restore) {
      const [images, known, width] = tokens.shape;
      const removed = restore.shape[1] - known + 1;
      const first = tf.slice(tokens, [0, 0, 0], [images, 1, width]);
      const visible = tf.slice(tokens, [0, 1, 0], [images, known - 1, width]);
      const fill = tf.add(tf.zeros([images, removed, width]), maskToken);
      const placed = takeRows(removed === 0 ? visible : tf.concat([visible, fill], 1), restore);
      return tf.add(tf.concat([first, placed], 1), positions);
    },
    backward(upstream, kept, mask, maskShape) {
      const [images, places, width] = upstream.shape;
      const dFirst = tf.slice(upstream, [0, 0, 0], [images, 1, width]);
      const dPlaced = tf.slice(upstream, [0, 1, 0], [images, places - 1, width]);
      const dVisible = takeRows(dPlaced, kept);
      const dMask = tf.sum(tf.mul(dPlaced, tf.expandDims(mask, 2)), [0, 1]);
      return [tf.concat([dFirst, dVisible], 1), tf.reshape(dMask, maskShape)];
    },
  },
  kernel: { forward: scatterTokensKernel, backward: scatterTokensGradients },
};

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
  const { idsKeep, idsRestore, mask } = masking;
  const body = bodyForWidth(scatterBodies, tokens.shape[2] as number);
  return differentiable<tf.Tensor3D>([tokens, maskToken], () => ({
    value: body.forward(tokens, maskToken, positions, idsRestore),
    saved: [idsKeep, mask],
    gradients: (upstream, [kept, mask]) =>
      body.backward(upstream, kept as tf.Tensor2D, mask, maskToken.shape),
  }));
}

const addPositionsBodies: Bodies<(tokens: tf.Tensor, positions: tf.Tensor) => tf.Tensor> = {
  name: "addPositions",
  composed: tf.add,
  kernel: addPositionsKernel,
};

/**
 * Adds positions to every token.
 * @param tokens [N, T, D]
 * @param positions [1, T, D] (fixed: gets no gradient)
 */
export function addPositions(tokens: tf.Tensor, positions: tf.Tensor): tf.Tensor3D {
  const body = bodyForWidth(addPositionsBodies, tokens.shape[2] as number);
  return differentiable<tf.Tensor3D>([tokens], () => ({
    value: body(tokens, positions),
    saved: [],
    gradients: (upstream) => [tf.clone(upstream)],
  }));
}

interface DropBody {
  forward(tokens: tf.Tensor): tf.Tensor;
  backward(upstream: tf.Tensor): tf.Tensor;
}

const dropBodies: Bodies<DropBody> = {
  name: "dropClassToken",
  composed: {
    forward(tokens) {
      const [images, places, width] = tokens.shape;
      return tf.slice(tokens, [0, 1, 0], [images, places - 1, width]);
    },
    backward(upstream) {
      const [images, , width] = upstream.shape;
      return tf.concat([tf.zeros([images, 1, width]), upstream], 1);
    },
  },
  kernel: { forward: dropFirstKernel, backward: dropFirstGradient },
};

/** Patch tokens without the class token: [N, 1 + L, D] → [N, L, D]. */
export function dropClassToken(tokens: tf.Tensor): tf.Tensor3D {
  const body = bodyForWidth(dropBodies, tokens.shape[2] as number);
  return differentiable<tf.Tensor3D>([tokens], () => ({
    value: body.forward(tokens),
    saved: [],
    gradients: (upstream) => [body.backward(upstream)],
  }));
}

interface RemovedBody {
  forward(tokens: tf.Tensor, removed: tf.Tensor2D): tf.Tensor;
  backward(upstream: tf.Tensor, restore: tf.Tensor2D): tf.Tensor;
}

const removedBodies: Bodies<RemovedBody> = {
  name: "removedTokens",
  composed: {
    forward: (tokens, removed) => takeRows(dropBodies.composed.forward(tokens), removed),
    backward(upstream, restore) {
      const [images, count, width] = upstream.shape;
      const kept = tf.zeros([images, restore.shape[1] - count, width]);
      return dropBodies.composed.backward(takeRows(tf.concat([kept, upstream], 1), restore));
    },
  },
  kernel: { forward: removedTokensKernel, backward: removedTokensGradient },
};

/**
 * Tokens of the removed patches, in the order of the noise: all that reaches the loss.
 * @param tokens [N, 1 + L, D], class token first
 * @returns [N, L − kept, D]
 */
export function removedTokens(tokens: tf.Tensor, { idsRemoved, idsRestore }: Masking): tf.Tensor3D {
  const body = bodyForWidth(removedBodies, tokens.shape[2] as number);
  return differentiable<tf.Tensor3D>([tokens], () => ({
    value: body.forward(tokens, idsRemoved),
    saved: [idsRestore],
    gradients: (upstream, [restore]) => [body.backward(upstream, restore as tf.Tensor2D)],
  }));
}
