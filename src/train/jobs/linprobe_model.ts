/** A frozen encoder with the linear probe that is trained on its features. */
import { tf } from "../../deps/tfjs.ts";
import type { LinprobeConfig } from "../../config/finetune_types.ts";
import { type Classifier, createClassifier } from "../../models/classifier.ts";
import type { EncoderLoad } from "../../models/encoder_state.ts";
import type { MaeConfig } from "../../models/mae.ts";
import { LinearProbe } from "../../models/linear_probe.ts";
import { batchNormEps } from "../../nn/batch_norm.ts";
import { parameter } from "../../nn/parameters.ts";
import { Lars } from "../../optim/lars.ts";
import { InputError, messageOf } from "../../util/errors.ts";
import type { EncoderSource } from "../model_files/encoder_source.ts";
import { randomEncoderState } from "../features/feature_encoder.ts";
import { loadEncoder } from "./finetune_model.ts";
import type { Trained } from "../run/training_job.ts";

/** What a linear probe trains, and what it trains it on. */
export interface ProbedModel extends Trained {
  /** The frozen encoder; its head is the probe's at the last checkpoint, with the normalisation in it. */
  readonly model: Classifier;
  /** What is trained. */
  readonly probe: LinearProbe;
}

/** Where the encoder's weights come from: a checkpoint, the run's seed, or the checkpoint about to be restored. */
export type ProbedWeights = EncoderSource | "random" | "restored";

/**
 * Makes the encoder, the probe and its optimizer. What a checkpoint's model file holds is a classifier like any other:
 * batch normalisation with fixed statistics and a linear layer after it are one linear layer.
 * @param onLoad hears what became of a checkpoint's tensors
 * @throws {InputError} when sizes do not fit together, or the encoder does not fit the model
 */
export async function createProbed(
  config: LinprobeConfig,
  classes: number,
  weights: ProbedWeights,
  cleanup: AsyncDisposableStack,
  onLoad: (load: EncoderLoad) => void = () => {},
): Promise<ProbedModel> {
  const { optim, run } = config;
  const model = createEncoder(config, classes);
  cleanup.defer(() => model.dispose());
  if (weights === "random") model.loadEncoder(await randomEncoderState(randomConfig(config), run.seed));
  else if (weights !== "restored") onLoad(loadEncoder(model, weights, config));
  const probe = new LinearProbe({ width: config.model.encoder.width, classes }, { seed: run.seed });
  cleanup.defer(() => probe.dispose());
  const { trainable } = probe;
  // The official code decays every parameter that adapts, which here is the weight alone.
  const group = { names: [...trainable.keys()], weightDecay: optim.weightDecay, lrScale: 1 };
  const optimizer = new Lars(trainable, [group], { momentum: optim.momentum });
  cleanup.defer(() => optimizer.dispose());
  return {
    model,
    probe,
    optimizer,
    parameterCount: model.parameterCount,
    saved() {
      foldProbe(probe, model);
      return { model: model.parameters, rest: new Map([...probe.parameters, ...optimizer.variables]) };
    },
  };
}

function createEncoder({ model, run }: LinprobeConfig, classes: number): Classifier {
  const { encoder, imageSize, patchSize, channels, pooling, normEpsilon } = model;
  const { seed, precision } = run;
  try {
    return createClassifier(
      { encoder, imageSize, patchSize, channels, pooling, normEpsilon, classes, trainBlocks: 0 },
      { seed, precision },
    );
  } catch (error) {
    throw error instanceof RangeError ? new InputError(`model: ${messageOf(error)}`) : error;
  }
}

/** Pre-training's model: a decoder of its usual width, whose mask token is drawn before the encoder, and else nothing of it. */
function randomConfig({ model: { encoder, imageSize, patchSize, channels } }: LinprobeConfig): MaeConfig {
  const decoder = { width: 512, depth: 1, heads: 1, mlpRatio: 1 / 512 };
  return { encoder, imageSize, patchSize, channels, decoder };
}

/** Writes the probe into the classifier's head: W(x − mean) / σ + b is (W / σ) x + (b − (W / σ) mean). */
export function foldProbe(probe: LinearProbe, model: Classifier): void {
  tf.tidy(() => {
    const named = (name: string) => parameter(probe.parameters, name);
    const inverse = tf.rsqrt(tf.add(named("head.0.running_var"), batchNormEps)); // [D]
    const weight = tf.mul(named("head.1.weight"), inverse); // [classes, D]
    const offset = tf.sum(tf.mul(weight, named("head.0.running_mean")), 1); // [classes]
    parameter(model.parameters, "head.weight").assign(weight);
    parameter(model.parameters, "head.bias").assign(tf.sub(named("head.1.bias"), offset));
  });
}
