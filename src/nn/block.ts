/** A pre-norm transformer block (Dosovitskiy et al. 2020) under timm's parameter names. */
import { tf } from "../deps/tfjs.ts";
import type { TransformerConfig } from "../config/types.ts";
import { layerNorm } from "../ops/norm/layer_norm.ts";
import type { KeptImages } from "../ops/branch/kept_images.ts";
import { linear, type LinearOptions } from "../ops/product/linear.ts";
import { rematerialized } from "../ops/operation.ts";
import {
  type Affine,
  attentionResidual,
  type BranchOptions,
  mlpResidual,
} from "../ops/branch/residual_branch.ts";
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

/** Layer norm with the parameters of that name; `epsilon` is added to the variance, 1e-6 by default. */
export function applyNorm(parameters: Parameters, name: string, x: tf.Tensor, epsilon?: number): tf.Tensor {
  return layerNorm(
    x,
    parameter(parameters, `${name}.weight`),
    parameter(parameters, `${name}.bias`),
    epsilon,
  );
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

/** How blocks run. */
export interface BlockOptions extends BranchOptions {
  /** Keep only each block's input, and run the block again on the way back. */
  readonly remat?: boolean;
  /** The images that go through the attention half and the MLP half, as `keptImages` draws them; by default all do. */
  readonly dropPath?: readonly [attention: KeptImages, mlp: KeptImages];
  /** Picks the tokens that go on after the attention half, where only those are needed: [N, T, D] → [N, some, D]. */
  readonly select?: (x: tf.Tensor) => tf.Tensor;
}

function affine(parameters: Parameters, name: string): Affine {
  return { weight: parameter(parameters, `${name}.weight`), bias: parameter(parameters, `${name}.bias`) };
}

/** The attention half of a block with its residual: x + proj(attention(qkv(norm1(x)))). */
export function attentionBranch(
  parameters: Parameters,
  name: string,
  heads: number,
  x: tf.Tensor,
  options: BranchOptions = {},
): tf.Tensor {
  const norm = affine(parameters, `${name}.norm1`);
  const qkv = affine(parameters, `${name}.attn.qkv`);
  const proj = affine(parameters, `${name}.attn.proj`);
  return attentionResidual(x, { norm, qkv, proj, heads }, options);
}

/** The MLP half of a block with its residual: x + fc2(gelu(fc1(norm2(x)))). */
export function mlpBranch(
  parameters: Parameters,
  name: string,
  x: tf.Tensor,
  options: BranchOptions = {},
): tf.Tensor {
  const norm = affine(parameters, `${name}.norm2`);
  const fc1 = affine(parameters, `${name}.mlp.fc1`);
  const fc2 = affine(parameters, `${name}.mlp.fc2`);
  return mlpResidual(x, { norm, fc1, fc2 }, options);
}

/** The second half of a block alone, where the first is frozen: [N, T, D] → [N, T, D]. */
export function applyMlpHalf(
  parameters: Parameters,
  name: string,
  x: tf.Tensor,
  options: BlockOptions = {},
): tf.Tensor {
  return mlpBranch(parameters, name, x, { ...options, kept: options.dropPath?.[1] });
}

/** One block: [N, T, D] → [N, T, D], or fewer tokens where `options.select` picks some. */
export function applyBlock(
  parameters: Parameters,
  name: string,
  heads: number,
  x: tf.Tensor,
  options: BlockOptions = {},
): tf.Tensor {
  const attend = (x: tf.Tensor) =>
    attentionBranch(parameters, name, heads, x, { ...options, kept: options.dropPath?.[0] });
  const mlp = (x: tf.Tensor) => applyMlpHalf(parameters, name, x, options);
  const { remat, select } = options;
  if (!remat) return mlp(select ? select(attend(x)) : attend(x));
  const again = (x: tf.Tensor, half: (x: tf.Tensor) => tf.Tensor, parts: readonly string[]) =>
    rematerialized(x, parts.flatMap((part) => variablesOf(parameters, `${name}.${part}.`)), half);
  if (!select) return again(x, (x) => mlp(attend(x)), ["norm1", "attn", "norm2", "mlp"]);
  return again(select(again(x, attend, ["norm1", "attn"])), mlp, ["norm2", "mlp"]);
}

function variablesOf(parameters: Parameters, prefix: string): tf.Tensor[] {
  return [...parameters].filter(([name]) => name.startsWith(prefix)).map(([, variable]) => variable);
}
