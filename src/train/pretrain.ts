/** The pre-training job: data in, checkpoints, metrics and a figure out. */
import type { PretrainConfig } from "../config/types.ts";
import { type BrokenFile, type Loader, openLoader } from "../data/loader.ts";
import { type ImageSource, listImages } from "../data/source.ts";
import { openRuntime } from "../gpu/runtime.ts";
import { setTuning } from "../gpu/tuner.ts";
import { countParameters, createMae, type Mae, type MaeConfig } from "../models/mae.ts";
import { AdamW } from "../optim/adamw.ts";
import { pretrainGroups } from "../optim/groups.ts";
import { InputError, messageOf } from "../util/errors.ts";
import { findCheckpoint, type FoundCheckpoint, restoreCheckpoint, setAside } from "./checkpoint.ts";
import type { PretrainEvent } from "./events.ts";
import { checkRunKernels } from "./kernel_check.ts";
import { PretrainJob, type PretrainParts, totalSteps } from "./pretrain_job.ts";
import { fingerprint, resumeWarnings } from "./resume.ts";
import { drawRunFigure } from "./run_figure.ts";
import { checkDiskSpace, RunFolder, storeConfig } from "./run_folder.ts";
import { RunLog } from "./run_log.ts";
import { tunePretraining } from "./tuning.ts";

/** How to run, besides the configuration. */
export interface PretrainOptions {
  /** Go on from the newest checkpoint in `run.out`; starts anew when there is none. */
  readonly resume?: boolean;
  /** Ends the run cleanly after the step in progress, with a checkpoint. */
  readonly signal?: AbortSignal;
  /** Hears of everything that happens; runs between steps, so it should be quick. */
  readonly onEvent?: (event: PretrainEvent) => void;
  /** Whether kernels are timed before the first step and run by their fastest plans (default), or by their first. */
  readonly tune?: boolean;
  /** Whether a device whose kernels no earlier run has tested is tested before the first step (default). */
  readonly checkKernels?: boolean;
  /** The data worker's module, where it is not beside this program's own modules. */
  readonly workerUrl?: string | URL;
}

/** How a run ended and where its files are. */
export interface PretrainResult {
  /** Optimizer steps made in all. */
  readonly steps: number;
  /** Mean loss of the last logged window; null when nothing was logged. */
  readonly loss: number | null;
  /** Folder of the newest checkpoint. */
  readonly checkpoint: string;
  /** The file of the metrics. */
  readonly metrics: string;
  /** The file of the figure; null when the run was interrupted or draws none. */
  readonly figure: string | null;
  /** Folder of the TensorBoard event files. */
  readonly events: string;
  /** Whether the signal ended it before its last step. */
  readonly interrupted: boolean;
  /** Seconds of this session. */
  readonly seconds: number;
  /** Image files met in this session that could not be read. */
  readonly brokenFiles: number;
}

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
  const parts = await openParts(config, options, cleanup);
  const { folder, log, loader, onEvent } = parts;
  const job = new PretrainJob(parts);
  onEvent(job.startEvent());
  if (parts.firstBatch && options.checkKernels !== false) await checkRunKernels(parts);
  if (parts.firstBatch && options.tune !== false) await tunePretraining(parts);
  const { step, interrupted } = await job.train();
  const figure = interrupted ? null : await drawRunFigure(parts, { step, loss: job.loss });
  await log.close();
  return {
    steps: step,
    loss: job.loss,
    checkpoint: job.checkpoint,
    metrics: folder.metrics,
    figure,
    events: folder.events,
    interrupted,
    seconds: (performance.now() - started) / 1000,
    brokenFiles: loader.broken.length,
  };
}

