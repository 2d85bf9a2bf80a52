/** The pre-training job: data in, checkpoints, metrics and a figure out. */
import type { PretrainConfig } from "../config/types.ts";
import { type BrokenFile, type Loader, openLoader } from "../data/loader.ts";
import { type ImageSource, listImages } from "../data/source.ts";
import { EventWriter } from "../formats/tensorboard.ts";
import { readTensor, writeVariable } from "../gpu/tensors.ts";
import { openRuntime, type Runtime } from "../gpu/runtime.ts";
import { createMae, type Mae } from "../models/mae.ts";
import { sampleNoise } from "../models/mask_sampling.ts";
import { normalizePixels } from "../ops/normalize_pixels.ts";
import { Control } from "../ops/step_control.ts";
import { AdamW } from "../optim/adamw.ts";
import { pretrainGroups } from "../optim/groups.ts";
import { learningRateAt, scaledLearningRate, type Schedule } from "../optim/schedule.ts";
import { MetricsLog, type MetricsRecord } from "../report/metrics.ts";
import { InputError, RunError } from "../util/errors.ts";
import { Random, Stream } from "../util/random.ts";
import { loadCheckpoint, type LoadedCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import type { PretrainEvent } from "./events.ts";
import { runLoop } from "./loop.ts";
import { drawRunFigure } from "./run_figure.ts";
import {
  changedKeys,
  checkDiskSpace,
  configRecord,
  openRunFolder,
  type RunFolder,
  storeConfig,
} from "./run_folder.ts";

/** How to run, besides the configuration. */
export interface PretrainOptions {
  /** Go on from the newest checkpoint in `run.out`; starts anew when there is none. */
  readonly resume?: boolean;
  /** Ends the run cleanly after the step in progress, with a checkpoint. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: PretrainEvent) => void;
  /** The data worker's module, where it is not beside this program's own modules. */
  readonly workerUrl?: string | URL;
}

/** How a run ended and where its files are. */
export interface PretrainResult {
  /** Optimizer steps made in all. */
  readonly steps: number;
  /** Mean loss of the last logged window; null when nothing was logged. */
  readonly loss: number | null;
  readonly checkpoint: string;
  readonly metrics: string;
  /** Null when the run was interrupted or draws none. */
  readonly figure: string | null;
  /** Folder of the TensorBoard event files. */
  readonly events: string;
  readonly interrupted: boolean;
  /** Seconds of this session. */
  readonly seconds: number;
  readonly brokenFiles: number;
}

/**
 * Pre-trains a masked autoencoder.
 * @throws {InputError} when configuration, data or folder cannot work; nothing has been trained then
 * @throws {RunError} when the run fails; its last checkpoint is intact
 */
export async function pretrain(
  config: PretrainConfig,
  options: PretrainOptions = {},
): Promise<PretrainResult> {
  const folder = await openRunFolder(config.run.out, options.resume ?? false);
  const checkpoint = options.resume && folder.resumeFrom ? await loadCheckpoint(folder.resumeFrom) : null;
  const runtime = await openRuntime({ backend: config.run.backend });
  await using cleanup = new AsyncDisposableStack();
  const source = await listImages(config.data.train);
  const loader = await openData(config, source, checkpoint, options);
  cleanup.defer(() => loader.close());
  const job = new PretrainJob(config, options, folder, runtime, source, loader, checkpoint);
  cleanup.defer(() => job.dispose());
  return await job.run();
}

function openData(
  config: PretrainConfig,
  source: ImageSource,
  checkpoint: LoadedCheckpoint | null,
  options: PretrainOptions,
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
    startStep: checkpoint?.state.step ?? 0,
    workerUrl: options.workerUrl,
    onBroken: (file: BrokenFile) =>
      options.onEvent?.({ kind: "warning", message: `Skipping ${file.path}: ${file.reason}` }),
  });
}

/** The state of one run between its steps. */
class PretrainJob {
  readonly #model: Mae;
  readonly #optimizer: AdamW;
  readonly #schedule: Schedule;
  readonly #steps: number;
  readonly #startStep: number;
  readonly #started = performance.now();
  #metrics: MetricsLog | null = null;
  #board: EventWriter | null = null;
  #loss: number | null = null;
  #window = { start: performance.now(), step: 0, waited: 0 };
  #lastCheckpoint = "";

  constructor(
    readonly config: PretrainConfig,
    readonly options: PretrainOptions,
    readonly folder: RunFolder,
    readonly runtime: Runtime,
    readonly source: ImageSource,
    readonly loader: Loader,
    readonly checkpoint: LoadedCheckpoint | null,
  ) {
    const { model, optim, target, run } = config;
    this.#model = createMae({ ...model, normalizeTarget: target.normalize }, { seed: run.seed });
    this.#optimizer = new AdamW(
      this.#model.trainable,
      pretrainGroups(this.#model.trainable, optim.weightDecay),
      { betas: optim.betas, eps: optim.eps, clipNorm: optim.clipNorm },
    );
    this.#schedule = {
      learningRate: optim.lr ?? scaledLearningRate(optim.blr, this.#imagesPerStep),
      minLearningRate: optim.minLr,
      warmupEpochs: optim.warmupEpochs,
      epochs: optim.epochs,
    };
    this.#steps = Math.max(1, Math.round(optim.epochs * loader.stepsPerEpoch));
    this.#startStep = checkpoint?.state.step ?? 0;
  }

