/** What a checkpoint of a classifier says about its images and classes, under `classifier` in `state.json`. */
import { savedReading } from "./saved_reading.ts";
import type { ReadingOptions, Size } from "../../config/types.ts";
import type { Pooling } from "../../ops/tokens/pool_tokens.ts";

/** Everything that it takes to name the class of an image with no further settings. */
export interface ClassifierInfo extends ReadingOptions {
  /** Names of the classes, in the order of the head's rows. */
  readonly classes: readonly string[];
  /** What to call the classes in words, where that is known and another thing. */
  readonly titles?: readonly string[];
  /** Size of the images in pixels. */
  readonly imageSize: Size;
  /** Values per pixel. */
  readonly channels: number;
  /** Per-channel mean of pixels in [0, 1]. */
  readonly mean: readonly number[];
  /** Per-channel standard deviation of pixels in [0, 1]. */
  readonly std: readonly number[];
  /** Share of the resized image's sides that the evaluation's centre crop keeps, in (0, 1]. */
  readonly cropShare: number;
  /** What the head reads. */
  readonly pooling: Pooling;
}

/** The value read from JSON as what a checkpoint says about its classifier, or null where it is nothing of the kind. */
export function classifierInfoOf(value: unknown): ClassifierInfo | null {
  const info = new Object(value) as Partial<Record<keyof ClassifierInfo, unknown>>;
  const { classes, titles, imageSize, channels, mean, std, cropShare, exif, pooling } = info;
  const isStatistic = (list: unknown) => isListOf(list, isNumber) && list.length === channels;
  const sound = isListOf(classes, (name) => typeof name === "string") && classes.length >= 1 &&
    isListOf(imageSize, isCount) && imageSize.length === 2 &&
    isCount(channels) && isStatistic(mean) && isStatistic(std) &&
    isNumber(cropShare) && cropShare > 0 && cropShare <= 1 && (exif === "apply" || exif === "ignore") &&
    (pooling === "average" || pooling === "class_token");
  const isText = (item: unknown) => typeof item === "string";
  const hasTitles = sound && isListOf(titles, isText) && titles.length === classes.length;
  return sound
    ? {
      ...hasTitles && { titles: titles as ClassifierInfo["titles"] },
      ...{ classes, imageSize, channels, mean, std, cropShare, exif, pooling } as ClassifierInfo,
      ...savedReading(info),
    }
    : null;
}

function isListOf(list: unknown, test: (item: unknown) => boolean): list is readonly unknown[] {
  return Array.isArray(list) && list.every(test);
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}