/** Opens everything that a run needs; nothing is written before all the rest is known to work. */
async function openParts(
  config: PretrainConfig,
  options: PretrainOptions,
  cleanup: AsyncDisposableStack,
): Promise<PretrainParts> {
  const { resume = false, signal, onEvent = () => {} } = options;
  const parameters = checkModel(config);
  const folder = cleanup.use(await RunFolder.look(config.run.out, resume));
  const source = await listImages(config.data.train);
  const files = await fingerprint(source);
  if (folder.checkpoints.length > 0) await folder.take(); // before another process can change them
  const resumed = resume ? await findCheckpoint(folder.path) : null;
  const loader = await openData(config, source, resumed?.state.step ?? 0, options);
  cleanup.defer(() => loader.close());
  const steps = stepsLeft(config, loader, resumed);
  const runtime = await openRuntime({ backend: config.run.backend });
  const { model, optimizer } = createModel(config, cleanup);
  if (resumed) await restoreCheckpoint(resumed.path, model.parameters, optimizer.variables);
  const firstBatch = steps > 0 ? await loader.next() : null; // fails when nothing in the folder can be read
  const { keep, checkpointEvery: every } = config.run;
  const existing = folder.checkpoints.length;
  const { stepsPerEpoch } = loader;
  await checkDiskSpace(folder.path, { parameters, keep, every, stepsPerEpoch, steps, existing });

  await folder.take();
  if (resumed) await setAside(resumed.damaged);
  await storeConfig(folder.path, config);
  const log = await RunLog.open(folder, resume ? resumed?.state.step ?? 0 : undefined);
  cleanup.defer(() => log.close().catch(() => {})); // only after an error, which says more
  const parts = {
    config,
    folder,
    log,
    runtime,
    source,
    files,
    loader,
    firstBatch,
    model,
    optimizer,
    resumed,
  };
  tellOfStart({ ...parts, signal, onEvent }, resume, steps);
  return { ...parts, signal, onEvent };
}

function modelConfig({ model, target }: PretrainConfig): MaeConfig {
  return { ...model, normalizeTarget: target.normalize };
}

/** Refuses a model whose sizes do not fit together, and counts its parameters. */
function checkModel(config: PretrainConfig): number {
  try {
    return countParameters(modelConfig(config));
  } catch (error) {
    throw error instanceof RangeError ? new InputError(`model: ${messageOf(error)}`) : error;
  }
}

function createModel(
  config: PretrainConfig,
  cleanup: AsyncDisposableStack,
): { model: Mae; optimizer: AdamW } {
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
  return { model, optimizer };
}

function openData(
  config: PretrainConfig,
  source: ImageSource,
  startStep: number,
  { workerUrl, onEvent }: PretrainOptions,
): Promise<Loader> {
  const { data, model, optim, run } = config;
  return openLoader({
    source,
    imageSize: model.imageSize,
    channels: model.channels,
    augment: data.augment,
    exif: data.exif,
    batchSize: optim.batchSize,
    accumulate: optim.accumulate,
    repeat: data.repeat,
    seed: run.seed,
    workers: data.workers,
    startStep,
    workerUrl,
    onBroken: (file: BrokenFile) =>
      onEvent?.({ kind: "warning", message: `Skipping ${file.path}: ${file.reason}` }),
  });
}

function stepsLeft(config: PretrainConfig, loader: Loader, resumed: FoundCheckpoint | null): number {
  const steps = totalSteps(config, loader.stepsPerEpoch);
  const made = resumed?.state.step ?? 0;
  if (made <= steps) return steps - made;
  throw new InputError(
    `The checkpoint ${resumed?.path} has ${made} steps, but optim.epochs ${config.optim.epochs} makes ${steps}; raise it`,
  );
}

function tellOfStart(parts: PretrainParts, resume: boolean, steps: number): void {
  const { config, folder, runtime, resumed, loader, files, onEvent } = parts;
  const warn = (message: string) => onEvent({ kind: "warning", message });
  if (resume && resumed === null) {
    onEvent({ kind: "notice", message: `Nothing to resume in ${folder.path}: starting anew` });
  }
  for (const { path, reason } of resumed?.damaged ?? []) {
    warn(`${reason}; going on from step ${resumed?.state.step}, and ${path} is renamed to ${path}.damaged`);
  }
  if (resumed) resumeWarnings(resumed.state, config, { samples: loader.samples, files }).forEach(warn);
  if (resumed && steps === 0) {
    onEvent({ kind: "notice", message: `The run has made all of its ${resumed.state.step} steps` });
  }
  if (runtime.backend === "cpu") {
    const why = config.run.backend === "cpu" ? "" : "No GPU driver: ";
    warn(`${why}Training on tfjs's CPU backend, about a hundred times slower; see mae doctor`);
  }
}
