/** Features: one vector for each image of a data set, whole, by the evaluation transform, always alike. */
import { evaluationBatches, filledUp } from "../../data/eval_loader.ts";
import type { BrokenFile } from "../../data/broken_samples.ts";
import type { ImageSource } from "../../sources/source.ts";
import { readTensor } from "../../gpu/tensors.ts";
import type { Classifier } from "../../models/classifier.ts";
import { type ImageShape, patchifyPixels } from "../../ops/pixels/normalize_pixels.ts";
import { RunError } from "../../util/errors.ts";
import type { FeatureImages } from "./feature_encoder.ts";

/** Vectors of a data set's images. */
export interface Features {
  /** [N, width], one row per image that could be read, in the order of the data set. */
  readonly values: Float32Array;
  /** Values of a vector. */
  readonly width: number;
  /** [N], which image of the data set each row is of. */
  readonly samples: Uint32Array;
  /** Files that could not be read. */
  readonly broken: readonly BrokenFile[];
}

/** How features are computed. */
export interface FeatureOptions {
  /** How the images are made. */
  readonly images: FeatureImages;
  /** Images computed at once. */
  readonly batchSize: number;
  /** Data workers; `auto` is the number of cores, at most 8; 0 works in this thread. */
  readonly workers: number | "auto";
  /** The data worker's module, where it is not beside this program's own modules. */
  readonly workerUrl?: string | URL;
  /** Hears after each batch of how many images features are known. */
  readonly onProgress?: (done: number, all: number) => void;
  /** Hears of each file that cannot be read. */
  readonly onBroken?: (file: BrokenFile) => void;
  /** Called with a sentence when a data worker was lost and another one took its place. */
  readonly onRestart?: (message: string) => void;
  /** Ends early, with the features of the images so far. */
  readonly signal?: AbortSignal;
}

/** Batches whose vectors may be on their way back: the wait of one is hidden behind the work of the next. */
const readAhead = 2;

/**
 * The vectors of every image of a data set. A file that cannot be read is reported and left out.
 * @throws {RunError} when none of the files can be read, or the vectors do not fit into memory
 */
export async function computeFeatures(
  encoder: Classifier,
  source: ImageSource,
  { images, onProgress, signal, ...options }: FeatureOptions,
): Promise<Features> {
  const all = source.length;
  const { width } = encoder.config.encoder;
  const values = allocate(all, width);
  const samples = new Uint32Array(all);
  const broken: BrokenFile[] = [];
  const onBroken = (file: BrokenFile) => {
    broken.push(file);
    options.onBroken?.(file);
  };
  const { mean, std, ...settings } = images;
  /** Vectors on their way back, oldest first: up to which image they go. */
  const reading: { readonly read: Promise<void>; readonly done: number }[] = [];
  let count = 0;
  const settleOldest = async () => {
    for (const { read, done } of reading.splice(0, 1)) {
      await read;
      onProgress?.(done, all);
    }
  };
  try {
    for await (
      const { pixels, indices } of evaluationBatches({ ...options, ...settings, source, onBroken })
    ) {
      if (signal?.aborted) break;
      const shape: ImageShape = [options.batchSize, ...images.imageSize as [number, number], images.channels];
      const whole = filledUp(pixels, shape.reduce((product, side) => product * side));
      const patches = patchifyPixels(whole, shape, encoder.patchSize, mean, std);
      const features = encoder.features(patches);
      patches.dispose();
      const first = count;
      const read = readTensor(features).then((rows) => {
        features.dispose();
        values.set(rows.subarray(0, indices.length * width), first * width);
      });
      read.catch(() => {}); // whoever comes to it throws it
      reading.push({ read, done: indices[indices.length - 1] + 1 });
      samples.set(indices, first);
      count += indices.length;
      if (reading.length > readAhead) await settleOldest();
    }
    while (reading.length > 0) await settleOldest();
  } finally {
    await Promise.allSettled(reading.map(({ read }) => read));
  }
  if (count === 0 && !signal?.aborted) throw nothingReadable(source, broken);
  return { values: values.subarray(0, count * width), width, samples: samples.subarray(0, count), broken };
}

function allocate(images: number, width: number): Float32Array {
  try {
    return new Float32Array(images * width);
  } catch (error) {
    const gigabytes = (4 * images * width / 1e9).toFixed(1);
    throw new RunError(
      `The features of ${images} images take ${gigabytes} GB, which this machine's memory does not hold; do it in parts`,
      { cause: error },
    );
  }
}

function nothingReadable({ root, length }: ImageSource, broken: readonly BrokenFile[]): RunError {
  const [first] = broken;
  const why = first ? ` (${first.path}: ${first.reason})` : "";
  return new RunError(`None of the ${length} images under "${root}" can be read${why}`);
}
