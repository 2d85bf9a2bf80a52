/** The linear probe's head: batch normalisation without gain and bias, then a linear layer (paper appendix A.1). */
import { tf } from "../deps/tfjs.ts";
import type { StoredTensor } from "../formats/dtypes.ts";
import { applyBatchNorm, batchNormSpecs } from "../nn/batch_norm.ts";
import { applyLinear } from "../nn/block.ts";
import { constant, normal } from "../nn/initialize.ts";
import {
  createParameters,
  loadParameters,
  type Parameters,
  readParameters,
  type State,
} from "../nn/parameters.ts";
import { softCrossEntropy } from "../ops/loss/cross_entropy.ts";
import { Random, Stream } from "../util/random.ts";
import { classTargets, type Labels } from "./labels.ts";

/** Sizes of a probe. */
export interface LinearProbeConfig {
  /** Values of a feature vector. */
  readonly width: number;
  /** Number of classes. */
  readonly classes: number;
}

/** A linear probe on features that are computed elsewhere, with its parameters on the open runtime. */
export class LinearProbe {
  /** Running statistics, weight and bias under the official names, `head.0.…` and `head.1.…`. */
  readonly parameters: Parameters;
  /** Sizes. */
  readonly config: LinearProbeConfig;

  /** Starts with the official first values, drawn from `seed`: weights N(0, 0.01²), bias 0. */
  constructor(config: LinearProbeConfig, { seed = 0 }: { seed?: number } = {}) {
    this.config = config;
    const { width, classes } = config;
    const random = new Random(seed, Stream.init);
    this.parameters = createParameters([
      ...batchNormSpecs("head.0", width),
      { name: "head.1.weight", shape: [classes, width], trainable: true, fill: normal(random, 0.01) },
      { name: "head.1.bias", shape: [classes], trainable: true, fill: constant(0) },
    ]);
  }

  /** The parameters that training changes: weight and bias. */
  get trainable(): Map<string, tf.Variable> {
    return new Map([...this.parameters].filter(([, variable]) => variable.trainable));
  }

  /** Copies saved values in; PyTorch's count of batches is ignored. Throws `InputError` naming every misfit; then nothing has changed. */
  loadState(state: ReadonlyMap<string, StoredTensor>): void {
    const known = [...state].filter(([name]) => name !== "head.0.num_batches_tracked");
    loadParameters(this.parameters, new Map(known));
  }

  /** Reads every parameter back. */
  state(): Promise<State> {
    return readParameters(this.parameters);
  }

  /**
   * Unnormalised log-probabilities of the classes.
   * @param features [N, width]
   * @param train whether features are normalised by the batch, which moves the running statistics; false by default
   * @returns [N, classes]
   */
  logits(features: tf.Tensor, { train = false }: { train?: boolean } = {}): tf.Tensor2D {
    const normalized = applyBatchNorm(this.parameters, "head.0", features, { train });
    return applyLinear(this.parameters, "head.1", normalized) as tf.Tensor2D;
  }

  /**
   * The cross-entropy of a training batch and its gradient for weight and bias. The caller disposes them.
   * @param features [N, width]
   * @param labels the class of each image, or [N, classes] shares of classes
   */
  lossAndGradients(
    features: tf.Tensor,
    labels: Labels,
  ): { loss: tf.Scalar; gradients: Map<string, tf.Tensor> } {
    const { trainable } = this;
    const targets = classTargets(labels, features.shape[0], this.config.classes);
    const { value, grads } = tf.variableGrads(
      () => softCrossEntropy(this.logits(features, { train: true }), targets),
      [...trainable.values()],
    );
    if (targets !== labels) targets.dispose();
    return {
      loss: value,
      gradients: new Map([...trainable].map(([name, { name: id }]) => [name, grads[id]])),
    };
  }

  /** Frees the parameters. */
  dispose(): void {
    for (const variable of this.parameters.values()) variable.dispose();
  }
}
