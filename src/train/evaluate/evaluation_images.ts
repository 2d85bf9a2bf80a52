/** Which images of a data set a trained classifier is evaluated on. */
import type { DataSource } from "../../config/types.ts";
import { imageNetRoot } from "../../sources/imagenet.ts";
import { splitLabelled } from "../../sources/labelled.ts";
import { VALIDATION_FOLDERS } from "../../sources/labelled_images.ts";
import { type ClassifiedSource, openLabelledSource } from "../../sources/labelled_source.ts";
import { isManifest } from "../../sources/manifest.ts";
import { namesShards, patternOf, type ShardParts, shardPartsIn } from "../../sources/open_shards.ts";
import type { ManifestColumns } from "../../sources/manifest_columns.ts";
import { isRemote } from "../../sources/remote_files.ts";
import { InputError } from "../../util/errors.ts";
import { joinPath, pathExists } from "../../util/files.ts";

/** What to evaluate on. */
export interface EvaluationImagesOptions {
  /** The classifier's classes. */
  readonly classes: readonly string[];
  /**
   * Whether these are numbers for want of names. Folders that are as many as the classes are then taken for them in the
   * order of their names, as PyTorch's `ImageFolder` numbers them.
   */
  readonly numbered?: boolean;
  /**
   * A folder in the data set, or the share of the images that fine-tuning split off with this seed. By default the first
   * of `val`, `validation` and `test` that exists, else the data set itself.
   */
  readonly split?: string | number;
  /** Names the split, where a share was split off. */
  readonly seed: number;
  /** Columns of manifests. */
  readonly columns?: ManifestColumns;
}

/** Labelled images; their classes are the classifier's, or the folders that were taken for them. */
export type EvaluationImages = ClassifiedSource;

/**
 * The labelled images of a data set to evaluate on.
 * @throws {InputError} when there are none, or they are of a class that the classifier does not know
 */
export async function listEvaluationImages(
  data: DataSource,
  options: EvaluationImagesOptions,
): Promise<EvaluationImages> {
  const { classes, split, seed } = options;
  if (typeof data !== "string" || isManifest(data) || namesShards(data) || isRemote(data)) {
    return await listWhole(data, options);
  }
  const root = await imageNetRoot(data);
  const parts = await shardPartsIn(root);
  if (parts) return await listShards(root, parts, options);
  const train = joinPath(root, "train");
  if (typeof split === "number") {
    const all = await listClasses(await pathExists(train) ? train : root, options);
    return { ...splitLabelled(all, all.classes, split, seed).validation, classes: all.classes };
  }
  if (split !== undefined) return await listClasses(joinPath(root, split), options);
  for (const name of VALIDATION_FOLDERS) {
    const folder = joinPath(root, name);
    if (!classes.includes(name) && await pathExists(folder)) return await listClasses(folder, options);
  }
  if (!classes.includes("train") && await pathExists(train)) {
    throw new InputError(
      `"${root}" has "train" but none of "${
        VALIDATION_FOLDERS.join('", "')
      }"; name a folder in it with --split, ` +
        "or the share that was split off, such as 0.1",
    );
  }
  return await listClasses(root, options);
}

/** The images of a folder of shards: of those that a part is called by, or the share of all that was split off. */
async function listShards(
  root: string,
  parts: ShardParts,
  options: EvaluationImagesOptions,
): Promise<EvaluationImages> {
  const part = options.split ?? VALIDATION_FOLDERS.find((name) => parts.has(name));
  if (typeof part !== "string" || !parts.has(part)) return await listWhole(root, options);
  return await listClasses(patternOf(root, part, parts), options);
}

/** The images of a manifest or of several data sets, or the share of them that was split off. */
async function listWhole(data: DataSource, options: EvaluationImagesOptions): Promise<EvaluationImages> {
  const { split, seed } = options;
  const all = await listClasses(data, options);
  if (split === undefined) return all;
  if (typeof split === "number") {
    return { ...splitLabelled(all, all.classes, split, seed).validation, classes: all.classes };
  }
  throw new InputError(`--split ${split} names a folder in a data set, but "${all.root}" is no folder`);
}

/** The images of a data set by the classifier's classes, or by those of the data where these have no names. */
async function listClasses(
  data: DataSource,
  { classes, numbered = false, columns }: EvaluationImagesOptions,
): Promise<EvaluationImages> {
  if (!numbered) return await openLabelledSource(data, { columns }, classes);
  const own = await openLabelledSource(data, { columns });
  if (own.classes.every((name) => classes.includes(name))) {
    return await openLabelledSource(data, { columns }, classes);
  }
  if (own.classes.length === classes.length) return own;
  throw new InputError(
    `"${own.root}" has folders of ${own.classes.length} classes, and the classifier has ${classes.length} without names: ` +
      "give all of its folders, or folders named by the numbers of classes, from 0",
  );
}
