/** One run between its first step and its end, whatever it trains. */
import type { tf } from "../../deps/tfjs.ts";
import type { OptimConfig, RunConfig } from "../../config/types.ts";
import type { ImageBatch, Loader } from "../../data/loader.ts";
import type { ImageSource } from "../../sources/source.ts";
import type { Runtime } from "../../gpu/runtime.ts";
import { readTensor, writeVariable } from "../../gpu/tensors.ts";
import type { Parameters } from "../../nn/parameters.ts";
import { Control } from "../../ops/update/step_control.ts";
import { learningRateAt, scaledLearningRate, type Schedule } from "../../optim/schedule.ts";
import type { MetricsRecord } from "../../report/metrics.ts";
import { unlessAborted } from "../../util/abort.ts";
import { RunError } from "../../util/errors.ts";
import { saveBest } from "../checkpoint/best_checkpoint.ts";
import { type FoundCheckpoint, saveCheckpoint, type TrainState } from "../checkpoint/checkpoint.ts";
import type { PretrainEvent, StartEvent } from "./events.ts";
import { runLoop } from "./loop.ts";
import { Stretch } from "./rates.ts";
import type { RunFolder } from "./run_folder.ts";
import type { RunLog } from "./run_log.ts";

/** What every job's configuration says of how it runs. */
export interface RunSettings {
  /** Batches, epochs and learning rate. */
  readonly optim: Pick<
    OptimConfig,
    "batchSize" | "accumulate" | "epochs" | "warmupEpochs" | "blr" | "lr" | "minLr" | "maxBadSteps"
  >;
  /** Where and how it runs. */
  readonly run: Omit<RunConfig, "figureImages">;
}

/** What updates the parameters; nothing is read back but the control. */
export interface Optimizer {
  /** Counters and sums; its places are named by `Control`. */
  readonly control: tf.Variable;
  /** Adds one micro-batch's loss and gradients, and takes them over. */
  accumulate(loss: tf.Tensor, gradients: ReadonlyMap<string, tf.Tensor>): void;
  /** Updates the parameters from what was accumulated. */
  step(learningRate: number): void;
}

/** What is trained. */
export interface Trained {
  /** Values in all parameters of the model. */
  readonly parameterCount: number;
  /** Its optimizer. */
  readonly optimizer: Optimizer;
  /** What a checkpoint holds: the model to use, and the rest that a resumed run needs. */
  saved(): { readonly model: Parameters; readonly rest: Parameters };
}

/** What a run is made of; whoever opened the parts closes them. */
export interface RunParts extends Trained {
  /** The resolved configuration. */
  readonly config: RunSettings;
  /** The same as plain values under the keys of the YAML. */
  readonly record: Readonly<Record<string, unknown>>;
  /** Where its files go. */
  readonly folder: RunFolder;
  /** Where its numbers go. */
  readonly log: RunLog;
  /** The open backend. */
  readonly runtime: Runtime;
  /** The image files. */
  readonly source: ImageSource;
  /** `fingerprint` of the source. */
  readonly files: string;
  /** The stream of batches, at the first step to make. */
  readonly loader: Loader;
  /** The batch that was drawn to see whether there are any. */
  readonly firstBatch: ImageBatch | null;
  /** Where to go on from; null for a new run. */
  readonly resumed: FoundCheckpoint | null;
  /** Ends the run after the step in progress. */
  readonly signal?: AbortSignal;
  /** Hears of everything that happens. */
  readonly onEvent: (event: PretrainEvent) => void;
}

/** What a job does that others do not. */
export interface JobWork {
  /** Which job it is. */
  readonly job: TrainState["job"];
  /** Records forward and backward pass of a micro-batch; `step` is the number of steps made before. */
  computeGradients(
    batch: ImageBatch,
    step: number,
    micro: number,
  ): { readonly loss: tf.Tensor; readonly gradients: ReadonlyMap<string, tf.Tensor> };
  /** Records what follows an update of the parameters; `steps` have been made by then. */
  afterStep?(steps: number): void;
  /** Steps between two evaluations; the last step is always one. */
  readonly evaluateEvery?: number;
  /** Evaluates what has been trained: the numbers for the log, and whether it is the best checkpoint so far. */
  evaluate?(step: number): Promise<{ numbers: Readonly<Record<string, number | null>>; isBest: boolean }>;
  /** What `state.json` says besides. */
  stateBesides?(): Partial<TrainState>;
}

/** Optimizer steps of a whole run. */
export function totalSteps({ optim }: RunSettings, stepsPerEpoch: number): number {
  return Math.max(1, Math.round(optim.epochs * stepsPerEpoch));
}

