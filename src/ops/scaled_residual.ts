/** The residual sum of a branch that is scaled per image: what drop path (stochastic depth, Huang et al. 2016) comes to. */
import { tf } from "../deps/tfjs.ts";
import { bodyForWidth } from "./gather_tokens.ts";
import { type Bodies, differentiable } from "./operation.ts";
import { launchQuads } from "./quad_kernel.ts";

interface ScaledBody {
  /** x + scale[n] · branch for image n; all but the scale of one shape, [N, …]. */
  add(x: tf.Tensor, branch: tf.Tensor, scale: tf.Tensor): tf.Tensor;
  /** scale[n] · x for image n. */
  multiply(x: tf.Tensor, scale: tf.Tensor): tf.Tensor;
}

/** The scale as a factor of a tensor of that rank. */
function perImage(scale: tf.Tensor, rank: number): tf.Tensor {
  return tf.reshape(scale, [scale.size, ...Array<number>(rank - 1).fill(1)]);
}

/** Traffic: 8 bytes read and 4 written per value to add (two operations), 4 and 4 to multiply (one). */
const kernel: ScaledBody = {
  add: (x, branch, scale) =>
    launchQuads({
      name: "add_scaled",
      quads: { x, branch },
      values: { scale: { type: "f32", tensor: scale } },
      results: { sum: x.shape },
      sizes: { per_image: x.size / scale.size / 4 },
      code: "  sum[i] = x(i) + branch(i) * scale[i / sizes.per_image];",
    })[0],
  multiply: (x, scale) =>
    launchQuads({
      name: "scale_images",
      quads: { x },
      values: { scale: { type: "f32", tensor: scale } },
      results: { scaled: x.shape },
      sizes: { per_image: x.size / scale.size / 4 },
      code: "  scaled[i] = x(i) * scale[i / sizes.per_image];",
    })[0],
};

const bodies: Bodies<ScaledBody> = {
  name: "scaledResidual",
  composed: {
    add: (x, branch, scale) => tf.add(x, tf.mul(branch, perImage(scale, x.rank))),
    multiply: (x, scale) => tf.mul(x, perImage(scale, x.rank)),
  },
  kernel,
};

function bodyFor(x: tf.Tensor, scale: tf.Tensor): ScaledBody {
  if (scale.rank !== 1 || scale.size !== x.shape[0]) {
    throw new RangeError(
      `A scale [${scale.shape}] was given for a branch [${x.shape}]: one per image is needed`,
    );
  }
  return bodyForWidth(bodies, x.shape[x.rank - 1]);
}

/**
 * x + scale[n] · branch for image n; differentiable in x and branch.
 * @param x [N, …, D]
 * @param branch of the same shape
 * @param scale [N], not differentiable
 * @throws {RangeError} when the scale has not one value per image
 */
export function addScaled(x: tf.Tensor, branch: tf.Tensor, scale: tf.Tensor): tf.Tensor {
  const body = bodyFor(x, scale);
  return differentiable([x, branch], () => ({
    value: body.add(x, branch, scale),
    saved: [scale],
    gradients: (upstream, [scale]) => [tf.clone(upstream), body.multiply(upstream, scale)],
  }));
}

/** scale[n] · x for image n, for use in a way back: not differentiable. Throws `RangeError` as `addScaled` does. */
export function scaleImages(x: tf.Tensor, scale: tf.Tensor): tf.Tensor {
  return bodyFor(x, scale).multiply(x, scale);
}
