/** A frozen encoder that makes one vector per image, and how its images are made. */
import type { EncoderOfCheckpoint } from "../../config/finetune_types.ts";
import { defaultStatistics } from "../../config/common_sections.ts";
import type { Size } from "../../config/types.ts";
import { tf } from "../../deps/tfjs.ts";
import { officialCropShare } from "../../augment/augment.ts";
import type { ImageSettings } from "../../sources/read_image.ts";
import { Classifier, createClassifier } from "../../models/classifier.ts";
import { type ClassifierConfig, classifierSizes, classifierSpecs } from "../../models/classifier_config.ts";
import type { ComputeOptions } from "../../models/compute.ts";
import { createMae, type Mae, type MaeConfig } from "../../models/mae.ts";
import { createParameters, parameter, type State } from "../../nn/parameters.ts";
import type { Pooling } from "../../ops/tokens/pool_tokens.ts";
import { InputError, messageOf } from "../../util/errors.ts";
import type { EncoderSource } from "../model_files/encoder_source.ts";
import { loadEncoderOf, partSentence } from "../model_files/part_loaded.ts";

/** How images become what an encoder takes. */
export interface FeatureImages extends ImageSettings {
  /** Share of the resized image's sides that the centre crop keeps, in (0, 1]. */
  readonly cropShare: number;
  /** Per-channel mean of pixels in [0, 1]. */
  readonly mean: readonly number[];
  /** Per-channel standard deviation of pixels in [0, 1]. */
  readonly std: readonly number[];
}

/** An encoder on the open runtime. Whoever opened it disposes it. */
export interface FeatureEncoder {
  /** Its `features` are the vectors; nothing of it is trained. */
  readonly classifier: Classifier;
  /** How its images are made. */
  readonly images: FeatureImages;
  /** What had to be assumed, and what loading the encoder did, in sentences. */
  readonly notices: readonly string[];
  /** Frees what was made for it. */
  dispose(): void;
}

/** What may differ from what the checkpoint says. */
export interface FeatureEncoderOptions extends ComputeOptions {
  /** What a vector is made of: the class token (after the last norm), or the average of the patches (normalised after it). */
  readonly pooling?: Pooling;
  /** Size of the images: a multiple of the patch size; that of the checkpoint by default. */
  readonly imageSize?: Size;
  /** Crop share; the checkpoint's own for a classifier, else the official one for the image size. */
  readonly cropShare?: number;
  /** Whether the orientation stored in a photograph is applied; by default it is. */
  readonly exif?: "apply" | "ignore";
}

/**
 * Puts a checkpoint's encoder on the open runtime. Positions are resampled for another image size.
 *
 * The vector is what the official code feeds its head: the class token after `norm`, or the mean of the patch tokens, before
 * any norm, through a norm of its own: a fine-tuned checkpoint's `fc_norm`, else one without gain and bias.
 * @throws {InputError} when the checkpoint lacks what is needed, or sizes do not fit
 */
export function openFeatureEncoder(
  source: EncoderSource,
  options: FeatureEncoderOptions = {},
): FeatureEncoder {
  const { path, encoder, classifier: info, notes = [] } = source;
  const { precision, remat, exif = info?.exif ?? "apply", pooling = info?.pooling ?? "class_token" } =
    options;
  const imageSize = imageSizeOf(encoder, info?.imageSize, options.imageSize, path);
  const classifier = createEncoder({ ...encoder, imageSize, pooling }, { precision, remat });
  try {
    const { resampledFrom, misfits } = loadEncoderOf(classifier, source);
    const { grid } = classifier;
    const notices = [
      ...notes,
      ...(resampledFrom
        ? [`Positions are resampled from ${resampledFrom.join("x")} to ${grid.join("x")} patches`]
        : []),
      ...partSentence(misfits),
    ];
    const statistics = { ...defaultStatistics(encoder.channels), ...stated(encoder) };
    const cropShare = options.cropShare ?? info?.cropShare ?? officialCropShare(imageSize);
    const reading = { exif, ...encoder.reading };
    const images = { imageSize, channels: encoder.channels, ...reading, cropShare, ...statistics };
    return { classifier, images, notices, dispose: () => classifier.dispose() };
  } catch (error) {
    classifier.dispose();
    throw error;
  }
}

/** The classifier whose features are asked for: nothing is trained, and its head is not used. */
function createEncoder(
  { encoder, patchSize, channels, imageSize, pooling, normEpsilon }: EncoderOfCheckpoint & {
    readonly imageSize: Size;
    readonly pooling: Pooling;
  },
  compute: ComputeOptions,
): Classifier {
  try {
    return createClassifier(
      { encoder, patchSize, channels, imageSize, pooling, normEpsilon, classes: 1, trainBlocks: 0 },
      compute,
    );
  } catch (error) {
    throw error instanceof RangeError
      ? new InputError(`The encoder cannot be used: ${messageOf(error)}`)
      : error;
  }
}

function imageSizeOf(
  { imageSize, patchSize }: EncoderOfCheckpoint,
  trained: Size | undefined,
  given: Size | undefined,
  path: string,
): Size {
  const size = given ?? trained ?? imageSize;
  if (size === null) {
    throw new InputError(`"${path}" does not say how large its images are: give --image-size`);
  }
  if (size.every((side, i) => side % patchSize[i] === 0)) return size;
  throw new InputError(
    `Images of ${size.join("x")} are no whole number of patches of ${patchSize.join("x")} pixels`,
  );
}

function stated({ mean, std }: EncoderOfCheckpoint): Partial<Pick<FeatureImages, "mean" | "std">> {
  return { ...(mean && { mean }), ...(std && { std }) };
}

/**
 * The encoder that pre-training begins with, as a state to load: drawn from `seed`, and the very weights of a run of that
 * configuration and seed before its first step.
 */
export async function randomEncoderState(config: MaeConfig, seed: number): Promise<State> {
  const mae = createMae(config, { seed });
  try {
    return await mae.state();
  } finally {
    mae.dispose();
  }
}

/**
 * The encoder of a model in training, as it is whenever it is asked: both share their parameters. The model's own stay when
 * it is disposed.
 */
export function sharedEncoder(mae: Mae, pooling: Pooling): Pick<FeatureEncoder, "classifier" | "dispose"> {
  const { imageSize, patchSize, channels, config: { encoder, normEpsilon } } = mae;
  const config: ClassifierConfig = {
    encoder,
    patchSize,
    channels,
    imageSize,
    pooling,
    normEpsilon,
    classes: 1,
    trainBlocks: 0,
  };
  const sizes = classifierSizes(config);
  const specs = classifierSpecs(config, sizes, 0);
  const own = createParameters(specs.filter(({ name }) => !mae.parameters.has(name)));
  const parameters = new Map(
    specs.map(({ name }) => [name, parameter(mae.parameters.has(name) ? mae.parameters : own, name)]),
  );
  const classifier = new Classifier(config, sizes, parameters, mae.compute);
  return { classifier, dispose: () => tf.dispose([...own.values()]) };
}
