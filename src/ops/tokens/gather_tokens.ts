/** Into the encoder: taking the kept patches, and making a token sequence of them. */
import { tf } from "../../deps/tfjs.ts";
import { type Bodies, chooseBody, differentiable } from "../operation.ts";
import {
  assembleTokensGradients,
  assembleTokensKernel,
  replaceMaskedGradients,
  replaceMaskedKernel,
  takeRowsKernel,
} from "./token_kernels.ts";

/** The body for tokens of a width: kernels move four values at a time. */
export function bodyForWidth<Body>(bodies: Bodies<Body>, width: number): Body {
  return width % 4 === 0 ? chooseBody(bodies) : bodies.composed;
}

type TakeRowsBody = (rows: tf.Tensor, ids: tf.Tensor2D) => tf.Tensor;

const takeRowsBodies: Bodies<TakeRowsBody> = {
  name: "takeRows",
  composed(rows, ids) {
    const [sets, length, width] = rows.shape;
    const [images, count] = ids.shape;
    // Flat indices: tfjs's batched gather has a wrong gradient and loops over images.
    const offsets = tf.mul(tf.range(0, images, 1, "int32"), tf.scalar(length, "int32"));
    const flat = sets === 1 ? ids : tf.add(ids, tf.reshape(offsets, [images, 1]));
    const taken = tf.gather(tf.reshape(rows, [sets * length, width]), tf.reshape(flat, [images * count]));
    return tf.reshape(taken, [images, count, width]);
  },
  kernel: (rows, ids) => takeRowsKernel(rows, ids, rows.shape[0] === 1 ? 0 : rows.shape[1] as number),
};

/**
 * rows[n, ids[n, k]] for each image n; not differentiable.
 * @param rows [N, L, D], or [1, L, D] shared by all images
 * @param ids [N, K] int32
 * @returns [N, K, D]
 */
export function takeRows(rows: tf.Tensor, ids: tf.Tensor2D): tf.Tensor3D {
  return tf.tidy(() => bodyForWidth(takeRowsBodies, rows.shape[2] as number)(rows, ids)) as tf.Tensor3D;
}

interface AssembleBody {
  forward(tokens: tf.Tensor, classToken: tf.Tensor, positions: tf.Tensor, ids: tf.Tensor2D | null): tf.Tensor;
  /** Gradients of the tokens and the class token. */
  backward(upstream: tf.Tensor): [tf.Tensor, tf.Tensor];
}

const assembleBodies: Bodies<AssembleBody> = {
  name: "assembleTokens",
  composed: {
    forward(tokens, classToken, positions, ids) {
      const [images, , width] = tokens.shape;
      const length = positions.size / width - 1;
      const classPosition = tf.slice(positions, [0, 0, 0], [1, 1, width]);
      const patchPositions = tf.slice(positions, [0, 1, 0], [1, length, width]);
      const first = tf.add(tf.zeros([images, 1, width]), tf.add(classToken, classPosition));
      const rest = tf.add(tokens, ids ? takeRows(patchPositions, ids) : patchPositions);
      return tf.concat([first, rest], 1);
    },
    backward(upstream) {
      const [images, places, width] = upstream.shape;
      return [
        tf.slice(upstream, [0, 1, 0], [images, places - 1, width]),
        tf.sum(tf.slice(upstream, [0, 0, 0], [images, 1, width]), 0, true),
      ];
    },
  },
  kernel: { forward: assembleTokensKernel, backward: assembleTokensGradients },
};

/**
 * The encoder's input: class token, then patch tokens, each with its position added.
 * @param tokens [N, K, D] embedded patches
 * @param classToken [1, 1, D]
 * @param positions [1, 1 + L, D], the class token's first (fixed: gets no gradient)
 * @param ids [N, K] int32, the patch of each token; null when the tokens are all L patches in order
 * @returns [N, 1 + K, D]
 */
export function assembleTokens(
  tokens: tf.Tensor,
  classToken: tf.Tensor,
  positions: tf.Tensor,
  ids: tf.Tensor2D | null,
): tf.Tensor3D {
  const body = bodyForWidth(assembleBodies, tokens.shape[2] as number);
  return differentiable<tf.Tensor3D>([tokens, classToken], () => ({
    value: body.forward(tokens, classToken, positions, ids),
    saved: [],
    gradients: (upstream) => body.backward(upstream),
  }));
}

interface ReplaceBody {
  forward(tokens: tf.Tensor, maskToken: tf.Tensor, mask: tf.Tensor): tf.Tensor;
  /** Gradients of the tokens and the mask token. */
  backward(upstream: tf.Tensor, mask: tf.Tensor, maskShape: number[]): [tf.Tensor, tf.Tensor];
}

const replaceBodies: Bodies<ReplaceBody> = {
  name: "replaceMasked",
  composed: {
    forward(tokens, maskToken, mask) {
      const removed = tf.expandDims(mask, 2); // [N, L, 1]
      return tf.add(tf.mul(tokens, tf.sub(1, removed)), tf.mul(maskToken, removed));
    },
    backward(upstream, mask, maskShape) {
      const removed = tf.expandDims(mask, 2);
      const dMask = tf.sum(tf.mul(upstream, removed), [0, 1]);
      return [tf.mul(upstream, tf.sub(1, removed)), tf.reshape(dMask, maskShape)];
    },
  },
  kernel: { forward: replaceMaskedKernel, backward: replaceMaskedGradients },
};

/**
 * The ablation with mask tokens in the encoder: removed patches are replaced before the encoder.
 * @param tokens [N, L, D] embedded patches
 * @param maskToken [1, 1, D]
 * @param mask [N, L], 1 where removed
 * @returns [N, L, D]
 */
export function replaceMasked(tokens: tf.Tensor, maskToken: tf.Tensor, mask: tf.Tensor): tf.Tensor3D {
  const body = bodyForWidth(replaceBodies, tokens.shape[2] as number);
  return differentiable<tf.Tensor3D>([tokens, maskToken], () => ({
    value: body.forward(tokens, maskToken, mask),
    saved: [mask],
    gradients: (upstream, [mask]) => body.backward(upstream, mask, maskToken.shape),
  }));
}
