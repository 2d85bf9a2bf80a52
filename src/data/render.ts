/** One file to one example: what a data worker does. */
import type { AugmentConfig, PixelValues } from "../config/types.ts";
import {
  augmentDeepForTraining,
  augmentForTraining,
  transformDeepForEvaluation,
  transformForEvaluation,
} from "../augment/augment.ts";
import { randomResizedCropBox } from "../augment/crop.ts";
import { decodeBox, decodeDeepBox } from "../images/decode.ts";
import { augmentForFinetuning, type FinetuneAugment } from "../augment/finetune_augment.ts";
import { BrokenImageError } from "../images/image.ts";
import { measureImage, recordLength } from "./measure.ts";
import { bytesAt, type ImageSettings, readDeepImage, readImage } from "../sources/read_image.ts";
import { augmentationStream } from "./sampler.ts";
import type { SampleLocation } from "../sources/source.ts";

/** Memory of a batch as the values that its pixels are made of. */
export function pixelsIn(memory: SharedArrayBuffer, { values }: Pick<ImageSettings, "values">): PixelValues {
  return values === "float32" ? new Float32Array(memory) : new Uint8Array(memory);
}

/** Bytes of an image as it lies in a batch. */
export function imageBytes({ imageSize: [height, width], channels, values }: ImageSettings): number {
  return height * width * channels * (values === "float32" ? 4 : 1);
}

/** Only the settings of some options that have more. */
export function imageSettings(
  { imageSize, channels, exif, values, bands, range, decoder, maxPixels }: ImageSettings,
): ImageSettings {
  return { imageSize, channels, exif, values, bands, range, decoder, maxPixels };
}

/** Instead of an augmentation: the evaluation transform. */
export interface CenterCrop {
  /** Share of the resized image's sides that the centre crop keeps. */
  readonly cropShare: number;
}

/** Instead of an example: numbers about the whole image, for statistics. */
export interface Measuring {
  /** Marks it. */
  readonly measure: true;
}

/** How an image becomes an example. */
export type Augmentation = AugmentConfig | FinetuneAugment | CenterCrop;

/** How examples are made of files. */
export interface RenderSettings extends ImageSettings {
  /** Random crop and flip, and for fine-tuning what changes colours and shapes; or no randomness at all. */
  readonly augment: Augmentation | Measuring;
  /** The run's seed. */
  readonly seed: number;
}

/** One example to be made. */
export interface Item {
  /** Its place in the batch. */
  readonly slot: number;
  /** Its position in the epoch, which names its random stream. */
  readonly position: number;
  /** Where its bytes lie. */
  readonly location: SampleLocation;
}

/** An example that could not be made because its file is broken. */
export interface ItemFailure {
  /** Its place in the batch. */
  readonly slot: number;
  /** Words that follow the file's name and a colon. */
  readonly reason: string;
}

/** Makes one example of 8 bits in its place. */
async function renderBytes(
  settings: RenderSettings,
  augment: Augmentation,
  epoch: number,
  { location, position }: Item,
  out: Uint8Array,
): Promise<void> {
  const { imageSize, seed } = settings;
  if ("cropShare" in augment) {
    transformForEvaluation(await readImage(location, settings), imageSize, augment.cropShare, out);
    return;
  }
  const stream = augmentationStream(seed, epoch, position);
  // The crop is drawn before there are pixels, so that none need to be made outside of it.
  const choose = (height: number, width: number) => randomResizedCropBox(height, width, augment, stream);
  const window = await decodeBox(bytesAt(location), settings, choose);
  if ("randAugment" in augment) augmentForFinetuning(window, imageSize, augment, stream, out);
  else augmentForTraining(window, imageSize, augment, stream, out);
}

/** Makes one example of floats in its place; what changes colours is left out, as the configuration sees to. */
async function renderFloats(
  settings: RenderSettings,
  augment: Augmentation,
  epoch: number,
  { location, position }: Item,
  out: Float32Array,
): Promise<void> {
  const { imageSize, seed } = settings;
  if ("cropShare" in augment) {
    transformDeepForEvaluation(await readDeepImage(location, settings), imageSize, augment.cropShare, out);
    return;
  }
  const stream = augmentationStream(seed, epoch, position);
  const choose = (height: number, width: number) => randomResizedCropBox(height, width, augment, stream);
  augmentDeepForTraining(
    await decodeDeepBox(bytesAt(location), settings, choose),
    imageSize,
    augment,
    stream,
    out,
  );
}

/** Writes the numbers of one image in its place: `memory` holds a record of float64 for each slot. */
async function measure(
  settings: RenderSettings,
  { location, slot }: Item,
  memory: ArrayBufferLike,
): Promise<void> {
  const length = recordLength(settings.channels);
  const record = new Float64Array(memory, slot * length * Float64Array.BYTES_PER_ELEMENT, length);
  measureImage(await readDeepImage(location, settings), record);
}

/**
 * Makes one example in its slot of the batch [slots, height, width, channels]; undefined, or why the file is
 * broken.
 */
export async function renderItem(
  settings: RenderSettings,
  epoch: number,
  item: Item,
  batch: PixelValues,
): Promise<ItemFailure | undefined> {
  const { imageSize, channels, augment } = settings;
  const length = imageSize[0] * imageSize[1] * channels;
  const from = item.slot * length, to = from + length;
  try {
    if ("measure" in augment) await measure(settings, item, batch.buffer);
    else if (batch instanceof Float32Array) {
      await renderFloats(settings, augment, epoch, item, batch.subarray(from, to));
    } else await renderBytes(settings, augment, epoch, item, batch.subarray(from, to));
  } catch (error) {
    if (error instanceof BrokenImageError) return { slot: item.slot, reason: error.message };
    throw error;
  }
}
