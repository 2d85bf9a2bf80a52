/** Finding a data set for classification: images to train with and images to validate with, of the same classes. */
import type { DataSource } from "../config/types.ts";
import { InputError } from "../util/errors.ts";
import { joinPath } from "../util/files.ts";
import { folderNames, listLabelledFolder } from "./class_folders.ts";
import {
  checkCovered,
  checkFraction,
  type LabelledImages,
  SPLIT,
  splitLabelled,
  type SplitOptions,
} from "./labelled.ts";
import { type ClassifiedSource, openLabelledSource } from "./labelled_source.ts";
import { isManifest } from "./manifest.ts";
import { imageNetRoot, imageNetTitles } from "./imagenet.ts";
import { namesShards, patternOf, type ShardParts, shardPartsIn } from "./open_shards.ts";
import type { SourceOptions } from "./open_source.ts";
import { isRemote } from "./remote_files.ts";

/** What a data set is made of besides the images to train with. */
export interface LabelledImagesOptions extends SplitOptions, SourceOptions {
  /** Images to validate with, where they are not found beside those to train with. */
  readonly validation?: DataSource | null;
}

/** Folders of validation images, the first that exists. */
export const VALIDATION_FOLDERS: readonly string[] = ["val", "validation", "test"];

/**
 * Finds a data set for classification. A folder holds `train` and `val` (or `validation`, or `test`) with one folder per class in
 * each, or, with a fraction to split off, `train` alone or the folders of the classes themselves. Manifests, and lists of data sets,
 * need images to validate with, or a fraction. A folder of shards may hold those of both parts, `train-000000.tar` and `val-000000.tar`.
 * @throws {InputError} one sentence for each way a data set can fail to be that
 */
export async function listLabelledImages(
  data: DataSource,
  options: LabelledImagesOptions,
): Promise<LabelledImages> {
  const images = await findLabelledImages(data, options);
  const titles = await imageNetTitles(images.train.root, images.classes);
  return titles ? { ...images, titles } : images;
}

async function findLabelledImages(
  data: DataSource,
  options: LabelledImagesOptions,
): Promise<LabelledImages> {
  const { fraction, option = SPLIT, validation = null } = options;
  if (fraction !== undefined) checkFraction(fraction, option);
  if (validation !== null) return await listBoth(data, validation, options);
  if (typeof data === "string" && !isManifest(data) && !namesShards(data) && !isRemote(data)) {
    const parts = await shardPartsIn(data);
    return parts ? await listShards(data, parts, options) : await listFolder(data, options);
  }
  if (fraction === undefined) {
    const named = typeof data === "string" ? `"${data}" has` : "A list of data sets has";
    throw new InputError(
      `${named} no images to validate with; name some with --val (data.val), or set ${option} to the share of images ` +
        "to validate with, such as 0.1",
    );
  }
  return split(await openLabelledSource(data, options), fraction, options);
}

/** A folder of shards: those that are called train and val, or a fraction of all is split off. */
async function listShards(
  folder: string,
  parts: ShardParts,
  options: LabelledImagesOptions,
): Promise<LabelledImages> {
  const { fraction, option = SPLIT } = options;
  const validation = VALIDATION_FOLDERS.find((name) => parts.has(name));
  if (validation !== undefined && parts.has("train")) {
    if (fraction !== undefined) {
      throw new InputError(
        `${option} is ${fraction}, but "${folder}" has shards "${validation}" to validate with; leave one out`,
      );
    }
    const train = await openLabelledSource(patternOf(folder, "train", parts), options);
    return both(train, patternOf(folder, validation, parts), options);
  }
  if (fraction === undefined) {
    throw new InputError(
      `"${folder}" has no shards to validate with; name some with --val (data.val), call them ${
        VALIDATION_FOLDERS.map((name) => `${name}-…`).join(" or ")
      }, or set ${option} to the share of images to validate with, such as 0.1`,
    );
  }
  return split(await openLabelledSource(folder, options), fraction, options);
}

async function listBoth(
  data: DataSource,
  validation: DataSource,
  options: LabelledImagesOptions,
): Promise<LabelledImages> {
  const { fraction, option = SPLIT } = options;
  if (fraction !== undefined) {
    throw new InputError(
      `${option} is ${fraction}, but data.val names images to validate with; leave one out`,
    );
  }
  return both(await openLabelledSource(data, options), validation, options);
}

async function both(
  train: ClassifiedSource,
  validation: DataSource,
  options: SourceOptions,
): Promise<LabelledImages> {
  const { classes } = train;
  const found = await openLabelledSource(validation, options, classes);
  checkCovered(classes, train, found);
  return { classes, train, validation: found };
}

function split(all: ClassifiedSource, fraction: number, { seed }: SplitOptions): LabelledImages {
  return splitLabelled(all, all.classes, fraction, seed);
}

async function listFolder(given: string, options: LabelledImagesOptions): Promise<LabelledImages> {
  const { fraction, option = SPLIT } = options;
  const root = await imageNetRoot(given);
  const folders = await folderNames(root);
  const validationFolder = VALIDATION_FOLDERS.find((name) => folders.includes(name));
  const hasTrain = folders.includes("train");
  if (hasTrain && validationFolder !== undefined) {
    if (fraction !== undefined) {
      throw new InputError(
        `${option} is ${fraction}, but "${root}" has a folder "${validationFolder}" to validate with; leave one out`,
      );
    }
    const train = await listLabelledFolder(joinPath(root, "train"));
    return await both(train, joinPath(root, validationFolder), options);
  }
  if (fraction === undefined) {
    const lacks = hasTrain ? `has "train" but no "val" or "test"` : `has no folder "train"`;
    throw new InputError(
      `"${root}" ${lacks}; give it "train" and "val" (or "test") with one folder per class in each, ` +
        `or set ${option} to the share of images to validate with, such as 0.1`,
    );
  }
  return split(await listLabelledFolder(hasTrain ? joinPath(root, "train") : root), fraction, options);
}