/** The state of a run between its steps. */
export class TrainingJob {
  readonly #parts: RunParts;
  readonly #work: JobWork;
  readonly #schedule: Schedule;
  readonly #steps: number;
  readonly #startStep: number;
  /** Images of an optimizer step. */
  readonly #images: number;
  #firstBatch: ImageBatch | null;
  #checkpoint: string;
  #loss: number | null;
  /** All of this session, for the time it has trained. */
  #session: Stretch;
  /** Without its first step, in which kernels are compiled: for the time left. */
  #steady: Stretch;
  /** Since the last log. */
  #window: Stretch;

  /** A run that is ready for its first step. */
  constructor(parts: RunParts, work: JobWork) {
    const { optim } = parts.config;
    this.#parts = parts;
    this.#work = work;
    this.#images = optim.batchSize * optim.accumulate;
    this.#schedule = {
      learningRate: optim.lr ?? scaledLearningRate(optim.blr, this.#images),
      minLearningRate: optim.minLr,
      warmupEpochs: optim.warmupEpochs,
      epochs: optim.epochs,
    };
    this.#steps = totalSteps(parts.config, parts.loader.stepsPerEpoch);
    this.#startStep = parts.resumed?.state.step ?? 0;
    this.#firstBatch = parts.firstBatch;
    this.#checkpoint = parts.resumed?.path ?? "";
    this.#loss = parts.resumed?.state.loss ?? null;
    this.#session = this.#steady = this.#window = this.#beginStretch(this.#startStep);
  }

  /** Mean loss of the last logged window; null before the first. */
  get loss(): number | null {
    return this.#loss;
  }

  /** Folder of the newest checkpoint. */
  get checkpoint(): string {
    return this.#checkpoint;
  }

  /** What there is to say before the first step. */
  startEvent(): StartEvent {
    const { runtime, folder, parameterCount, loader } = this.#parts;
    return {
      kind: "start",
      run: folder.path,
      adapter: runtime.adapter?.description ?? "CPU, without WebGPU",
      backend: runtime.backend,
      parameters: parameterCount,
      samples: loader.samples,
      repeat: loader.repeat,
      stepsPerEpoch: loader.stepsPerEpoch,
      steps: this.#steps,
      startStep: this.#startStep,
      learningRate: this.#schedule.learningRate,
      images: this.#images,
    };
  }

  /** Trains until the last step or until the signal; a checkpoint of the last step made is there then. */
  train(): Promise<{ step: number; interrupted: boolean }> {
    const { config, loader, signal } = this.#parts;
    this.#session = this.#steady = this.#window = this.#beginStretch(this.#startStep);
    return runLoop({
      steps: this.#steps,
      startStep: this.#startStep,
      stepsPerEpoch: loader.stepsPerEpoch,
      logEvery: config.run.logEvery,
      logsAlso: (step) => this.#evaluatesAt(step),
      checkpointEvery: config.run.checkpointEvery,
      signal,
      makeStep: (step) => this.#makeStep(step),
      settle: (step) => this.#settle(step),
      onStep: (step) => this.#report(step),
      log: (step) => this.#log(step),
      save: (step) => this.#save(step),
    });
  }

  #evaluatesAt(step: number): boolean {
    const { evaluate, evaluateEvery } = this.#work;
    return evaluate !== undefined &&
      (step === this.#steps || evaluateEvery !== undefined && step % evaluateEvery === 0);
  }

  /** One optimizer step; the learning rate is that of the fractional epoch before it, as in the official code. */
  async #makeStep(step: number): Promise<void> {
    const { config: { optim }, optimizer, runtime } = this.#parts;
    for (let micro = 0; micro < optim.accumulate; micro++) {
      const batch = await this.#nextBatch(micro);
      const { loss, gradients } = this.#work.computeGradients(batch, step, micro);
      optimizer.accumulate(loss, gradients);
    }
    optimizer.step(this.#learningRate(step));
    this.#work.afterStep?.(step + 1);
    runtime.check();
  }

