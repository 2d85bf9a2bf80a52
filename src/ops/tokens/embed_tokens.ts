/** The encoder's input where every patch is seen and positions are learned. */
import { tf } from "../../deps/tfjs.ts";
import { bodyForWidth } from "./gather_tokens.ts";
import { type Bodies, differentiable } from "../operation.ts";
import { launchQuads } from "../templates/quad_kernel.ts";
import { assembleTokensKernel, dropFirstKernel } from "./token_kernels.ts";

interface EmbedBody {
  forward(tokens: tf.Tensor, classToken: tf.Tensor, positions: tf.Tensor): tf.Tensor;
  /** Gradients of the tokens and the positions. */
  backward(upstream: tf.Tensor): [tf.Tensor, tf.Tensor];
}

const bodies: Bodies<EmbedBody> = {
  name: "embedTokens",
  composed: {
    forward(tokens, classToken, positions) {
      const [images, , width] = tokens.shape;
      const first = tf.add(tf.zeros([images, 1, width]), classToken);
      return tf.add(tf.concat([first, tokens], 1), positions);
    },
    backward(upstream) {
      const [images, places, width] = upstream.shape;
      return [tf.slice(upstream, [0, 1, 0], [images, places - 1, width]), tf.sum(upstream, 0, true)];
    },
  },
  kernel: {
    forward: (tokens, classToken, positions) => assembleTokensKernel(tokens, classToken, positions, null),
    backward: (upstream) => [dropFirstKernel(upstream), sumOverImages(upstream)],
  },
};

/** [N, T, D] → [1, T, D]. Traffic: 4 bytes read per value; one operation, in a fixed order. */
function sumOverImages(x: tf.Tensor): tf.Tensor {
  const [images, places, width] = x.shape as [number, number, number];
  return launchQuads({
    name: "sum_over_images",
    quads: { x },
    results: { total: [1, places, width] },
    sizes: { images, per_image: places * width / 4 },
    code: `
  var sum = vec4f();
  for (var n = 0u; n < sizes.images; n++) { sum += x(n * sizes.per_image + i); }
  total[i] = sum;`,
  })[0];
}

/**
 * Class token, then patch tokens, each with its position added; differentiable in all three.
 * @param tokens [N, L, D] embedded patches in order
 * @param classToken [1, 1, D]
 * @param positions [1, 1 + L, D], the class token's first
 * @returns [N, 1 + L, D]
 * @throws {RangeError} when there are not as many positions as tokens
 */
export function embedTokens(tokens: tf.Tensor, classToken: tf.Tensor, positions: tf.Tensor): tf.Tensor3D {
  const [, length, width] = tokens.shape;
  if (positions.shape.join() !== [1, length + 1, width].join()) {
    throw new RangeError(
      `Positions [${positions.shape}] do not fit a class token and patches [${tokens.shape}]`,
    );
  }
  const body = bodyForWidth(bodies, width);
  return differentiable<tf.Tensor3D>([tokens, classToken, positions], () => ({
    value: body.forward(tokens, classToken, positions),
    saved: [],
    gradients: (upstream) => {
      const [dTokens, dPositions] = body.backward(upstream);
      return [dTokens, tf.slice(dPositions, [0, 0, 0], [1, 1, width]), dPositions];
    },
  }));
}
