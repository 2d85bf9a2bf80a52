/** The linear probe: labelled images and a frozen encoder in, one linear layer out. */
import { readingOf } from "../../config/common_sections.ts";
import { headsIn } from "../../config/checkpoint_encoder.ts";
import type { LinprobeConfig } from "../../config/finetune_types.ts";
import type { ConfigLayer } from "../../config/layers.ts";
import { linprobeCheckpoint, linprobeYaml, resolveLinprobeConfig } from "../../config/linprobe.ts";
import type { LabelledImages } from "../../sources/labelled.ts";
import { setTuning } from "../../gpu/tuner.ts";
import { InputError } from "../../util/errors.ts";
import type { FoundCheckpoint } from "../checkpoint/checkpoint.ts";
import { drawCurveFigure } from "../run/curve_figure.ts";
import { type EncoderSource, encoderWords, readEncoderSource } from "../model_files/encoder_source.ts";
import type { LinprobeEvent } from "../run/events.ts";
import { FeatureLoader } from "../features/feature_loader.ts";
import { checkResumed, type ClassifierResult, classifierResult, listImagesOf } from "./labelled_run.ts";
import { LinprobeWork, tuneProbing } from "./linprobe_job.ts";
import { createProbed, type ProbedModel } from "./linprobe_model.ts";
import { openRun, type RunOptions } from "../run/open_run.ts";
import { partSentence } from "../model_files/part_loaded.ts";
import { runTraining } from "../run/run_training.ts";

/** How to run, besides the configuration. */
export interface LinprobeOptions extends RunOptions {
  /** Hears of everything that happens; runs between steps, so it should be quick. */
  readonly onEvent?: (event: LinprobeEvent) => void;
  /** The encoder that `from` names, where it has been read already. */
  readonly source?: EncoderSource | null;
}

/** How a run ended, how well it did, and where its files are. */
export type LinprobeResult = ClassifierResult;

/** A configuration, and the encoder that it probes. */
export interface PreparedLinprobe {
  /** The resolved configuration. */
  readonly config: LinprobeConfig;
  /** The encoder that it names; null where it is drawn at random. */
  readonly source: EncoderSource | null;
}

/**
 * Resolves a configuration whose sizes are those of the checkpoint that it probes.
 * @param partial loads what fits of the checkpoint where something does not
 * @param random whether an encoder of these sizes with random weights is probed in its place, for comparison
 * @throws {InputError} when a key or value is wrong, or the checkpoint is missing, damaged or without an encoder
 */
export async function prepareLinprobe(
  layers: readonly ConfigLayer[],
  { random = false, partial }: { readonly random?: boolean; readonly partial?: boolean } = {},
): Promise<PreparedLinprobe> {
  const from = linprobeCheckpoint(layers);
  const source = from === null ? null : await readEncoderSource(from, { heads: headsIn(layers), partial });
  const config = resolveLinprobeConfig(layers, source ? { encoder: source.encoder } : {});
  return random ? { config: { ...config, from: null }, source: null } : { config, source };
}

/** Non-finite steps in a row that end the run: as elsewhere by default. */
const maxBadSteps = 5;

/**
 * Trains a linear layer on the features of a frozen encoder: how linearly they tell classes apart. Checkpoints hold a
 * classifier like any other, encoder and all.
 * @throws {InputError} when configuration, data, checkpoint or folder cannot work; nothing has been trained or written
 * then
 * @throws {RunError} when the run fails; its last checkpoint is intact
 */
export async function linprobe(
  config: LinprobeConfig,
  options: LinprobeOptions = {},
): Promise<LinprobeResult> {
  const started = performance.now();
  setTuning(options.tune ?? true);
  await using cleanup = new AsyncDisposableStack();
  const { onEvent = () => {}, workerUrl } = options;
  checkBatch(config);
  const images = await listImagesOf(config, onEvent);
  const { data, model: { imageSize, channels }, optim, run } = config;
  const { augment, cropShare, repeat, shuffle } = data;
  const parts = await openRun(
    {
      job: "linprobe",
      config: { ...config, optim: { ...optim, maxBadSteps } },
      yaml: linprobeYaml(config),
      source: () => Promise.resolve(images.train),
      images: { imageSize, channels, augment: augment ?? { cropShare }, ...readingOf(data) },
      loader: augment === null
        ? (source, startStep) =>
          new FeatureLoader({ ...optim, source, shuffle, repeat, seed: run.seed, startStep })
        : undefined,
      create: (resumed, cleanup) => createModel(config, images, resumed, options, cleanup),
      keepsBest: true,
    },
    options,
    cleanup,
  );
  const whole = { ...parts, images, workerUrl, onEvent };
  const work = new LinprobeWork(whole);
  const result = await runTraining(parts, work, options, {
    started,
    tune: () => tuneProbing(whole),
    prepare: () => work.prepare(),
    draw: ({ step }) => drawCurveFigure(parts, step),
  });
  return classifierResult(result, images, work, parts.folder);
}

function checkBatch({ optim: { batchSize } }: LinprobeConfig): void {
  if (batchSize >= 2) return;
  throw new InputError(
    `optim.batch_size ${batchSize} leaves nothing to normalise a batch by; it must be at least 2`,
  );
}

/** The encoder with its probe, or with what it began with where a checkpoint is about to be restored. */
async function createModel(
  config: LinprobeConfig,
  { classes }: LabelledImages,
  resumed: FoundCheckpoint | null,
  { source, onEvent }: LinprobeOptions,
  cleanup: AsyncDisposableStack,
): Promise<ProbedModel> {
  if (resumed) checkResumed(resumed, classes);
  const notice = (message: string) => onEvent?.({ kind: "notice", message });
  if (resumed) return createProbed(config, classes.length, "restored", cleanup);
  if (config.from === null) {
    const { encoderName, encoder } = config.model;
    notice(
      `Encoder with the random weights of seed ${config.run.seed}: ${encoderWords(encoderName, encoder)}`,
    );
    return createProbed(config, classes.length, "random", cleanup);
  }
  const encoder = source ?? await readEncoderSource(config.from, { heads: config.model.encoder.heads });
  [encoder.description, ...encoder.notes ?? []].forEach(notice);
  return createProbed(config, classes.length, encoder, cleanup, ({ misfits }) => {
    partSentence(misfits).forEach(notice);
  });
}
