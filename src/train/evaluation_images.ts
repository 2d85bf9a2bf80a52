/** Which images of a data set a trained classifier is evaluated on. */
import {
  type LabelledSource,
  listLabelledFolder,
  splitLabelled,
  VALIDATION_FOLDERS,
} from "../data/labelled.ts";
import { InputError } from "../util/errors.ts";
import { joinPath, pathExists } from "../util/files.ts";

/** What to evaluate on. */
export interface EvaluationImagesOptions {
  /** The classifier's classes. */
  readonly classes: readonly string[];
  /**
   * A folder in the data set, or the share of the images that fine-tuning split off with this seed. By default the first
   * of `val`, `validation` and `test` that exists, else the data set itself.
   */
  readonly split?: string | number;
  /** Names the split, where a share was split off. */
  readonly seed: number;
}

/**
 * The labelled images of a data set to evaluate on.
 * @throws {InputError} when there are none, or they are of a class that the classifier does not know
 */
export async function listEvaluationImages(
  root: string,
  { classes, split, seed }: EvaluationImagesOptions,
): Promise<LabelledSource> {
  const train = joinPath(root, "train");
  if (typeof split === "number") {
    const all = await listLabelledFolder(await pathExists(train) ? train : root, classes);
    return splitLabelled(all, classes, split, seed).validation;
  }
  if (split !== undefined) return await listLabelledFolder(joinPath(root, split), classes);
  for (const name of VALIDATION_FOLDERS) {
    const folder = joinPath(root, name);
    if (!classes.includes(name) && await pathExists(folder)) return await listLabelledFolder(folder, classes);
  }
  if (!classes.includes("train") && await pathExists(train)) {
    throw new InputError(
      `"${root}" has "train" but none of "${
        VALIDATION_FOLDERS.join('", "')
      }"; name a folder in it with --split, ` +
        "or the share that was split off, such as 0.1",
    );
  }
  return await listLabelledFolder(root, classes);
}
