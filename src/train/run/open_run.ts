/** Opening a run: everything that is to be known to work before anything is written. */
import type { DataConfig } from "../../config/types.ts";
import type { BrokenFile } from "../../data/broken_samples.ts";
import { type Loader, openLoader } from "../../data/loader.ts";
import type { RenderSettings } from "../../data/render.ts";
import type { ImageSource } from "../../sources/source.ts";
import { openRuntime } from "../../gpu/runtime.ts";
import { parameterCount } from "../../nn/parameters.ts";
import { unlessAborted } from "../../util/abort.ts";
import { InputError } from "../../util/errors.ts";
import {
  findCheckpoint,
  type FoundCheckpoint,
  restoreCheckpoint,
  setAside,
  type TrainState,
} from "../checkpoint/checkpoint.ts";
import type { PretrainEvent } from "./events.ts";
import { checkJob, configRecord, fingerprint, resumeWarnings } from "./resume.ts";
import { checkDiskSpace, RunFolder, storeConfig } from "./run_folder.ts";
import { RunLog } from "./run_log.ts";
import { type RunParts, type RunSettings, totalSteps, type Trained } from "./training_job.ts";

/** How to run, besides the configuration. */
export interface RunOptions {
  /** Go on from the newest checkpoint in `run.out`; starts anew when there is none. */
  readonly resume?: boolean;
  /**
   * Ends the run cleanly after the step in progress, or before it where its images are still waited for, with a
   * checkpoint; while data are being opened the run rejects with the signal's reason, and nothing is written.
   */
  readonly signal?: AbortSignal;
  /** Whether kernels are timed before the first step and run by their fastest plans (default), or by their first. */
  readonly tune?: boolean;
  /** Whether a device whose kernels no earlier run has tested is tested before the first step (default). */
  readonly checkKernels?: boolean;
  /** The data worker's module, where it is not beside this program's own modules. */
  readonly workerUrl?: string | URL;
}

