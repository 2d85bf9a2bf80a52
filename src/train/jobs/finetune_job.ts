/** What fine-tuning does in a step, and how it evaluates. */
import { tf } from "../../deps/tfjs.ts";
import type { FinetuneConfig } from "../../config/finetune_types.ts";
import type { LabelledImages } from "../../sources/labelled.ts";
import { type BrokenFile, stoppedBy } from "../../data/broken_samples.ts";
import type { ImageBatch } from "../../data/loader.ts";
import { Random, Stream } from "../../util/random.ts";
import type { EvaluationSummary, TrainState } from "../checkpoint/checkpoint.ts";
import type { ClassifierInfo } from "../checkpoint/classifier_info.ts";
import { evaluateClassifier } from "../evaluate/evaluate.ts";
import type { FinetuneEvent } from "../run/events.ts";
import { finetuneBatch } from "./finetune_batch.ts";
import type { FinetunedModel } from "./finetune_model.ts";
import { classifierInfo, EvaluationRecord } from "./labelled_run.ts";
import type { JobWork, RunParts } from "../run/training_job.ts";
import { tuneRun } from "./tuning.ts";

/** What a fine-tuning run is made of; whoever opened the parts closes them. */
export interface FinetuneParts extends RunParts, FinetunedModel {
  /** The resolved configuration. */
  readonly config: FinetuneConfig;
  /** Classes, and images to train and to validate with. */
  readonly images: LabelledImages;
  /** Hears of everything that happens. */
  readonly onEvent: (event: FinetuneEvent) => void;
  /** The data worker's module, where it is not beside this program's own modules. */
  readonly workerUrl?: string | URL;
}

/** Fine-tuning's part in a run. */
export class FinetuneWork implements JobWork {
  /** Which job it is. */
  readonly job = "finetune";
  /** Steps between two evaluations. */
  readonly evaluateEvery: number;
  readonly #parts: FinetuneParts;
  readonly #info: ClassifierInfo;
  readonly #brokenFiles = new Set<string>();
  readonly #record: EvaluationRecord;

  /** Goes on from what the checkpoint knows of earlier evaluations. */
  constructor(parts: FinetuneParts) {
    const { config, images, loader, resumed } = parts;
    this.#parts = parts;
    this.#info = classifierInfo(config, images);
    this.#record = new EvaluationRecord(resumed);
    this.evaluateEvery = Math.max(1, Math.round(config.run.evaluateEvery * loader.stepsPerEpoch));
  }

  /** The newest evaluation; null before the first. */
  get evaluation(): EvaluationSummary | null {
    return this.#record.evaluation;
  }

  /** The best evaluation so far; null before the first. */
  get best(): EvaluationSummary | null {
    return this.#record.best;
  }

  /** Images to validate with that could not be read in this session. */
  get brokenFiles(): number {
    return this.#brokenFiles.size;
  }

  /** Records forward and backward pass of a micro-batch. */
  computeGradients(
    batch: ImageBatch,
    step: number,
    micro: number,
  ): { loss: tf.Tensor; gradients: Map<string, tf.Tensor> } {
    const { config: { optim, run, model: { dropPath } }, model } = this.#parts;
    const { patches, labels } = this.#prepare(batch, step * optim.accumulate + micro);
    const draws = new Random(run.seed, Stream.dropPath, step, micro);
    const dropPathDraws = dropPath > 0
      ? draws.uniformArray(model.dropPathDrawCount(optim.batchSize))
      : undefined;
    try {
      return model.lossAndGradients(patches, labels, { dropPathDraws });
    } finally {
      tf.dispose([patches, labels]);
    }
  }

  /** Erased and mixed patches [N, L, p·q·C] and soft labels [N, classes]; `place` counts micro-batches from the run's start. */
  #prepare({ pixels, indices }: ImageBatch, place: number): { patches: tf.Tensor3D; labels: tf.Tensor2D } {
    const { config, model, images } = this.#parts;
    const { data: { mean, std, augment: { erasing } }, mix, run: { seed } } = config;
    const labels = indices.map((sample) => images.train.labels[sample]);
    const bytes = { pixels, labels, classes: images.classes.length, place };
    return finetuneBatch(bytes, { mean, std, erasing, mix, seed }, model);
  }

  /**
   * Takes the new weights into their averages. In the first steps these look back less far, so that a short run is not
   * evaluated by the weights it began with (TensorFlow's warm-up of moving averages).
   */
  afterStep(steps: number): void {
    const { ema } = this.#parts;
    ema?.update(Math.min(ema.decay, (1 + steps) / (10 + steps)));
  }

  /** Evaluates the averages where there are any, else the weights. */
  async evaluate(step: number): Promise<{ numbers: Record<string, number | null>; isBest: boolean }> {
    const { ema, onEvent, loader } = this.#parts;
    ema?.exchange();
    const evaluation = await this.#evaluateWeights();
    ema?.exchange();
    return this.#record.add(step, step / loader.stepsPerEpoch, evaluation, onEvent);
  }

  #evaluateWeights() {
    const { model, images, config: { optim, data }, workerUrl } = this.#parts;
    return evaluateClassifier(model, images.validation, this.#info, {
      batchSize: optim.batchSize,
      workers: data.workers,
      workerUrl,
      onBroken: (file) => this.#tellOfBroken(file),
    });
  }

  /** Once for each file, however often it is met. */
  #tellOfBroken(file: BrokenFile): void {
    const { path, reason } = file;
    if (this.#parts.config.data.onError === "stop") throw stoppedBy(file);
    if (this.#brokenFiles.has(path)) return;
    this.#brokenFiles.add(path);
    this.#parts.onEvent({ kind: "warning", message: `Skipping ${path} in evaluation: ${reason}` });
  }

  /** What `state.json` says besides. */
  stateBesides(): Partial<TrainState> {
    return { classifier: this.#info, evaluation: this.evaluation, best: this.best };
  }
}

/** Tunes the kernels of a fine-tuning run, evaluation included. */
export function tuneFinetuning(parts: FinetuneParts): Promise<void> {
  const { config, model } = parts;
  const { precision, remat } = config.run;
  const computation = {
    job: "finetune",
    model: model.config,
    batch: config.optim.batchSize,
    precision,
    remat,
  };
  return tuneRun(parts, computation, () => tryStep(parts));
}

function tryStep({ config: { optim: { batchSize } }, model }: FinetuneParts): void {
  const { imageSize, channels } = model;
  const images = tf.zeros([batchSize, ...imageSize, channels]);
  try {
    const { loss, gradients } = model.lossAndGradients(images, new Uint32Array(batchSize));
    tf.dispose([loss, ...gradients.values(), tf.tidy(() => model.logits(images))]);
  } finally {
    images.dispose();
  }
}
