/** Into the encoder: taking the kept patches, and making a token sequence of them. */
import { tf } from "../deps/tfjs.ts";
import { differentiable } from "./operation.ts";

/**
 * rows[n, ids[n, k]] for each image n; not differentiable.
 * @param rows [N, L, D], or [1, L, D] shared by all images
 * @param ids [N, K] int32
 * @returns [N, K, D]
 */
export function takeRows(rows: tf.Tensor, ids: tf.Tensor2D): tf.Tensor3D {
  const [sets, length, width] = rows.shape;
  const [images, count] = ids.shape;
  // Flat indices: tfjs's batched gather has a wrong gradient and loops over images.
  const offsets = tf.reshape(tf.mul(tf.range(0, images, 1, "int32"), tf.scalar(length, "int32")), [
    images,
    1,
  ]);
  const flat = sets === 1 ? ids : tf.add(ids, offsets);
  const taken = tf.gather(tf.reshape(rows, [sets * length, width]), tf.reshape(flat, [images * count]));
  return tf.reshape(taken, [images, count, width]);
}

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
  const [images, count, width] = tokens.shape;
  return differentiable<tf.Tensor3D>([tokens, classToken], () => {
    const length = positions.size / width - 1;
    const classPosition = tf.slice(positions, [0, 0, 0], [1, 1, width]);
    const patchPositions = tf.slice(positions, [0, 1, 0], [1, length, width]);
    const first = tf.add(tf.zeros([images, 1, width]), tf.add(classToken, classPosition));
    const rest = tf.add(tokens, ids ? takeRows(patchPositions, ids) : patchPositions);
    return {
      value: tf.concat([first, rest], 1),
      saved: [],
      gradients: (upstream) => [
        tf.slice(upstream, [0, 1, 0], [images, count, width]),
        tf.sum(tf.slice(upstream, [0, 0, 0], [images, 1, width]), 0, true),
      ],
    };
  });
}

/**
 * The ablation with mask tokens in the encoder: removed patches are replaced before the encoder.
 * @param tokens [N, L, D] embedded patches
 * @param maskToken [1, 1, D]
 * @param mask [N, L], 1 where removed
 * @returns [N, L, D]
 */
export function replaceMasked(tokens: tf.Tensor, maskToken: tf.Tensor, mask: tf.Tensor): tf.Tensor3D {
  return differentiable<tf.Tensor3D>([tokens, maskToken], () => {
    const removed = tf.expandDims(mask, 2); // [N, L, 1]
    const visible = tf.sub(1, removed);
    return {
      value: tf.add(tf.mul(tokens, visible), tf.mul(maskToken, removed)),
      saved: [removed, visible],
      gradients: (upstream, [removed, visible]) => [
        tf.mul(upstream, visible),
        tf.reshape(tf.sum(tf.mul(upstream, removed), [0, 1]), maskToken.shape),
      ],
    };
  });
}
