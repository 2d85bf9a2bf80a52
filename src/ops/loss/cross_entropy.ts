/** Softmax cross-entropy with soft labels, as mixup, cutmix and label smoothing give them (timm's `SoftTargetCrossEntropy`). */
import { tf } from "../../deps/tfjs.ts";
import { crossEntropyKernel, crossEntropyKernelGradient } from "./cross_entropy_kernel.ts";
import { type Bodies, chooseBody, differentiable } from "../operation.ts";

interface CrossEntropyBody {
  /** The loss, then what the way back needs besides logits and labels. */
  forward(logits: tf.Tensor2D, labels: tf.Tensor2D): [loss: tf.Tensor, ...kept: tf.Tensor[]];
  /** Gradient of the logits. */
  backward(upstream: tf.Tensor, logits: tf.Tensor2D, labels: tf.Tensor2D, kept: tf.Tensor[]): tf.Tensor;
}

const composed: CrossEntropyBody = {
  forward(logits, labels) {
    const shifted = tf.sub(logits, tf.max(logits, 1, true));
    const logTotal = tf.log(tf.sum(tf.exp(shifted), 1, true)); // [N, 1]
    const logProbability = tf.sub(shifted, logTotal);
    return [tf.neg(tf.div(tf.sum(tf.mul(labels, logProbability)), logits.shape[0])), logProbability];
  },
  backward(upstream, logits, labels, [logProbability]) {
    const labelTotal = tf.sum(labels, 1, true); // [N, 1], 1 for labels that are probabilities
    const slope = tf.sub(tf.mul(tf.exp(logProbability), labelTotal), labels);
    return tf.mul(slope, tf.div(upstream, logits.shape[0]));
  },
};

const kernel: CrossEntropyBody = {
  forward: crossEntropyKernel,
  backward: (upstream, logits, labels, [statistics]) =>
    crossEntropyKernelGradient(upstream, logits, labels, statistics),
};

const bodies: Bodies<CrossEntropyBody> = { name: "softCrossEntropy", composed, kernel };

/**
 * Mean over the rows of −Σ labels · log softmax(logits).
 * @param logits [N, K]
 * @param labels [N, K], not differentiable; a row usually adds up to 1
 * @returns a scalar
 * @throws {RangeError} when the shapes differ or are not matrices
 */
export function softCrossEntropy(logits: tf.Tensor, labels: tf.Tensor): tf.Scalar {
  if (logits.rank !== 2 || logits.shape.some((size, i) => size !== labels.shape[i]) || labels.rank !== 2) {
    throw new RangeError(
      `Soft cross-entropy was given logits [${logits.shape}] and labels [${labels.shape}]`,
    );
  }
  const body = chooseBody(bodies);
  return differentiable<tf.Scalar>([logits], () => {
    const [value, ...kept] = body.forward(logits as tf.Tensor2D, labels as tf.Tensor2D);
    return {
      value,
      saved: [logits, labels, ...kept],
      gradients: (
        upstream,
        [logits, labels, ...kept],
      ) => [body.backward(upstream, logits as tf.Tensor2D, labels as tf.Tensor2D, kept)],
    };
  });
}
