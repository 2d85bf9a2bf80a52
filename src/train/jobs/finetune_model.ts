/** The classifier that is fine-tuned, with what trains it. */
import type { ClassifierModelConfig, FinetuneConfig } from "../../config/finetune_types.ts";
import type { Size } from "../../config/types.ts";
import { type Classifier, createClassifier } from "../../models/classifier.ts";
import type { ClassifierConfig } from "../../models/classifier_config.ts";
import type { EncoderLoad } from "../../models/encoder_state.ts";
import { AdamW } from "../../optim/adamw.ts";
import { Ema } from "../../optim/ema.ts";
import { layerDecayGroups } from "../../optim/groups.ts";
import { InputError, messageOf } from "../../util/errors.ts";
import type { EncoderSource } from "../model_files/encoder_source.ts";
import { loadEncoderOf, partSentence } from "../model_files/part_loaded.ts";
import type { Trained } from "../run/training_job.ts";

/** A classifier with its optimizer. */
export interface FinetunedModel extends Trained {
  /** The model, with the weights to begin with. */
  readonly model: Classifier;
  /** Averages of what is trained; null where none are kept. */
  readonly ema: Ema | null;
}

/** Deviation of the head's first weights, in the official fine-tuning of a pre-trained encoder and from scratch. */
const headDeviations = { pretrained: 2e-5, scratch: 0.02 };

/** The classifier that a configuration describes. */
export function classifierConfig({ from, model }: FinetuneConfig, classes: number): ClassifierConfig {
  const { encoder, imageSize, patchSize, channels, pooling, normEpsilon, dropPath, trainBlocks } = model;
  const headDeviation = from === null ? headDeviations.scratch : headDeviations.pretrained;
  const trained = { dropPath, trainBlocks, classes, headDeviation };
  return { encoder, imageSize, patchSize, channels, pooling, normEpsilon, ...trained };
}

/**
 * Makes the classifier, its optimizer and, where they are wanted, averages of its weights. A checkpoint's model file holds
 * the weights to use: the averages where there are any, and the weights as they are trained are with the optimizer.
 * @param source the encoder to start from; null for the first values, or where a checkpoint is about to be restored
 * @param onLoad hears what became of the encoder's tensors
 * @throws {InputError} when sizes do not fit together, or the encoder does not fit the model
 */
export function createFinetuned(
  config: FinetuneConfig,
  classes: number,
  source: EncoderSource | null,
  cleanup: AsyncDisposableStack,
  onLoad: (load: EncoderLoad) => void = () => {},
): FinetunedModel {
  const { optim } = config;
  const model = createModel(config, classes);
  cleanup.defer(() => model.dispose());
  if (source) onLoad(loadEncoder(model, source, config));
  const { trainable } = model;
  const { weightDecay, layerDecay } = optim;
  const groups = layerDecayGroups(trainable, { weightDecay, layerDecay, depth: config.model.encoder.depth });
  const optimizer = new AdamW(trainable, groups, {
    betas: optim.betas,
    eps: optim.eps,
    clipNorm: optim.clipNorm,
  });
  cleanup.defer(() => optimizer.dispose());
  const ema = optim.ema === null ? null : new Ema(trainable, optim.ema);
  if (ema) cleanup.defer(() => ema.dispose());
  return {
    model,
    optimizer,
    ema,
    parameterCount: model.parameterCount,
    saved() {
      if (!ema) return { model: model.parameters, rest: optimizer.variables };
      const { averages } = ema;
      const weights = [...trainable].map(([name, weight]) => [`weight.${name}`, weight] as const);
      return {
        model: new Map([...model.parameters].map(([name, fixed]) => [name, averages.get(name) ?? fixed])),
        rest: new Map([...optimizer.variables, ...weights]),
      };
    },
  };
}

function createModel(config: FinetuneConfig, classes: number): Classifier {
  const { seed, precision, remat } = config.run;
  try {
    return createClassifier(classifierConfig(config, classes), { seed, precision, remat });
  } catch (error) {
    throw error instanceof RangeError ? new InputError(`model: ${messageOf(error)}`) : error;
  }
}

/**
 * Copies a source's encoder into a classifier.
 * @param config what the run's configuration says of the encoder
 * @throws {InputError} naming the file and what does not fit
 */
export function loadEncoder(
  model: Classifier,
  source: EncoderSource,
  { model: { encoder } }: { readonly model: Pick<ClassifierModelConfig, "encoder"> },
): EncoderLoad {
  const { heads } = source.encoder.encoder;
  if (heads !== encoder.heads) {
    throw new InputError(
      `${source.path}: its encoder has ${heads} heads, and model.encoder.heads says ${encoder.heads}; leave it out`,
    );
  }
  return loadEncoderOf(model, source);
}

/** Sentences for the log on what became of a checkpoint's tensors. */
export function describeLoad(load: EncoderLoad, grid: Size): string[] {
  const { resampledFrom, ignored, kept, misfits } = load;
  const sentences: string[] = [];
  if (resampledFrom) {
    const [from, to] = [resampledFrom, grid].map((size) => size.join("x"));
    sentences.push(`Position embeddings are resampled from ${from} to ${to} patches`);
  }
  if (ignored.length > 0) sentences.push(`Left out of the checkpoint: ${groupNames(ignored)}`);
  if (kept.length > 0) sentences.push(`Not in the checkpoint, started anew: ${groupNames(kept)}`);
  sentences.push(...partSentence(misfits));
  return sentences;
}

/** Names by their first part, a decoder's as one. */
function groupNames(names: readonly string[]): string {
  const groups = new Set(names.map((name) => name.startsWith("decoder_") ? "decoder" : name.split(".")[0]));
  return [...groups].join(", ");
}
