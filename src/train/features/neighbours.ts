/** How well an encoder's features tell classes apart as they are: nearest neighbours on a labelled data set. */
import type { LabelledSource } from "../../sources/labelled.ts";
import { listLabelledImages } from "../../sources/labelled_images.ts";
import { InputError } from "../../util/errors.ts";
import { FrozenEncoder, type FrozenOptions, type WhichEncoder } from "./frozen.ts";
import type { Features } from "./features.ts";
import { type KnnAccuracy, knnAccuracy, type LabelledFeatures } from "./knn.ts";

/** What to evaluate on, and how. */
export interface NeighboursOptions extends FrozenOptions {
  /** Labelled images: `train` and `val` (or `validation`, or `test`), or folders of classes or a table with `split`. */
  readonly data: string;
  /** Images to classify, where the data set does not hold them. */
  readonly validation?: string;
  /** Share of each class's images to classify, where the data set has no folder for it. */
  readonly split?: number;
  /** Names the split; 0 by default. */
  readonly seed?: number;
  /** Numbers of neighbours; 20 by default. */
  readonly ks?: readonly number[];
  /** A neighbour at cosine similarity s votes with the weight exp(s / temperature); 0.07 by default. */
  readonly temperature?: number;
}

/** How well the nearest neighbours tell the classes. */
export interface NeighboursResult {
  /** The encoder, in one sentence. */
  readonly encoder: string;
  /** What a vector is made of. */
  readonly pooling: "average" | "class_token";
  /** Values of a vector. */
  readonly width: number;
  /** Number of classes. */
  readonly classes: number;
  /** Images that could be neighbours. */
  readonly trainImages: number;
  /** Images that were classified. */
  readonly images: number;
  /** One for each k, in their order. */
  readonly accuracies: readonly KnnAccuracy[];
  /** Files that could not be read. */
  readonly brokenFiles: number;
}

/**
 * Classifies the validation images of a data set by the votes of their nearest training images (Wu et al. 2018).
 * @throws {InputError} when checkpoint, data or options cannot work
 * @throws {RunError} when no image can be read
 */
export async function evaluateNeighbours(
  which: WhichEncoder,
  options: NeighboursOptions,
): Promise<NeighboursResult> {
  const { data, validation: queriesOf, split, seed = 0, ks = [20], temperature, onEvent = () => {} } =
    options;
  const { classes, train, validation } = await listLabelledImages(data, {
    fraction: split,
    seed,
    validation: queriesOf,
    onNotice: (message) => onEvent({ kind: "notice", message }),
  });
  checkNeighbours(ks, train.length, data);
  const message = `${classes.length} classes, ${train.length} training images and ` +
    `${validation.length} to classify`;
  onEvent({ kind: "notice", message });
  using encoder = await FrozenEncoder.open(which, options);
  const bank = await encoder.features(train, "features of the training images");
  const queries = await encoder.features(validation, "features of the images to classify");
  const accuracies = await knnAccuracy(labelled(bank, train), labelled(queries, validation), {
    ks,
    temperature,
    classes: classes.length,
    onProgress: (share) => onEvent({ kind: "progress", what: "neighbours", share }),
  });
  return {
    encoder: encoder.description,
    pooling: encoder.pooling,
    width: encoder.width,
    classes: classes.length,
    trainImages: bank.samples.length,
    images: queries.samples.length,
    accuracies,
    brokenFiles: bank.broken.length + queries.broken.length,
  };
}

/** Refuses before any feature is computed what cannot be voted on after. */
function checkNeighbours(ks: readonly number[], images: number, data: string): void {
  const most = Math.max(...ks);
  if (most <= images) return;
  throw new InputError(
    `--k ${most} is more than the ${images} training images of "${data}"; give --k ${images} or less`,
  );
}

/** Features with the classes of their images. */
export function labelled({ values, width, samples }: Features, { labels }: LabelledSource): LabelledFeatures {
  return { values, width, labels: samples.map((sample) => labels[sample]) };
}
