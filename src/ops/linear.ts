/** Linear layers: y = x Wᵀ + b, with an activation or a residual sum in the same operation. */
import { tf } from "../deps/tfjs.ts";
import { asMatrix, type Differentiable, differentiable } from "./operation.ts";
import { geluComposed, geluSlopeComposed } from "./gelu.ts";

/** What follows the product inside the operation. */
export interface LinearOptions {
  /** `gelu` applies the exact (erf) GELU to the result. */
  readonly activation?: "gelu";
  /** Added to the result; same shape as the result. Not together with an activation. */
  readonly residual?: tf.Tensor;
  /** True when x is data: no gradient for it is computed. */
  readonly constantInput?: boolean;
}

/**
 * Linear layer.
 * @param x [..., in]
 * @param weight [out, in], PyTorch's layout
 * @param bias [out]
 * @returns [..., out]
 * @throws {RangeError} when the shapes do not fit
 */
export function linear(
  x: tf.Tensor,
  weight: tf.Tensor,
  bias: tf.Tensor,
  options: LinearOptions = {},
): tf.Tensor {
  const [outputs, inputs] = weight.shape;
  if (weight.rank !== 2 || x.shape[x.rank - 1] !== inputs || bias.size !== outputs) {
    throw new RangeError(
      `A linear layer with weight [${weight.shape}] and bias [${bias.shape}] was given [${x.shape}]`,
    );
  }
  const { activation, residual, constantInput } = options;
  if (activation && residual) {
    throw new RangeError("A linear layer has an activation or a residual sum, not both");
  }
  const shape = [...x.shape.slice(0, -1), outputs];
  const inputList = [...(constantInput ? [] : [x]), weight, bias, ...(residual ? [residual] : [])];

  return differentiable(inputList, (): Differentiable => {
    const rows = asMatrix(x);
    const sum = tf.add(product(rows, weight), bias);
    const value = activation ? geluComposed(sum) : residual ? tf.add(sum, asMatrix(residual)) : sum;
    return {
      value: tf.reshape(value, shape),
      saved: [rows, weight, ...(activation ? [sum] : [])],
      gradients: (upstream, [rows, weight, sum]) => {
        const dy = activation ? tf.mul(asMatrix(upstream), geluSlopeComposed(sum)) : asMatrix(upstream);
        return [
          ...(constantInput ? [] : [tf.reshape(tf.matMul(dy, weight as tf.Tensor2D), x.shape)]),
          tf.matMul(dy as tf.Tensor2D, rows as tf.Tensor2D, true, false),
          tf.sum(dy, 0),
          ...(residual ? [tf.clone(upstream)] : []),
        ];
      },
    };
  });
}

/** x Wᵀ. tfjs's product with a transposed right side is three times slower than transposing it first. */
function product(x: tf.Tensor2D, weight: tf.Tensor): tf.Tensor {
  return tf.matMul(x, tf.transpose(weight) as tf.Tensor2D);
}
