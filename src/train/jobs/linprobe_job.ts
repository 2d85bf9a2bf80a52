/** What a linear probe does in a step, and how it evaluates. */
import { readingOf } from "../../config/common_sections.ts";
import { tf } from "../../deps/tfjs.ts";
import type { LinprobeConfig } from "../../config/finetune_types.ts";
import { stoppedBy } from "../../data/broken_samples.ts";
import type { LabelledImages, LabelledSource } from "../../sources/labelled.ts";
import type { ImageBatch } from "../../data/loader.ts";
import { substituteSample } from "../../data/sampler.ts";
import { readTensor } from "../../gpu/tensors.ts";
import { type ImageShape, patchifyPixels } from "../../ops/pixels/normalize_pixels.ts";
import type { EvaluationSummary, TrainState } from "../checkpoint/checkpoint.ts";
import type { ClassifierInfo } from "../checkpoint/classifier_info.ts";
import { type Evaluation, Tally } from "../evaluate/evaluate.ts";
import type { LinprobeEvent } from "../run/events.ts";
import { computeFeatures, type Features } from "../features/features.ts";
import { classifierInfo, EvaluationRecord } from "./labelled_run.ts";
import type { ProbedModel } from "./linprobe_model.ts";
import type { JobWork, RunParts } from "../run/training_job.ts";
import { tuneRun } from "./tuning.ts";

/** What a linear probe is made of; whoever opened the parts closes them. */
export interface LinprobeParts extends RunParts, ProbedModel {
  /** The resolved configuration. */
  readonly config: RunParts["config"] & LinprobeConfig;
  /** Classes, and images to train and to validate with. */
  readonly images: LabelledImages;
  /** Hears of everything that happens. */
  readonly onEvent: (event: LinprobeEvent) => void;
  /** The data worker's module, where it is not beside this program's own modules. */
  readonly workerUrl?: string | URL;
}

/** Most images whose features are computed, or classified, at once. */
const mostAtOnce = 256;

/** A linear probe's part in a run. */
export class LinprobeWork implements JobWork {
  /** Which job it is. */
  readonly job = "linprobe";
  /** Steps between two evaluations. */
  readonly evaluateEvery: number;
  readonly #parts: LinprobeParts;
  readonly #info: ClassifierInfo;
  readonly #record: EvaluationRecord;
  #validation: Features | null = null;
  /** Null where images are augmented. */
  #training: Features | null = null;
  /** The row of each training image among the features; -1 for one that cannot be read. */
  readonly #rowOf: Int32Array;

  /** Goes on from what the checkpoint knows of earlier evaluations. */
  constructor(parts: LinprobeParts) {
    const { config, images, loader, resumed } = parts;
    this.#parts = parts;
    this.#info = classifierInfo(config, images);
    this.#record = new EvaluationRecord(resumed);
    this.#rowOf = new Int32Array(images.train.length).fill(-1);
    this.evaluateEvery = Math.max(1, Math.round(config.run.evaluateEvery * loader.stepsPerEpoch));
  }

  /**
   * Computes the features of the images to validate with and, where they are not augmented, of those to train with. When the
   * run's signal ends that early no step can follow. To be called before the first step.
   * @throws {RunError} when no image can be read
   */
  async prepare(): Promise<void> {
    const { config, images } = this.#parts;
    const what = (images: string) => `features of the images to ${images} with`;
    this.#validation = await featuresOf(this.#parts, images.validation, what("validate"));
    if (config.data.augment !== null) return;
    this.#training = await featuresOf(this.#parts, images.train, what("train"));
    this.#training.samples.forEach((sample, row) => this.#rowOf[sample] = row);
  }

  /** The newest evaluation; null before the first. */
  get evaluation(): EvaluationSummary | null {
    return this.#record.evaluation;
  }

  /** The best evaluation so far; null before the first. */
  get best(): EvaluationSummary | null {
    return this.#record.best;
  }

  /** Images that could not be read when features were computed. */
  get brokenFiles(): number {
    return (this.#validation?.broken.length ?? 0) + (this.#training?.broken.length ?? 0);
  }

  /** Records the probe's forward and backward pass of a micro-batch; the encoder's has no way back. */
  computeGradients(
    batch: ImageBatch,
    step: number,
    micro: number,
  ): { loss: tf.Tensor; gradients: Map<string, tf.Tensor> } {
    const { probe, images } = this.#parts;
    const { features, samples } = this.#training
      ? this.#known(this.#training, batch, this.#firstPosition(step, micro))
      : this.#computed(batch);
    try {
      return probe.lossAndGradients(features, samples.map((sample) => images.train.labels[sample]));
    } finally {
      features.dispose();
    }
  }

  /** The position in its epoch of a micro-batch's first image. */
  #firstPosition(step: number, micro: number): number {
    const { loader, config: { optim: { accumulate, batchSize } } } = this.#parts;
    return ((step % loader.stepsPerEpoch) * accumulate + micro) * batchSize;
  }

