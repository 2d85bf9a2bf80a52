/** The reconstruction target and the loss on removed patches (paper section 3.3 and its "reconstruction target"). */
import { tf } from "../deps/tfjs.ts";
import { differentiable } from "./operation.ts";

/** Added to the patch variance inside the root, as in the official code. */
export const targetEpsilon = 1e-6;

/**
 * Mean and deviation of each patch over all its values, as the normalised target uses them: unbiased variance.
 * @param patches [N, L, P]
 * @returns two of [N, L, 1]
 */
export function patchStatistics(patches: tf.Tensor): { mean: tf.Tensor; deviation: tf.Tensor } {
  const values = patches.shape[patches.rank - 1];
  const mean = tf.mean(patches, -1, true);
  const squares = tf.sum(tf.square(tf.sub(patches, mean)), -1, true);
  return { mean, deviation: tf.sqrt(tf.add(tf.div(squares, values - 1), targetEpsilon)) };
}

/** The target of the loss: the patches themselves, or each normalised by its own mean and deviation; [N, L, P]. */
export function reconstructionTarget(patches: tf.Tensor, normalize: boolean): tf.Tensor {
  if (!normalize) return tf.clone(patches);
  const { mean, deviation } = patchStatistics(patches);
  return tf.div(tf.sub(patches, mean), deviation);
}

/**
 * Mean squared error of each patch over its P values, averaged over the removed patches of all images.
 * @param prediction [N, L, P]
 * @param patches [N, L, P] data, not differentiable
 * @param mask [N, L], 1 where removed
 * @returns a scalar; NaN when nothing is removed, as in the official code
 */
export function maskedPixelLoss(
  prediction: tf.Tensor,
  patches: tf.Tensor,
  mask: tf.Tensor,
  normalize: boolean,
): tf.Scalar {
  const values = prediction.shape[prediction.rank - 1];
  return differentiable<tf.Scalar>([prediction], () => {
    const difference = tf.sub(prediction, reconstructionTarget(patches, normalize));
    const perPatch = tf.mean(tf.square(difference), -1); // [N, L]
    const removed = tf.sum(mask);
    return {
      value: tf.div(tf.sum(tf.mul(perPatch, mask)), removed),
      saved: [difference, removed, mask],
      gradients: (upstream, [difference, removed, mask]) => {
        const scale = tf.div(tf.mul(upstream, 2 / values), removed);
        return [tf.mul(difference, tf.mul(tf.expandDims(mask, -1), scale))];
      },
    };
  });
}
