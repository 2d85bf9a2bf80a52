/** One file to one example: what a data worker does. */
import type { AugmentConfig, Size } from "../config/types.ts";
import { augmentForTraining, transformForEvaluation } from "./augment.ts";
import { decodeImage } from "./decode.ts";
import { augmentForFinetuning, type FinetuneAugment } from "./finetune_augment.ts";
import { BrokenImageError, type Channels, type Image } from "./image.ts";
import { augmentationStream } from "./sampler.ts";

/** Larger files are refused unread. */
const MAX_FILE_BYTES = 2 ** 30;

/** How files become pixels. */
export interface ImageSettings {
  /** Height and width of the result. */
  readonly imageSize: Size;
  /** Channels of the result. */
  readonly channels: Channels;
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
  /** The file. */
  readonly path: string;
}

/** An example that could not be made because its file is broken. */
export interface ItemFailure {
  /** Its place in the batch. */
  readonly slot: number;
  /** Words that follow the file's name and a colon. */
  readonly reason: string;
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    const { size } = await Deno.stat(path);
    if (size > MAX_FILE_BYTES) {
      throw new BrokenImageError(`the file has ${size} bytes, more than any image needs`);
    }
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new BrokenImageError("the file has vanished");
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new BrokenImageError("the system denies reading the file");
    }
    throw isReadFailure(error) ? new BrokenImageError(`the file cannot be read: ${error.message}`) : error;
  }
}

/** Whether the system failed to read; Deno's own refusal (a missing --allow-read) is another matter. */
function isReadFailure(error: unknown): error is Error {
  return error instanceof Error && !(error instanceof Deno.errors.NotCapable) &&
    !(error instanceof BrokenImageError) && ("code" in error || error.constructor.name in Deno.errors);
}

/** Reads and decodes a file. Throws {@linkcode BrokenImageError} when it is gone, unreadable or no whole image. */
export async function readImage(path: string, settings: ImageSettings): Promise<Image> {
  return await decodeImage(await readBytes(path), settings);
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
    const image = await readImage(item.path, settings);
    const stream = augmentationStream(seed, epoch, item.position);
    if ("cropShare" in augment) transformForEvaluation(image, imageSize, augment.cropShare, out);
    else if ("randAugment" in augment) augmentForFinetuning(image, imageSize, augment, stream, out);
    else augmentForTraining(image, imageSize, augment, stream, out);
  } catch (error) {
    if (error instanceof BrokenImageError) return { slot: item.slot, reason: error.message };
    throw error;
  }
}
