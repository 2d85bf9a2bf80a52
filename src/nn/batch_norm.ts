/** Batch normalisation with running statistics, under PyTorch's names. */
import { tf } from "../deps/tfjs.ts";
import { normalizeBatch, normalizeColumns } from "../ops/norm/batch_norm.ts";
import { constant } from "./initialize.ts";
import { parameter, type Parameters, type ParameterSpec } from "./parameters.ts";

/** What is added to the variance, as in the official linear probe. */
export const batchNormEps = 1e-6;

/** Settings of the layer. */
export interface BatchNormOptions {
  /** Whether the batch's own statistics are used, and enter the running ones; else the running ones are used. */
  readonly train: boolean;
  /** Added to the variance; `batchNormEps` by default. */
  readonly eps?: number;
  /** Share of the batch in the running statistics; 0.1 by default. */
  readonly momentum?: number;
}

/** Running mean 0 and variance 1; without gain and bias. */
export function batchNormSpecs(name: string, width: number): ParameterSpec[] {
  return [
    { name: `${name}.running_mean`, shape: [width], trainable: false, fill: constant(0) },
    { name: `${name}.running_var`, shape: [width], trainable: false, fill: constant(1) },
  ];
}

/**
 * Normalises every column; in training the running statistics move by `momentum` towards the batch's mean and unbiased
 * variance. Differentiable in x.
 * @param x [N, D]
 * @returns [N, D]
 * @throws {RangeError} in training, when the batch has fewer than two rows
 */
export function applyBatchNorm(
  parameters: Parameters,
  name: string,
  x: tf.Tensor,
  { train, eps = batchNormEps, momentum = 0.1 }: BatchNormOptions,
): tf.Tensor2D {
  const runningMean = parameter(parameters, `${name}.running_mean`);
  const runningVariance = parameter(parameters, `${name}.running_var`);
  if (!train) return normalizeColumns(x, { mean: runningMean, variance: runningVariance }, eps);
  const move = (running: tf.Variable, observed: tf.Tensor) => {
    const next = tf.add(tf.mul(running, 1 - momentum), tf.mul(observed, momentum));
    running.assign(next);
  };
  return normalizeBatch(x, eps, ({ mean, variance }) => {
    move(runningMean, mean);
    move(runningVariance, variance);
  });
}