/** How a run ended and where its files are. */
export interface RunResult {
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

/** What a job's configuration says of how it runs, and of its data. */
export interface JobConfig extends RunSettings {
  /** How images are read. */
  readonly data: Pick<DataConfig, "workers" | "repeat" | "shuffle" | "onError" | "maxBadShare">;
}

/** A run that is to be opened. */
export interface RunPlan<Config extends JobConfig, Made extends Trained> {
  /** Which job it is: only its own runs are gone on from. */
  readonly job: TrainState["job"];
  /** The resolved configuration. */
  readonly config: Config;
  /** The same as it is stored. */
  readonly yaml: string;
  /** The images to train with. */
  readonly source: () => Promise<ImageSource>;
  /** How they become pixels. */
  readonly images: Omit<RenderSettings, "seed">;
  /** Gives the batches, where they are not made of image files, from the step on that is the first to make. */
  readonly loader?: (source: ImageSource, startStep: number) => Loader;
  /** Makes what is trained, on the runtime that is open by then. What it makes it frees by `cleanup`. */
  readonly create: (resumed: FoundCheckpoint | null, cleanup: AsyncDisposableStack) => Made | Promise<Made>;
  /** Whether the best checkpoint is kept besides the newest. */
  readonly keepsBest?: boolean;
}

/** `RunOptions` of a job that hears of events. */
export interface OpenOptions extends RunOptions {
  /** Hears of everything that happens. */
  readonly onEvent?: (event: PretrainEvent) => void;
}

/**
 * Opens everything that a run needs; nothing is written before all the rest is known to work.
 * @throws {InputError} when configuration, data, checkpoint or folder cannot work
 */
export async function openRun<Config extends JobConfig, Made extends Trained>(
  plan: RunPlan<Config, Made>,
  options: OpenOptions,
  cleanup: AsyncDisposableStack,
): Promise<RunParts & Made & { readonly config: Config }> {
  const { resume = false, signal, onEvent = () => {} } = options;
  const { config, yaml } = plan;
  const record = configRecord(yaml);
  const folder = cleanup.use(await RunFolder.look(config.run.out, resume));
  const source = await unlessAborted(plan.source(), signal);
  const files = fingerprint(source);
  if (folder.checkpoints.length > 0) await folder.take(); // before another process can change them
  const resumed = resume ? await findCheckpoint(folder.path) : null;
  if (resumed) checkJob(folder.path, resumed.state, plan.job);
  const startStep = resumed?.state.step ?? 0;
  const loader = plan.loader?.(source, startStep) ?? await openData(plan, source, startStep, options);
  cleanup.defer(() => loader.close());
  const steps = stepsLeft(config, loader, resumed);
  const runtime = await openRuntime({ backend: config.run.backend });
  const made = await plan.create(resumed, cleanup);
  const { model, rest } = made.saved();
  if (resumed) await restoreCheckpoint(resumed.path, model, rest);
  const firstBatch = steps > 0 ? await unlessAborted(loader.next(), signal) : null; // fails when nothing in the folder can be read
  const { keep, checkpointEvery: every } = config.run;
  await checkDiskSpace(folder.path, {
    values: parameterCount(model) + parameterCount(rest),
    best: plan.keepsBest ? parameterCount(model) : 0,
    keep,
    every,
    stepsPerEpoch: loader.stepsPerEpoch,
    steps,
    existing: folder.checkpoints.length,
  });

  await folder.take();
  if (resumed) await setAside(resumed.damaged);
  await storeConfig(folder.path, yaml);
  const log = await RunLog.open(folder, resume ? resumed?.state.step ?? 0 : undefined);
  cleanup.defer(() => log.close().catch(() => {})); // only after an error, which says more
  const opened = { config, record, folder, log, runtime, source, files, loader, firstBatch, resumed };
  const parts = { ...made, ...opened, signal, onEvent };
  tellOfStart(parts, resume, steps);
  return parts;
}

function openData(
  { config, images }: RunPlan<JobConfig, Trained>,
  source: ImageSource,
  startStep: number,
  { workerUrl, onEvent }: OpenOptions,
): Promise<Loader> {
  const { data, optim, run } = config;
  return openLoader({
    source,
    ...images,
    batchSize: optim.batchSize,
    accumulate: optim.accumulate,
    repeat: data.repeat,
    shuffle: data.shuffle,
    onError: data.onError,
    maxBadShare: data.maxBadShare,
    seed: run.seed,
    workers: data.workers,
    startStep,
    workerUrl,
    onBroken: (file: BrokenFile) =>
      onEvent?.({ kind: "warning", message: `Skipping ${file.path}: ${file.reason}` }),
    onRestart: (message) => onEvent?.({ kind: "warning", message }),
  });
}

function stepsLeft(config: RunSettings, loader: Loader, resumed: FoundCheckpoint | null): number {
  const steps = totalSteps(config, loader.stepsPerEpoch);
  const made = resumed?.state.step ?? 0;
  if (made <= steps) return steps - made;
  throw new InputError(
    `The checkpoint ${resumed?.path} has ${made} steps, but optim.epochs ${config.optim.epochs} makes ${steps}; raise it`,
  );
}

/** A sentence where a step takes more images than there are, which nobody asked for by a `data.repeat` of their own. */
function fewImagesWarning({ data, optim }: JobConfig, { samples, repeat }: Loader): string[] {
  const { batchSize, accumulate } = optim;
  const perStep = batchSize * accumulate;
  if (data.repeat !== "auto" || perStep <= samples) return [];
  const fitting = batchSize <= samples
    ? `optim.accumulate=${Math.floor(samples / batchSize)}`
    : `optim.batch_size=${samples}${accumulate > 1 ? " and optim.accumulate=1" : ""}`;
  return [
    `A step takes ${perStep} images (optim.batch_size ${batchSize} x optim.accumulate ${accumulate}), and there are only ` +
    `${samples}: each is drawn ${repeat} times for the one step of an epoch; set ${fitting} for smaller steps`,
  ];
}

function tellOfStart(parts: RunParts & { readonly config: JobConfig }, resume: boolean, steps: number): void {
  const { config, record, folder, runtime, resumed, loader, source, files, onEvent } = parts;
  const warn = (message: string) => onEvent({ kind: "warning", message });
  if (resume && resumed === null) {
    onEvent({ kind: "notice", message: `Nothing to resume in ${folder.path}: starting anew` });
  }
  for (const { path, reason } of resumed?.damaged ?? []) {
    warn(`${reason}; going on from step ${resumed?.state.step}, and ${path} is renamed to ${path}.damaged`);
  }
  if (resumed === null) fewImagesWarning(config, loader).forEach(warn);
  if (resumed) {
    const inShards = source.shards !== undefined || source.parts !== undefined;
    resumeWarnings(resumed.state, record, { samples: loader.samples, files, inShards }).forEach(warn);
  }
  if (resumed && steps === 0) {
    onEvent({ kind: "notice", message: `The run has made all of its ${resumed.state.step} steps` });
  }
  if (runtime.backend === "cpu") {
    const why = config.run.backend === "cpu" ? "" : "No GPU driver: ";
    warn(`${why}Training on tfjs's CPU backend, about a hundred times slower; see mae doctor`);
  }
}
