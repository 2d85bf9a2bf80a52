/** GELU in its exact form, x Φ(x) with Φ from the error function (Hendrycks and Gimpel 2016), as PyTorch's default. */
import { tf } from "../../deps/tfjs.ts";
import { differentiable } from "../operation.ts";

/** Composed body: 0.5 x (1 + erf(x / √2)). */
export function geluComposed(x: tf.Tensor): tf.Tensor {
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
}

/** Composed derivative: Φ(x) + x φ(x). */
export function geluSlopeComposed(x: tf.Tensor): tf.Tensor {
  const cumulative = tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
  const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return tf.add(cumulative, tf.mul(x, density));
}

/** Exact GELU of any tensor. */
export function gelu(x: tf.Tensor): tf.Tensor {
  return differentiable([x], () => ({
    value: geluComposed(x),
    saved: [x],
    gradients: (upstream, [x]) => [tf.mul(upstream, geluSlopeComposed(x))],
  }));
}
