/** The reconstruction target and the loss on removed patches (paper section 3.3 and its "reconstruction target"). */
import { tf } from "../deps/tfjs.ts";
import { cpuLanes } from "../gpu/target.ts";
import { type Bodies, chooseBody, differentiable } from "./operation.ts";
import { patchLosses, patchLossGradient } from "./pixel_loss_kernel.ts";

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

interface PixelLossBody {
  /** Mean squared error of each patch, [N, L]. */
  losses(prediction: tf.Tensor, patches: tf.Tensor, normalize: boolean): tf.Tensor;
  /** (prediction − target) times a factor per patch, [N, L]. */
  gradient(prediction: tf.Tensor, patches: tf.Tensor, factors: tf.Tensor, normalize: boolean): tf.Tensor;
}

const composed: PixelLossBody = {
  losses: (prediction, patches, normalize) =>
    tf.mean(tf.square(tf.sub(prediction, reconstructionTarget(patches, normalize))), -1),
  gradient: (prediction, patches, factors, normalize) =>
    tf.mul(tf.sub(prediction, reconstructionTarget(patches, normalize)), tf.expandDims(factors, -1)),
};

const kernel: PixelLossBody = {
  losses(prediction, patches, normalize) {
    const [images, length, values] = prediction.shape as [number, number, number];
    return tf.reshape(patchLosses(prediction, patches, kernelShape(values, normalize)), [images, length]);
  },
  gradient: (prediction, patches, factors, normalize) =>
    patchLossGradient(prediction, patches, factors, kernelShape(prediction.shape[2] as number, normalize)),
};

function kernelShape(values: number, normalize: boolean) {
  return { values, normalize, lanes: cpuLanes() as number, epsilon: targetEpsilon };
}

const bodies: Bodies<PixelLossBody> = { name: "maskedPixelLoss", composed, kernel };

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
  const values = prediction.shape[prediction.rank - 1] as number;
  const body = cpuLanes() !== null && values % 4 === 0 ? chooseBody(bodies) : composed;
  return differentiable<tf.Scalar>([prediction], () => {
    const removed = tf.sum(mask);
    return {
      value: tf.div(tf.sum(tf.mul(body.losses(prediction, patches, normalize), mask)), removed),
      saved: [prediction, patches, mask, removed],
      gradients: (upstream, [prediction, patches, mask, removed]) => {
        const scale = tf.div(tf.mul(upstream, 2 / values), removed);
        return [body.gradient(prediction, patches, tf.mul(mask, scale), normalize)];
      },
    };
  });
}
