/** A classifier from a checkpoint, with everything it takes to classify images: nothing else needs to be said. */
import type { LabelledSource } from "../../sources/labelled.ts";
import type { ImageSource } from "../../sources/source.ts";
import { type Classifier, createClassifier } from "../../models/classifier.ts";
import type { ComputeOptions } from "../../models/compute.ts";
import { InputError } from "../../util/errors.ts";
import type { ClassifierInfo } from "../checkpoint/classifier_info.ts";
import {
  type EncoderSource,
  type EncoderSourceOptions,
  readEncoderSource,
} from "../model_files/encoder_source.ts";
import {
  classifyImages,
  type ClassifyOptions,
  evaluateClassifier,
  type Evaluation,
  logSumOfExponentials,
} from "./evaluate.ts";

/** A classifier on the disk, read. */
export interface StoredClassifier extends EncoderSource {
  /** Its classes and images. */
  readonly classifier: ClassifierInfo;
}

/**
 * Reads a classifier: of a run (its best checkpoint, or else its newest), of a checkpoint's folder, a fine-tuned file of the
 * official code or timm, or Hugging Face's `ViTForImageClassification`. Where the last do not say them, classes are numbered
 * and pixels normalised with ImageNet's statistics; `notes` tells.
 * @throws {InputError} when there is no such path, or no classifier in it
 */
export async function readClassifier(
  path: string,
  options: Pick<EncoderSourceOptions, "heads" | "headsFlag"> = {},
): Promise<StoredClassifier> {
  const source = await readEncoderSource(path, options);
  const { classifier } = source;
  if (!source.state.has("head.weight")) {
    throw new InputError(`"${source.path}" is no classifier: it has no head, which mae finetune trains`);
  }
  if (classifier !== null) return { ...source, classifier };
  throw new InputError(
    `"${source.path}" has a head, and it does not say how large its images are, or pools tokens as no classifier of MAE does`,
  );
}

/** A share of 1 for a class. */
export interface ClassProbability {
  /** Name of the class. */
  readonly name: string;
  /** What to call it in words, where that is known and another thing. */
  readonly title?: string;
  /** How probable the classifier takes it to be, 0 to 1. */
  readonly probability: number;
}

/** What an image is taken for. */
export interface Prediction {
  /** The image file. */
  readonly path: string;
  /** The most probable classes, best first. */
  readonly classes: readonly ClassProbability[];
}

/** A classifier on the open runtime. Whoever opened it disposes it. */
export class TrainedClassifier {
  private constructor(
    /** The model. */
    readonly model: Classifier,
    /** Its classes and images. */
    readonly info: ClassifierInfo,
  ) {}

  /**
   * Puts a classifier on the open runtime.
   * @throws {InputError} when its tensors do not fit together
   */
  static open(
    { path, state, encoder, classifier: info }: StoredClassifier,
    compute: ComputeOptions = {},
  ): TrainedClassifier {
    const model = createClassifier({
      encoder: encoder.encoder,
      patchSize: encoder.patchSize,
      normEpsilon: encoder.normEpsilon,
      imageSize: info.imageSize,
      channels: info.channels,
      pooling: info.pooling,
      classes: info.classes.length,
      trainBlocks: 0,
    }, compute);
    try {
      model.loadState(state);
    } catch (error) {
      model.dispose();
      throw error instanceof InputError ? new InputError(`${path}: ${error.message}`) : error;
    }
    return new TrainedClassifier(model, info);
  }

  /**
   * Evaluates it on every image of a source.
   * @throws {RunError} when no image can be read, or a data worker crashes
   */
  evaluate(source: LabelledSource, options: ClassifyOptions): Promise<Evaluation> {
    return evaluateClassifier(this.model, source, this.info, options);
  }

  /**
   * Names the `top` most probable classes of every image of a source, in order; images that cannot be read are reported
   * and left out. Throws `RunError` when a data worker crashes.
   */
  async *predict(
    source: ImageSource,
    { top, ...options }: ClassifyOptions & { readonly top: number },
  ): AsyncGenerator<Prediction, void, void> {
    const { classes, titles } = this.info;
    for await (const { indices, logits } of classifyImages(this.model, source, this.info, options)) {
      for (const [n, sample] of indices.entries()) {
        const own = logits.subarray(n * classes.length, (n + 1) * classes.length);
        yield { path: source.path(sample), classes: mostProbable(own, classes, top, titles) };
      }
    }
  }

  /** Frees the model. */
  dispose(): void {
    this.model.dispose();
  }
}

function mostProbable(
  logits: Float32Array,
  classes: readonly string[],
  top: number,
  titles?: readonly string[],
): ClassProbability[] {
  const total = logSumOfExponentials(logits);
  return Array.from(logits, (logit, k) => ({
    name: classes[k],
    ...titles && { title: titles[k] },
    probability: Math.exp(logit - total),
  }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, top);
}
