/** The reconstruction target and the loss on removed patches (paper section 3.3 and its "reconstruction target"). */
import { tf } from "../../deps/tfjs.ts";
import { type Bodies, chooseBody, differentiable } from "../operation.ts";
import { type LossShape, pixelLossKernel, pixelLossKernelGradient } from "./pixel_loss_kernel.ts";

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
  /** The loss and the number of removed patches, two scalars. */
  forward(
    prediction: tf.Tensor,
    patches: tf.Tensor,
    mask: tf.Tensor,
    normalize: boolean,
  ): [loss: tf.Tensor, removed: tf.Tensor];
  /** Gradient of the prediction. */
  backward(
    upstream: tf.Tensor,
    kept: { prediction: tf.Tensor; patches: tf.Tensor; mask: tf.Tensor; removed: tf.Tensor },
    normalize: boolean,
  ): tf.Tensor;
}

const composed: PixelLossBody = {
  forward(prediction, patches, mask, normalize) {
    const removed = tf.sum(mask);
    const losses = tf.mean(tf.square(tf.sub(prediction, reconstructionTarget(patches, normalize))), -1); // [N, L]
    return [tf.div(tf.sum(tf.mul(losses, mask)), removed), removed];
  },
  backward(upstream, { prediction, patches, mask, removed }, normalize) {
    const scale = tf.div(tf.mul(upstream, 2 / valuesOf(prediction)), removed);
    const factors = tf.expandDims(tf.mul(mask, scale), -1); // [N, L, 1]
    return tf.mul(tf.sub(prediction, reconstructionTarget(patches, normalize)), factors);
  },
};

const kernel: PixelLossBody = {
  forward: (prediction, patches, mask, normalize) =>
    pixelLossKernel(prediction, patches, mask, kernelShape(prediction, normalize)),
  backward: (upstream, { prediction, patches, mask, removed }, normalize) =>
    pixelLossKernelGradient(
      upstream,
      prediction,
      patches,
      mask,
      removed,
      kernelShape(prediction, normalize),
    ),
};

function valuesOf(prediction: tf.Tensor): number {
  return prediction.shape[prediction.rank - 1];
}

function kernelShape(prediction: tf.Tensor, normalize: boolean): LossShape {
  return { values: valuesOf(prediction), normalize, epsilon: targetEpsilon };
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
  const body = chooseBody(bodies);
  return differentiable<tf.Scalar>([prediction], () => {
    const [value, removed] = body.forward(prediction, patches, mask, normalize);
    return {
      value,
      saved: [prediction, patches, mask, removed],
      gradients: (
        upstream,
        [prediction, patches, mask, removed],
      ) => [body.backward(upstream, { prediction, patches, mask, removed }, normalize)],
    };
  });
}
