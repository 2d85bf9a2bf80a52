/** Softmax over the last dimension. */
import { tf } from "../../deps/tfjs.ts";
import { differentiable } from "../operation.ts";

/** Composed derivative: y · (upstream − Σ upstream · y) for y = softmax(x). */
export function softmaxGradientComposed(y: tf.Tensor, upstream: tf.Tensor): tf.Tensor {
  return tf.mul(y, tf.sub(upstream, tf.sum(tf.mul(upstream, y), -1, true)));
}

/** exp(x) / Σ exp(x) over the last dimension, shifted by the largest value so that nothing overflows. */
export function softmax(x: tf.Tensor): tf.Tensor {
  return differentiable([x], () => {
    const y = tf.softmax(x);
    return { value: y, saved: [y], gradients: (upstream, [y]) => [softmaxGradientComposed(y, upstream)] };
  });
}
