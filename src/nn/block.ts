/** A pre-norm transformer block (Dosovitskiy et al. 2020) under timm's parameter names. */
import type { tf } from "../deps/tfjs.ts";
import type { TransformerConfig } from "../config/types.ts";
import { attention } from "../ops/attention.ts";
import { layerNorm } from "../ops/layer_norm.ts";
import { linear, type LinearOptions } from "../ops/linear.ts";
import type { Random } from "../util/random.ts";
import { constant, xavierUniform } from "./initialize.ts";
import { parameter, type Parameters, type ParameterSpec } from "./parameters.ts";

/** Width of the MLP's hidden layer; fractions of the width are cut off, as in timm. */
export function hiddenWidth({ width, mlpRatio }: TransformerConfig): number {
  return Math.floor(width * mlpRatio);
}

/** Weight and bias of a linear layer: Xavier-uniform over the whole matrix, and 0. */
export function linearSpecs(name: string, inputs: number, outputs: number, random: Random): ParameterSpec[] {
  return [
    {
      name: `${name}.weight`,
      shape: [outputs, inputs],
      trainable: true,
      fill: xavierUniform(random, inputs, outputs),
    },
    { name: `${name}.bias`, shape: [outputs], trainable: true, fill: constant(0) },
  ];
}

/** Gain and bias of a layer norm: 1 and 0. */
export function normSpecs(name: string, width: number): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [width], trainable: true, fill: constant(1) },
    { name: `${name}.bias`, shape: [width], trainable: true, fill: constant(0) },
  ];
}

/** Parameters of one block, in the official order. */
export function blockSpecs(name: string, config: TransformerConfig, random: Random): ParameterSpec[] {
  const { width } = config;
  const hidden = hiddenWidth(config);
  return [
    ...normSpecs(`${name}.norm1`, width),
    ...linearSpecs(`${name}.attn.qkv`, width, 3 * width, random),
    ...linearSpecs(`${name}.attn.proj`, width, width, random),
    ...normSpecs(`${name}.norm2`, width),
    ...linearSpecs(`${name}.mlp.fc1`, width, hidden, random),
    ...linearSpecs(`${name}.mlp.fc2`, hidden, width, random),
  ];
}

/** Layer norm with the parameters of that name. */
export function applyNorm(parameters: Parameters, name: string, x: tf.Tensor): tf.Tensor {
  return layerNorm(x, parameter(parameters, `${name}.weight`), parameter(parameters, `${name}.bias`));
}

/** Linear layer with the parameters of that name. */
export function applyLinear(
  parameters: Parameters,
  name: string,
  x: tf.Tensor,
  options: LinearOptions = {},
): tf.Tensor {
  return linear(x, parameter(parameters, `${name}.weight`), parameter(parameters, `${name}.bias`), options);
}

/** The attention half: projection of the attention over x normalised, plus the residual if given. */
export function attentionBranch(
  parameters: Parameters,
  name: string,
  heads: number,
  x: tf.Tensor,
  residual?: tf.Tensor,
): tf.Tensor {
  const packed = applyLinear(parameters, `${name}.attn.qkv`, applyNorm(parameters, `${name}.norm1`, x));
  return applyLinear(parameters, `${name}.attn.proj`, attention(packed, heads), { residual });
}

/** The MLP half, plus the residual if given. */
export function mlpBranch(
  parameters: Parameters,
  name: string,
  x: tf.Tensor,
  residual?: tf.Tensor,
): tf.Tensor {
  const normed = applyNorm(parameters, `${name}.norm2`, x);
  const hidden = applyLinear(parameters, `${name}.mlp.fc1`, normed, { activation: "gelu" });
  return applyLinear(parameters, `${name}.mlp.fc2`, hidden, { residual });
}

/** One block: [N, T, D] → [N, T, D]. */
export function applyBlock(parameters: Parameters, name: string, heads: number, x: tf.Tensor): tf.Tensor {
  const attended = attentionBranch(parameters, name, heads, x, x);
  return mlpBranch(parameters, name, attended, attended);
}