  /** Between the micro-batches of a step no signal is heard: what the first ones changed is in no checkpoint. */
  #nextBatch(micro: number): Promise<ImageBatch> | ImageBatch {
    const { loader, signal } = this.#parts;
    const first = this.#firstBatch;
    this.#firstBatch = null;
    return first ?? unlessAborted(loader.next(), micro === 0 ? signal : undefined);
  }

  #learningRate(step: number): number {
    return learningRateAt(step / this.#parts.loader.stepsPerEpoch, this.#schedule);
  }

  /** Waits for the device by reading what it has counted, and does not go on in vain until the next log. */
  async #settle(step: number): Promise<void> {
    const control = await readTensor(this.#parts.optimizer.control);
    this.#parts.runtime.check();
    if (control[Control.skippedInRow] >= this.#parts.config.optim.maxBadSteps) await this.#log(step);
  }

  /** Reads what the device has summed since the last log, starts new sums, and evaluates where it is time. */
  async #log(step: number): Promise<void> {
    const { optimizer, runtime, loader, log, onEvent } = this.#parts;
    const control = await readTensor(optimizer.control);
    runtime.check();
    const counted = control[Control.counted];
    this.#loss = counted > 0 ? control[Control.lossSum] / counted : null;
    const { secondsPerStep, dataWait } = this.#window.rates(step, loader.waitSeconds);
    const record: MetricsRecord = {
      step,
      epoch: step / loader.stepsPerEpoch,
      loss: this.#loss,
      lr: this.#learningRate(step - 1),
      grad_norm: counted > 0 ? control[Control.normSum] / counted : null,
      images_per_second: this.#images / secondsPerStep,
      data_wait: dataWait,
      skipped_steps: control[Control.skipped],
      peak_bytes: runtime.memory().bytesPeak,
      broken_files: loader.broken.length,
      substituted_images: loader.substituted,
      seconds: this.#seconds(step),
      ...await this.#evaluate(step),
    };
    control.fill(0, Control.lossSum, Control.counted + 1);
    writeVariable(optimizer.control, control);
    await log.write(record);
    onEvent({ kind: "log", record });
    this.#stopIfHopeless(step, control[Control.skippedInRow]);
    this.#window = this.#beginStretch(step);
  }

  async #evaluate(step: number): Promise<Readonly<Record<string, number | null>>> {
    if (!this.#work.evaluate || !this.#evaluatesAt(step)) return {};
    const { folder, runtime } = this.#parts;
    const started = performance.now();
    const { numbers, isBest } = await this.#work.evaluate(step);
    await runtime.settle();
    if (isBest) await saveBest(folder.path, this.#state(step), this.#parts.saved().model);
    this.#steady.pause((performance.now() - started) / 1000);
    return numbers;
  }

  #stopIfHopeless(step: number, skippedInRow: number): void {
    if (skippedInRow < this.#parts.config.optim.maxBadSteps) return;
    throw new RunError(
      `Loss or gradients were not finite in ${skippedInRow} steps in a row, the last at step ${step}; lower optim.blr or lengthen ` +
        "optim.warmup_epochs, set optim.clip_norm (1 is usual), and check the data with data.mean and data.std",
    );
  }

  #beginStretch(step: number): Stretch {
    return new Stretch(step, this.#parts.loader.waitSeconds);
  }

  /** Seconds of training in all sessions. */
  #seconds(step: number): number {
    const before = this.#parts.resumed?.state.seconds ?? 0;
    return before + this.#session.rates(step, 0).seconds;
  }

  #report(step: number): void {
    const { loader, onEvent } = this.#parts;
    const { secondsPerStep, wholePerStep, dataWait } = this.#steady.rates(step, loader.waitSeconds);
    onEvent({
      kind: "step",
      step,
      steps: this.#steps,
      epoch: step / loader.stepsPerEpoch,
      loss: this.#loss,
      learningRate: this.#learningRate(step - 1),
      imagesPerSecond: this.#images / secondsPerStep,
      secondsLeft: (this.#steps - step) * wholePerStep,
      dataWait,
    });
    if (step === this.#startStep + 1) this.#steady = this.#beginStretch(step);
  }

  #state(step: number): TrainState {
    const { record, loader, files } = this.#parts;
    return {
      format: 1,
      job: this.#work.job,
      step,
      epoch: step / loader.stepsPerEpoch,
      stepsPerEpoch: loader.stepsPerEpoch,
      samples: loader.samples,
      files,
      seconds: this.#seconds(step),
      loss: this.#loss,
      ...this.#work.stateBesides?.(),
      config: record,
    };
  }

  async #save(step: number): Promise<void> {
    const { config, folder, log, runtime, onEvent } = this.#parts;
    await runtime.settle(); // an error of the device must surface before its numbers are saved
    await log.sync();
    const { model, rest } = this.#parts.saved();
    this.#checkpoint = await saveCheckpoint(folder.path, this.#state(step), model, rest, config.run.keep);
    onEvent({ kind: "checkpoint", path: this.#checkpoint, step });
  }
}
