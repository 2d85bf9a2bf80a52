/** The pre-training job: data in, checkpoints, metrics and a figure out. */
import { readingOf } from "../../config/common_sections.ts";
import { toYaml } from "../../config/pretrain.ts";
import type { PretrainConfig } from "../../config/types.ts";
import { columnsOf, openSource } from "../../sources/open_source.ts";
import { setTuning } from "../../gpu/tuner.ts";
import { countParameters, createMae, type MaeConfig } from "../../models/mae.ts";
import { AdamW } from "../../optim/adamw.ts";
import { pretrainGroups } from "../../optim/groups.ts";
import { InputError, messageOf } from "../../util/errors.ts";
import type { PretrainEvent } from "../run/events.ts";
import { listProbeImages, OnlineProbe } from "./online_probe.ts";
import { openRun, type RunOptions, type RunResult } from "../run/open_run.ts";
import { type PretrainedModel, pretrainWork } from "./pretrain_job.ts";
import { drawRunFigure } from "./run_figure.ts";
import { runTraining } from "../run/run_training.ts";
import { tunePretraining } from "./tuning.ts";

/** How to run, besides the configuration. */
export interface PretrainOptions extends RunOptions {
  /** Hears of everything that happens; runs between steps, so it should be quick. */
  readonly onEvent?: (event: PretrainEvent) => void;
}

/** How a run ended and where its files are. */
export type PretrainResult = RunResult;

/**
 * Pre-trains a masked autoencoder.
 * @throws {InputError} when configuration, data, checkpoint or folder cannot work; nothing has been trained or written
 * then
 * @throws {RunError} when the run fails; its last checkpoint is intact
 */
export async function pretrain(
  config: PretrainConfig,
  options: PretrainOptions = {},
): Promise<PretrainResult> {
  const started = performance.now();
  setTuning(options.tune ?? true);
  await using cleanup = new AsyncDisposableStack();
  checkModel(config);
  const { data, model: { imageSize, channels } } = config;
  const labelled = config.probe && await listProbeImages(config.probe, config.run.seed);
  const parts = await openRun(
    {
      job: "pretrain",
      config,
      yaml: toYaml(config),
      source: () =>
        openSource(data.train, {
          columns: columnsOf(data),
          images: { imageSize, channels, ...readingOf(data) },
          onNotice: (message) => options.onEvent?.({ kind: "notice", message }),
        }),
      images: { imageSize, channels, augment: data.augment, ...readingOf(data) },
      create: (_, cleanup) => createModel(config, cleanup),
    },
    options,
    cleanup,
  );
  const probe = labelled && config.probe &&
    cleanup.use(new OnlineProbe(parts, config.probe, labelled, options.workerUrl));
  return await runTraining(parts, pretrainWork(parts, probe), options, {
    started,
    tune: () => tunePretraining(parts),
    draw: (facts) => drawRunFigure(parts, facts),
  });
}

function modelConfig({ model, target }: PretrainConfig): MaeConfig {
  return { ...model, normalizeTarget: target.normalize };
}

/** Refuses a model whose sizes do not fit together. */
function checkModel(config: PretrainConfig): void {
  try {
    countParameters(modelConfig(config));
  } catch (error) {
    throw error instanceof RangeError ? new InputError(`model: ${messageOf(error)}`) : error;
  }
}

function createModel(config: PretrainConfig, cleanup: AsyncDisposableStack): PretrainedModel {
  const { optim, run } = config;
  const model = createMae(modelConfig(config), {
    seed: run.seed,
    precision: run.precision,
    remat: run.remat,
  });
  cleanup.defer(() => model.dispose());
  const optimizer = new AdamW(model.trainable, pretrainGroups(model.trainable, optim.weightDecay), {
    betas: optim.betas,
    eps: optim.eps,
    clipNorm: optim.clipNorm,
  });
  cleanup.defer(() => optimizer.dispose());
  return {
    model,
    optimizer,
    parameterCount: model.parameterCount,
    saved: () => ({ model: model.parameters, rest: optimizer.variables }),
  };
}