  get #imagesPerStep(): number {
    return this.config.optim.batchSize * this.config.optim.accumulate;
  }

  /** Seconds of training before this session. */
  get #secondsBefore(): number {
    return this.checkpoint?.state.seconds ?? 0;
  }

  async run(): Promise<PretrainResult> {
    await this.#prepare();
    this.#announce();
    this.#window = { start: performance.now(), step: this.#startStep, waited: this.loader.waitSeconds };
    const { step, interrupted } = await runLoop({
      steps: this.#steps,
      startStep: this.#startStep,
      stepsPerEpoch: this.loader.stepsPerEpoch,
      logEvery: this.config.run.logEvery,
      checkpointEvery: this.config.run.checkpointEvery,
      signal: this.options.signal,
      makeStep: (step) => this.#makeStep(step),
      settle: () => this.runtime.settle(),
      onStep: (step) => this.#report(step),
      log: (step) => this.#log(step),
      save: (step) => this.#save(step),
    });
    const figure = interrupted ? null : await this.#drawFigure(step);
    await this.#board?.flush();
    return {
      steps: step,
      loss: this.#loss,
      checkpoint: this.#lastCheckpoint,
      metrics: this.folder.metrics,
      figure,
      events: this.folder.events,
      interrupted,
      seconds: (performance.now() - this.#started) / 1000,
      brokenFiles: this.loader.broken.length,
    };
  }

  async #prepare(): Promise<void> {
    const { folder, checkpoint, config } = this;
    if (checkpoint) this.#resume(checkpoint);
    else if (this.options.resume) this.#notice(`Nothing to resume in ${folder.path}: starting anew`);
    await checkDiskSpace(folder.path, this.#model.parameterCount, config.run.keep);
    await storeConfig(folder.path, config);
    const resumeAtStep = this.options.resume ? this.#startStep : undefined;
    this.#metrics = await MetricsLog.open(folder.metrics, { resumeAtStep });
    this.#board = await EventWriter.open(folder.events, {
      resumeAtStep: checkpoint ? this.#startStep : undefined,
    });
    this.#lastCheckpoint = folder.resumeFrom ?? "";
  }

  #resume({ state, model, optimizer }: LoadedCheckpoint): void {
    if (state.step > this.#steps) {
      throw new InputError(
        `The checkpoint has ${state.step} steps, but optim.epochs ${this.config.optim.epochs} makes ${this.#steps}; raise it`,
      );
    }
    const changed = changedKeys(state.config, configRecord(this.config));
    if (changed.length > 0) {
      this.#warn(
        `Resuming with another ${changed.join(", ")}: the result will differ from a run that never stopped`,
      );
    }
    if (state.samples !== this.loader.samples) {
      this.#warn(
        `The data set had ${state.samples} images and has ${this.loader.samples} now: their order will differ`,
      );
    }
    this.#model.loadState(model);
    this.#optimizer.loadState(optimizer);
  }

  #announce(): void {
    const { adapter, backend } = this.runtime;
    this.options.onEvent?.({
      kind: "start",
      run: this.folder.path,
      adapter: adapter?.description ?? "CPU, without WebGPU",
      backend,
      parameters: this.#model.parameterCount,
      samples: this.loader.samples,
      repeat: this.loader.repeat,
      stepsPerEpoch: this.loader.stepsPerEpoch,
      steps: this.#steps,
      startStep: this.#startStep,
      learningRate: this.#schedule.learningRate,
      images: this.#imagesPerStep,
    });
    if (backend === "cpu") {
      this.#warn(
        "No GPU driver: training on tfjs's CPU backend, about a hundred times slower; see mae doctor",
      );
    }
  }

  /** One optimizer step; the learning rate is that of the fractional epoch before it, as in the official code. */
  async #makeStep(step: number): Promise<void> {
    const { mask, data, optim, run } = this.config;
    for (let micro = 0; micro < optim.accumulate; micro++) {
      const batch = await this.loader.next();
      const random = new Random(run.seed, Stream.mask, step, micro);
      const noise = sampleNoise(mask, this.#model.grid, optim.batchSize, random);
      const images = normalizePixels(
        batch.pixels,
        [optim.batchSize, ...this.#model.imageSize as [number, number], this.#model.channels],
        data.mean,
        data.std,
      );
      const { loss, gradients } = this.#model.lossAndGradients(images, { maskRatio: mask.ratio, noise });
      this.#optimizer.accumulate(loss, gradients);
      images.dispose();
    }
    this.#optimizer.step(this.#learningRate(step));
    this.runtime.check();
  }

  #learningRate(step: number): number {
    return learningRateAt(step / this.loader.stepsPerEpoch, this.#schedule);
  }

  /** Reads what the device has summed since the last log, and starts new sums. */
  async #log(step: number): Promise<void> {
    const control = await readTensor(this.#optimizer.control);
    this.runtime.check();
    this.#stopIfHopeless(step, control);
    const counted = control[Control.counted];
    this.#loss = counted > 0 ? control[Control.lossSum] / counted : null;
    const record: MetricsRecord = {
      step,
      epoch: step / this.loader.stepsPerEpoch,
      loss: this.#loss,
      lr: this.#learningRate(step - 1),
      grad_norm: counted > 0 ? control[Control.normSum] / counted : null,
      images_per_second: this.#imagesPerSecond(step),
      data_wait: this.#dataWait(),
      skipped_steps: control[Control.skipped],
      broken_files: this.loader.broken.length,
      seconds: this.#secondsBefore + (performance.now() - this.#started) / 1000,
    };
    control.fill(0, Control.lossSum, Control.counted + 1);
    writeVariable(this.#optimizer.control, control);
    await this.#write(record);
    this.#window = { start: performance.now(), step, waited: this.loader.waitSeconds };
  }

  async #write(record: MetricsRecord): Promise<void> {
    await this.#metrics?.append(record);
    const { loss, lr, grad_norm, images_per_second, data_wait, skipped_steps } = record;
    this.#board?.scalars(record.step, {
      "train/loss": loss,
      "train/lr": lr,
      "train/grad_norm": grad_norm,
      "train/images_per_second": images_per_second,
      "train/data_wait": data_wait,
      "train/skipped_steps": skipped_steps,
    });
    await this.#board?.flush();
    this.options.onEvent?.({ kind: "log", record });
  }

  #stopIfHopeless(step: number, control: Float32Array): void {
    const inRow = control[Control.skippedInRow];
    if (inRow < this.config.optim.maxBadSteps) return;
    throw new RunError(
      `Loss or gradients were not finite in ${inRow} steps in a row, the last at step ${step}; lower optim.blr or lengthen ` +
        "optim.warmup_epochs, set optim.clip_norm (1 is usual), and check the data with data.mean and data.std",
    );
  }

  #imagesPerSecond(step: number): number {
    const seconds = (performance.now() - this.#window.start) / 1000;
    return (step - this.#window.step) * this.#imagesPerStep / seconds;
  }

  #dataWait(): number {
    const seconds = (performance.now() - this.#window.start) / 1000;
    return Math.min(1, (this.loader.waitSeconds - this.#window.waited) / seconds);
  }

  #report(step: number): void {
    const seconds = (performance.now() - this.#started) / 1000;
    this.options.onEvent?.({
      kind: "step",
      step,
      steps: this.#steps,
      epoch: step / this.loader.stepsPerEpoch,
      loss: this.#loss,
      learningRate: this.#learningRate(step - 1),
      imagesPerSecond: (step - this.#startStep) * this.#imagesPerStep / seconds,
      secondsLeft: (this.#steps - step) * seconds / (step - this.#startStep),
      dataWait: this.loader.waitSeconds / seconds,
    });
  }

  async #save(step: number): Promise<void> {
    await this.runtime.settle(); // an error of the device must surface before its numbers are saved
    const state = {
      format: 1,
      job: "pretrain",
      step,
      epoch: step / this.loader.stepsPerEpoch,
      stepsPerEpoch: this.loader.stepsPerEpoch,
      samples: this.loader.samples,
      seconds: this.#secondsBefore + (performance.now() - this.#started) / 1000,
      config: configRecord(this.config),
    } as const;
    await this.#metrics?.sync();
    this.#lastCheckpoint = await saveCheckpoint(
      this.folder.path,
      state,
      this.#model.parameters,
      this.#optimizer.variables,
      this.config.run.keep,
    );
    this.options.onEvent?.({ kind: "checkpoint", path: this.#lastCheckpoint, step });
  }

  async #drawFigure(step: number): Promise<string | null> {
    if (this.config.run.figureImages === 0) return null;
    const facts = { step, loss: this.#loss };
    const { path, picture } = await drawRunFigure(
      this.#model,
      this.config,
      this.folder.figures,
      this.source,
      facts,
    );
    this.#board?.image(step, "reconstructions", picture);
    return path;
  }

  #notice(message: string): void {
    this.options.onEvent?.({ kind: "notice", message });
  }

  #warn(message: string): void {
    this.options.onEvent?.({ kind: "warning", message });
  }

  async dispose(): Promise<void> {
    await this.#metrics?.close();
    await this.#board?.close();
    this.#optimizer.dispose();
    this.#model.dispose();
  }
}