  /** Features of augmented images. */
  #computed({ pixels, indices }: ImageBatch): { features: tf.Tensor; samples: Uint32Array } {
    const { model, config: { data } } = this.#parts;
    const [height, width] = model.imageSize;
    const shape: ImageShape = [indices.length, height, width, model.channels];
    const patches = patchifyPixels(pixels, shape, model.patchSize, data.mean, data.std);
    const features = model.features(patches);
    patches.dispose();
    return { features, samples: indices };
  }

  /** Rows of the features that are known; images that could not be read are replaced by others. */
  #known({ values, width }: Features, { indices, epoch }: ImageBatch, firstPosition: number) {
    const { config: { run: { seed } } } = this.#parts;
    const samples = indices.slice();
    const rows = new Float32Array(indices.length * width);
    for (let i = 0; i < samples.length; i++) {
      for (let attempt = 1; this.#rowOf[samples[i]] < 0; attempt++) {
        samples[i] = substituteSample(seed, epoch, firstPosition + i, attempt, this.#rowOf.length);
      }
      const row = this.#rowOf[samples[i]];
      rows.set(values.subarray(row * width, (row + 1) * width), i * width);
    }
    return { features: tf.tensor2d(rows, [samples.length, width], "float32"), samples };
  }

  /** Classifies the images to validate with by their features. */
  async evaluate(step: number): Promise<{ numbers: Record<string, number | null>; isBest: boolean }> {
    const { loader, onEvent } = this.#parts;
    const evaluation = await this.#evaluateProbe();
    return this.#record.add(step, step / loader.stepsPerEpoch, evaluation, onEvent);
  }

  async #evaluateProbe(): Promise<Omit<Evaluation, "broken">> {
    const { probe, images: { classes, validation } } = this.#parts;
    if (this.#validation === null) throw new Error("The features to validate with were not computed");
    const { values, width, samples } = this.#validation;
    const tally = new Tally(classes.length);
    const reading: Promise<Float32Array>[] = [];
    for (let first = 0; first < samples.length; first += mostAtOnce) {
      const count = Math.min(mostAtOnce, samples.length - first);
      const logits = tf.tidy(() => {
        const rows = values.subarray(first * width, (first + count) * width);
        return probe.logits(tf.tensor2d(rows, [count, width], "float32"));
      });
      reading.push(readTensor(logits).finally(() => logits.dispose()));
    }
    const logits = await Promise.all(reading);
    samples.forEach((sample, row) => {
      const at = (row % mostAtOnce) * classes.length;
      const own = logits[Math.floor(row / mostAtOnce)].subarray(at, at + classes.length);
      tally.count(validation.labels[sample], own);
    });
    return tally.result();
  }

  /** What `state.json` says besides. */
  stateBesides(): Partial<TrainState> {
    return { classifier: this.#info, evaluation: this.evaluation, best: this.best };
  }
}

function featuresOf(
  { config, model, signal, workerUrl, onEvent }: LinprobeParts,
  source: LabelledSource,
  what: string,
): Promise<Features> {
  const { imageSize, channels } = config.model;
  const { cropShare, mean, std, workers } = config.data;
  return computeFeatures(model, source, {
    images: { imageSize, channels, ...readingOf(config.data), cropShare, mean, std },
    batchSize: Math.min(config.optim.batchSize, mostAtOnce, source.length),
    workers,
    workerUrl,
    signal,
    onProgress: (done, all) => onEvent({ kind: "progress", what, share: done / all }),
    onBroken: (file) => {
      if (config.data.onError === "stop") throw stoppedBy(file);
      onEvent({ kind: "warning", message: `Skipping ${file.path}: ${file.reason}` });
    },
  });
}

/** Tunes the kernels of the encoder; the probe's are next to nothing beside them. */
export function tuneProbing(parts: LinprobeParts): Promise<void> {
  const { config, model } = parts;
  const batch = config.data.augment === null
    ? Math.min(config.optim.batchSize, mostAtOnce)
    : config.optim.batchSize;
  const computation = { job: "linprobe", model: model.config, batch, precision: config.run.precision };
  return tuneRun(parts, computation, () => {
    const images = tf.zeros([batch, ...model.imageSize, model.channels]);
    tf.dispose([images, model.features(images)]);
  });
}
