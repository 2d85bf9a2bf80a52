/** The fine-tuning job: labelled images and an encoder in, a classifier out. */
import { readingOf } from "../../config/common_sections.ts";
import { headsIn } from "../../config/checkpoint_encoder.ts";
import { finetuneCheckpoint, finetuneYaml, resolveFinetuneConfig } from "../../config/finetune.ts";
import type { FinetuneConfig } from "../../config/finetune_types.ts";
import type { ConfigLayer } from "../../config/layers.ts";
import type { LabelledImages } from "../../sources/labelled.ts";
import { setTuning } from "../../gpu/tuner.ts";
import type { FoundCheckpoint } from "../checkpoint/checkpoint.ts";
import { drawCurveFigure } from "../run/curve_figure.ts";
import { type EncoderSource, readEncoderSource } from "../model_files/encoder_source.ts";
import type { FinetuneEvent } from "../run/events.ts";
import { FinetuneWork, tuneFinetuning } from "./finetune_job.ts";
import { createFinetuned, describeLoad, type FinetunedModel } from "./finetune_model.ts";
import { checkResumed, type ClassifierResult, classifierResult, listImagesOf } from "./labelled_run.ts";
import { openRun, type RunOptions } from "../run/open_run.ts";
import { runTraining } from "../run/run_training.ts";

/** How to run, besides the configuration. */
export interface FinetuneOptions extends RunOptions {
  /** Hears of everything that happens; runs between steps, so it should be quick. */
  readonly onEvent?: (event: FinetuneEvent) => void;
  /** The encoder that `from` names, where it has been read already. */
  readonly source?: EncoderSource | null;
}

/** How a run ended, how well it did, and where its files are. */
export type FinetuneResult = ClassifierResult;

/** A configuration, and the encoder that it starts from. */
export interface PreparedFinetuning {
  /** The resolved configuration. */
  readonly config: FinetuneConfig;
  /** The encoder that it names; null where it trains from scratch. */
  readonly source: EncoderSource | null;
}

/**
 * Resolves a configuration whose sizes are those of the checkpoint that it starts from.
 * @param partial loads what fits of the checkpoint where something does not
 * @throws {InputError} when a key or value is wrong, or the checkpoint is missing, damaged or without an encoder
 */
export async function prepareFinetuning(
  layers: readonly ConfigLayer[],
  { partial }: { readonly partial?: boolean } = {},
): Promise<PreparedFinetuning> {
  const from = finetuneCheckpoint(layers);
  const source = from === null ? null : await readEncoderSource(from, { heads: headsIn(layers), partial });
  return { config: resolveFinetuneConfig(layers, source ? { encoder: source.encoder } : {}), source };
}

/**
 * Fine-tunes an encoder to classify images, whole or in its last blocks, or trains a classifier from scratch.
 * @throws {InputError} when configuration, data, checkpoint or folder cannot work; nothing has been trained or written
 * then
 * @throws {RunError} when the run fails; its last checkpoint is intact
 */
export async function finetune(
  config: FinetuneConfig,
  options: FinetuneOptions = {},
): Promise<FinetuneResult> {
  const started = performance.now();
  setTuning(options.tune ?? true);
  await using cleanup = new AsyncDisposableStack();
  const { onEvent = () => {}, workerUrl } = options;
  const images = await listImagesOf(config, onEvent);
  const { data, model: { imageSize, channels } } = config;
  const parts = await openRun(
    {
      job: "finetune",
      config,
      yaml: finetuneYaml(config),
      source: () => Promise.resolve(images.train),
      images: { imageSize, channels, augment: { ...data.augment, mean: data.mean }, ...readingOf(data) },
      create: (resumed, cleanup) => createModel(config, images, resumed, options, cleanup),
      keepsBest: true,
    },
    options,
    cleanup,
  );
  const whole = { ...parts, images, workerUrl, onEvent };
  const work = new FinetuneWork(whole);
  const result = await runTraining(parts, work, options, {
    started,
    tune: () => tuneFinetuning(whole),
    draw: ({ step }) => drawCurveFigure(parts, step),
  });
  return classifierResult(result, images, work, parts.folder);
}

/** The classifier with the encoder's weights, or with those it began with where a checkpoint is about to be restored. */
async function createModel(
  config: FinetuneConfig,
  { classes }: LabelledImages,
  resumed: FoundCheckpoint | null,
  { source, onEvent }: FinetuneOptions,
  cleanup: AsyncDisposableStack,
): Promise<FinetunedModel> {
  if (resumed) checkResumed(resumed, classes);
  const notice = (message: string) => onEvent?.({ kind: "notice", message });
  const encoder = resumed || config.from === null
    ? null
    : source ?? await readEncoderSource(config.from, { heads: config.model.encoder.heads });
  if (encoder) [encoder.description, ...encoder.notes ?? []].forEach(notice);
  const made = createFinetuned(config, classes.length, encoder, cleanup, (load) => {
    describeLoad(load, [
      config.model.imageSize[0] / config.model.patchSize[0],
      config.model.imageSize[1] / config.model.patchSize[1],
    ]).forEach(notice);
  });
  const { trainBlocks } = config.model;
  if (trainBlocks !== "all") {
    let trained = 0;
    for (const { size } of made.model.trainable.values()) trained += size;
    notice(
      `Frozen but for ${trainedPart(trainBlocks)}: ${trained} of ${made.parameterCount} values are trained`,
    );
  }
  return made;
}

function trainedPart(blocks: number): string {
  if (blocks === 0) return "the head";
  if (blocks === 0.5) return "the MLP half of the last block, norm and head";
  return `the last ${blocks === 1 ? "block" : `${blocks} blocks`}, norm and head`;
}
