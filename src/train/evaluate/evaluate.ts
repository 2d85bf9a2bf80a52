/** How well a classifier does on labelled images. */
import { tf } from "../../deps/tfjs.ts";
import { readingOf } from "../../config/common_sections.ts";
import type { PixelValues, ReadingOptions } from "../../config/types.ts";
import { evaluationBatches, filledUp } from "../../data/eval_loader.ts";
import type { LabelledSource } from "../../sources/labelled.ts";
import type { BrokenFile } from "../../data/broken_samples.ts";
import type { ImageSource } from "../../sources/source.ts";
import { readTensor } from "../../gpu/tensors.ts";
import type { Classifier } from "../../models/classifier.ts";
import { type ImageShape, patchifyPixels } from "../../ops/pixels/normalize_pixels.ts";
import { RunError } from "../../util/errors.ts";
import type { ClassifierInfo } from "../checkpoint/classifier_info.ts";

/** How images become what the classifier sees. */
export type ImagePreparation =
  & Pick<ClassifierInfo, "imageSize" | "channels" | "mean" | "std" | "cropShare">
  & ReadingOptions;

/** How images are shown to a classifier. */
export interface ClassifyOptions {
  /** Images computed at once. */
  readonly batchSize: number;
  /** Data workers; `auto` is the number of cores, at most 8; 0 works in this thread. */
  readonly workers: number | "auto";
  /** The worker's module, where it does not lie beside this program's own. */
  readonly workerUrl?: URL | string;
  /** Called for each image that cannot be read; it is left out. */
  readonly onBroken?: (file: BrokenFile) => void;
}

/** What a classifier makes of some images. */
export interface LogitsBatch {
  /** The sample that each image is. */
  readonly indices: Uint32Array;
  /** Unnormalised log-probabilities, [images, classes]. */
  readonly logits: Float32Array;
}

/**
 * Shows every image of a source to a classifier, in order, by the evaluation transform. The host prepares a batch while
 * the device computes the one before.
 */
export async function* classifyImages(
  model: Classifier,
  source: ImageSource,
  preparation: ImagePreparation,
  { batchSize, workers, workerUrl, onBroken }: ClassifyOptions,
): AsyncGenerator<LogitsBatch, void, void> {
  const { imageSize, channels, cropShare } = preparation;
  const batches = evaluationBatches({
    source,
    imageSize,
    channels,
    ...readingOf(preparation),
    cropShare,
    batchSize,
    workers,
    workerUrl,
    onBroken,
  });
  let before: Promise<LogitsBatch> | null = null;
  for await (const { pixels, indices } of batches) {
    const logits = computeLogits(model, pixels, preparation, batchSize);
    const count = indices.length * model.config.classes;
    const batch = logits.then((values) => ({ indices, logits: values.subarray(0, count) }));
    batch.catch(() => {}); // whoever comes to it throws it
    if (before) yield await before;
    before = batch;
  }
  if (before) yield await before;
}

/** [batchSize, classes]; a batch with fewer images is filled up, so that the same kernels run. */
async function computeLogits(
  model: Classifier,
  pixels: PixelValues,
  { imageSize, channels, mean, std }: ImagePreparation,
  batchSize: number,
): Promise<Float32Array> {
  const shape: ImageShape = [batchSize, ...imageSize as [number, number], channels];
  const whole = filledUp(pixels, shape.reduce((product, side) => product * side));
  const patches = patchifyPixels(whole, shape, model.patchSize, mean, std);
  const logits = tf.tidy(() => model.logits(patches));
  patches.dispose();
  try {
    return await readTensor(logits);
  } finally {
    logits.dispose();
  }
}

/** How a classifier did. */
export interface Evaluation {
  /** Images it was shown. */
  readonly images: number;
  /** Share of them whose class came first. */
  readonly top1: number;
  /** Share of them whose class was among the first five; null for five classes or fewer. */
  readonly top5: number | null;
  /** Mean cross-entropy. */
  readonly loss: number;
  /** How many images of class t were taken for class p, at t · classes + p. */
  readonly confusion: Uint32Array;
  /** Image files that could not be read. */
  readonly broken: readonly BrokenFile[];
}

/**
 * Evaluates a classifier on every image of a source, each once and whole.
 * @throws {RunError} when no image can be read, or a data worker crashes
 */
export async function evaluateClassifier(
  model: Classifier,
  source: LabelledSource,
  preparation: ImagePreparation,
  options: ClassifyOptions,
): Promise<Evaluation> {
  const { classes } = model.config;
  const tally = new Tally(classes);
  const broken: BrokenFile[] = [];
  const onBroken = (file: BrokenFile) => {
    broken.push(file);
    options.onBroken?.(file);
  };
  for await (
    const { indices, logits } of classifyImages(model, source, preparation, { ...options, onBroken })
  ) {
    indices.forEach((sample, n) => {
      tally.count(source.labels[sample], logits.subarray(n * classes, (n + 1) * classes));
    });
  }
  if (tally.images === 0) {
    const [first] = broken;
    throw new RunError(
      `None of the ${source.length} images under "${source.root}" can be read` +
        (first ? ` (${first.path}: ${first.reason})` : ""),
    );
  }
  return { ...tally.result(), broken };
}

/** Sums over images. */
export class Tally {
  /** Images counted. */
  images = 0;
  #first = 0;
  #amongFive = 0;
  #loss = 0;
  readonly #confusion: Uint32Array;

  /** Starts at none. */
  constructor(private readonly classes: number) {
    this.#confusion = new Uint32Array(classes * classes);
  }

  /** Counts an image. Of equal logits the first wins, and what is not finite wins nothing. */
  count(label: number, logits: Float32Array): void {
    const own = logits[label];
    let better = 0;
    let top = 0;
    logits.forEach((logit, k) => {
      if (logit > own || logit === own && k < label) better++;
      if (logit > logits[top] || Number.isNaN(logits[top])) top = k;
    });
    this.images++;
    this.#loss += logSumOfExponentials(logits) - own;
    this.#confusion[label * this.classes + top]++;
    if (!Number.isFinite(own)) return;
    if (better === 0) this.#first++;
    if (better < 5) this.#amongFive++;
  }

  /** What they come to. */
  result(): Omit<Evaluation, "broken"> {
    const { images } = this;
    return {
      images,
      top1: this.#first / images,
      top5: this.classes > 5 ? this.#amongFive / images : null,
      loss: this.#loss / images,
      confusion: this.#confusion,
    };
  }
}

/** log Σ exp(x), in double precision and without overflow. */
export function logSumOfExponentials(values: Float32Array): number {
  const highest = values.reduce((high, value) => Math.max(high, value), -Infinity);
  const sum = values.reduce((sum, value) => sum + Math.exp(value - highest), 0);
  return highest + Math.log(sum);
}
