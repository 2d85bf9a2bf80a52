/** One file to one example: what a data worker does. */
import type { AugmentConfig, Size } from "../config/types.ts";
import { augmentForTraining, transformForEvaluation } from "./augment.ts";
import { randomResizedCropBox } from "./crop.ts";
import { decodeBox, decodeImage } from "./decode.ts";
import { augmentForFinetuning, type FinetuneAugment } from "./finetune_augment.ts";
import { BrokenImageError, type Image } from "./image.ts";
import { readSampleSync } from "./sample_bytes.ts";
import { augmentationStream } from "./sampler.ts";
import type { SampleLocation } from "./source.ts";

/** How files become pixels. */
export interface ImageSettings {
  /** Height and width of the result. */
  readonly imageSize: Size;
  /** Channels of the result. */
  readonly channels: number;
  /** Whether an EXIF orientation is applied. */
  readonly exif: "apply" | "ignore";
}

/** Instead of an augmentation: the evaluation transform. */
export interface CenterCrop {
  /** Share of the resized image's sides that the centre crop keeps. */
  readonly cropShare: number;
}

/** How examples are made of files. */
export interface RenderSettings extends ImageSettings {
  /** Random crop and flip, and for fine-tuning what changes colours and shapes; or no randomness at all. */
  readonly augment: AugmentConfig | FinetuneAugment | CenterCrop;
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

/**
 * Reads and decodes a file, or a sample wherever it lies. Throws {@linkcode BrokenImageError} when it is gone, unreadable or
 * no whole image.
 */
export async function readImage(place: string | SampleLocation, settings: ImageSettings): Promise<Image> {
  const location: SampleLocation = typeof place === "string" ? { kind: "file", path: place } : place;
  return await decodeImage(readSampleSync(location), settings);
}

/**
 * Makes one example in its slot of the batch [slots, height, width, channels]; undefined, or why the file is
 * broken.
 */
export async function renderItem(
  settings: RenderSettings,
  epoch: number,
  item: Item,
  batch: Uint8Array,
): Promise<ItemFailure | undefined> {
  const { imageSize, channels, augment, seed } = settings;
  const length = imageSize[0] * imageSize[1] * channels;
  const out = batch.subarray(item.slot * length, (item.slot + 1) * length);
  try {
    if ("cropShare" in augment) {
      transformForEvaluation(await readImage(item.location, settings), imageSize, augment.cropShare, out);
      return;
    }
    const stream = augmentationStream(seed, epoch, item.position);
    // The crop is drawn before there are pixels, so that none need to be made outside of it.
    const choose = (height: number, width: number) => randomResizedCropBox(height, width, augment, stream);
    const window = await decodeBox(readSampleSync(item.location), settings, choose);
    if ("randAugment" in augment) augmentForFinetuning(window, imageSize, augment, stream, out);
    else augmentForTraining(window, imageSize, augment, stream, out);
  } catch (error) {
    if (error instanceof BrokenImageError) return { slot: item.slot, reason: error.message };
    throw error;
  }
}
