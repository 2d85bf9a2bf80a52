/** From tokens to one vector per image. */
import { tf } from "../../deps/tfjs.ts";
import { bodyForWidth } from "./gather_tokens.ts";
import { type Bodies, differentiable } from "../operation.ts";
import { launchQuads } from "../templates/quad_kernel.ts";

/** The vector of an image: the mean of its patch tokens, or its class token. */
export type Pooling = "average" | "class_token";

/** Tokens that are averaged. */
interface Pooled {
  readonly first: number;
  readonly count: number;
}

interface PoolBody {
  forward(tokens: tf.Tensor, pooled: Pooled): tf.Tensor;
  backward(upstream: tf.Tensor, pooled: Pooled, shape: readonly number[]): tf.Tensor;
}

const bodies: Bodies<PoolBody> = {
  name: "poolTokens",
  composed: {
    forward(tokens, { first, count }) {
      const [images, , width] = tokens.shape;
      return tf.mean(tf.slice(tokens, [0, first, 0], [images, count, width]), 1);
    },
    backward(upstream, { first, count }, [images, places, width]) {
      const zeros = (some: number) => tf.zeros([images, some, width]);
      const share = tf.reshape(tf.div(upstream, count), [images, 1, width]);
      return tf.concat([zeros(first), tf.add(zeros(count), share), zeros(places - first - count)], 1);
    },
  },
  /** Traffic: 4 bytes per value, read forward and written on the way back; one operation. Sums are made in a fixed order. */
  kernel: {
    forward(tokens, { first, count }) {
      const [images, places, width] = tokens.shape as [number, number, number];
      return launchQuads({
        name: `pool_tokens_${width}`,
        quads: { tokens },
        ...(count < places / 2 ? { sparse: ["tokens"] } : {}),
        results: { pooled: [images, width] },
        sizes: { places, first, count },
        code: `
  let start = (i / ${width / 4}u * sizes.places + sizes.first) * ${width / 4}u + i % ${width / 4}u;
  var total = vec4f();
  for (var k = 0u; k < sizes.count; k++) { total += tokens(start + k * ${width / 4}u); }
  pooled[i] = total / f32(sizes.count);`,
      })[0];
    },
    backward(upstream, { first, count }, shape) {
      const [, places, width] = shape;
      return launchQuads({
        name: `pool_tokens_gradient_${width}`,
        quads: { upstream },
        results: { d_tokens: shape },
        sizes: { places, first, count },
        code: `
  let row = i / ${width / 4}u;
  let place = row % sizes.places;
  let share = upstream(row / sizes.places * ${width / 4}u + i % ${width / 4}u) / f32(sizes.count);
  d_tokens[i] = select(vec4f(), share, place >= sizes.first && place < sizes.first + sizes.count);`,
      })[0];
    },
  },
};

/**
 * One vector per image.
 * @param tokens [N, 1 + L, D], class token first
 * @param pooling the mean of the L patch tokens, or the class token
 * @returns [N, D]
 */
export function poolTokens(tokens: tf.Tensor, pooling: Pooling): tf.Tensor2D {
  const [images, places, width] = tokens.shape;
  return pool(tokens, pooling === "average" ? { first: 1, count: places - 1 } : classToken, [images, width]);
}

const classToken: Pooled = { first: 0, count: 1 };

/**
 * The class tokens as sequences of one token.
 * @param tokens [N, 1 + L, D], class token first
 * @returns [N, 1, D]
 */
export function takeClassToken(tokens: tf.Tensor): tf.Tensor3D {
  const [images, , width] = tokens.shape;
  return pool(tokens, classToken, [images, 1, width]);
}

/** Means of tokens, N·D values under any shape. */
function pool<Output extends tf.Tensor>(tokens: tf.Tensor, pooled: Pooled, shape: number[]): Output {
  const [images, , width] = tokens.shape;
  const body = bodyForWidth(bodies, width);
  return differentiable<Output>([tokens], () => ({
    value: tf.reshape(body.forward(tokens, pooled), shape),
    saved: [],
    gradients: (upstream) => [
      body.backward(tf.reshape(upstream, [images, width]), pooled, tokens.shape),
    ],
  }));
}
