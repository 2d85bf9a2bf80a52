/** Linear layers: y = x Wᵀ + b, with an activation or a residual sum in the same operation. */
import { tf } from "../../deps/tfjs.ts";
import { coverThreads, type KernelSource, launch } from "../../gpu/kernel.ts";
import { operandOf, type Storage, storageOf } from "../../gpu/operand.ts";
import { geluComposed, geluSlopeComposed } from "./gelu.ts";
import { product, productKernelFits } from "./matmul.ts";
import { asMatrix, type Bodies, chooseBody, type Differentiable, differentiable } from "../operation.ts";
import { bindings, declareQuads, geluFunctions, loadQuads } from "../templates/wgsl.ts";

/** What follows the product inside the operation. */
export interface LinearOptions {
  /** `gelu` applies the exact (erf) GELU to the result. */
  readonly activation?: "gelu";
  /** Added to the result; same shape as the result. Not together with an activation. */
  readonly residual?: tf.Tensor;
}

/** Matrices in: x [M, in], weight [out, in], bias [out], residual [M, out]. */
export interface LinearBody {
  /** The result, and for GELU what went into it. */
  forward(
    x: tf.Tensor2D,
    weight: tf.Tensor,
    bias: tf.Tensor,
    options: LinearOptions,
  ): [value: tf.Tensor, sum: tf.Tensor];
  /** Upstream times the slope of GELU at `sum`. */
  throughGelu(upstream: tf.Tensor2D, sum: tf.Tensor): tf.Tensor2D;
  /** Gradients of x, weight and bias. */
  backward(
    dy: tf.Tensor2D,
    x: tf.Tensor2D,
    weight: tf.Tensor2D,
  ): [dx: tf.Tensor, dWeight: tf.Tensor, dBias: tf.Tensor];
}

const composed: LinearBody = {
  forward(x, weight, bias, { activation, residual }) {
    // tfjs's product with a transposed right side is three times slower than transposing it first.
    const sum = tf.add(tf.matMul(x, tf.transpose(weight) as tf.Tensor2D), bias);
    return [activation ? geluComposed(sum) : residual ? tf.add(sum, residual) : sum, sum];
  },
  throughGelu: (upstream, sum) => tf.mul(upstream, geluSlopeComposed(sum)),
  backward: (dy, x, weight) => [tf.matMul(dy, weight), tf.matMul(dy, x, true, false), tf.sum(dy, 0)],
};

const kernel: LinearBody = {
  forward(x, weight, bias, { activation, residual }) {
    const gelu = activation && "also";
    const { value, activated } = product("NT", x, weight, { bias, residual, gelu });
    return [activated ?? value, value];
  },
  throughGelu(upstream, sum) {
    const inputs = [operandOf(upstream), operandOf(sum)];
    const [x, y] = coverThreads(upstream.size / 4, 64);
    const source = throughGeluSource(upstream.size / 4, x * 64, storageOf(inputs[0]));
    return launch(source, { inputs, outputs: [upstream.shape], workgroups: [x, y] })[0] as tf.Tensor2D;
  },
  backward(dy, x, weight) {
    const { value, columnSums } = product("TN", dy, x, { columnSums: true });
    return [product("NN", dy, weight).value, value, columnSums as tf.Tensor1D];
  },
};

/** Bodies of `linear`. */
export const linearBodies: Bodies<LinearBody> = { name: "linear", composed, kernel };

/** Traffic: 8 bytes read and 4 written per value; about 30 operations. */
function throughGeluSource(quads: number, rowThreads: number, storage: Storage): KernelSource {
  return {
    name: `through_gelu_${quads}_${rowThreads}_${storage}`,
    code: () => `
${
      bindings(
        declareQuads("upstream", storage),
        declareQuads("sum", storage),
        "var<storage, read_write> gradient: array<vec4f>;",
      )
    }
${loadQuads("upstream", storage)}
${loadQuads("sum", storage)}
${geluFunctions}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * ${rowThreads}u;
  if (i < ${quads}u) { gradient[i] = upstream(i) * gelu_slope4(sum(i)); }
}`,
  };
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
  const { activation, residual } = options;
  if (activation && residual) {
    throw new RangeError("A linear layer has an activation or a residual sum, not both");
  }
  const shape = [...x.shape.slice(0, -1), outputs];
  const body = productKernelFits(inputs as number, outputs as number) ? chooseBody(linearBodies) : composed;

  return differentiable([x, weight, bias, ...(residual ? [residual] : [])], (): Differentiable => {
    const rows = asMatrix(x);
    const [value, sum] = body.forward(rows, weight, bias, {
      activation,
      residual: residual && asMatrix(residual),
    });
    return {
      value: tf.reshape(value, shape),
      saved: [rows, weight, ...(activation ? [sum] : [])],
      gradients: (upstream, [rows, weight, sum]) => {
        const dy = activation ? body.throughGelu(asMatrix(upstream), sum) : asMatrix(upstream);
        const [dx, dWeight, dBias] = body.backward(dy, rows as tf.Tensor2D, weight as tf.Tensor2D);
        return [tf.reshape(dx, x.shape), dWeight, dBias, ...(residual ? [tf.clone(upstream)] : [])];
      },
    };
  });
}
