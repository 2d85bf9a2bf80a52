/** Labelled images: folders that hold one folder of images per class. */
import { sortByBytes } from "../util/byte_order.ts";
import { didYouMean, InputError, messageOf } from "../util/errors.ts";
import { joinPath } from "../util/files.ts";
import { Random, Stream } from "../util/random.ts";
import { inWords, listImages } from "./image_folder.ts";
import { type ImageSource, subsetOf } from "./source.ts";

/** Images with a class each. */
export interface LabelledSource extends ImageSource {
  /** For each sample the number of its class. */
  readonly labels: Uint32Array;
  /** Image files passed over because they lie in no class's folder. */
  readonly unlabelled: number;
}

/** Some samples of a source, by their ascending numbers in it, and their labels. */
function labelledSource(
  source: ImageSource,
  samples: Uint32Array,
  labels: Uint32Array,
  unlabelled: number,
): LabelledSource {
  return { ...subsetOf(source, samples), labels, unlabelled };
}

/** A data set for classification. */
export interface LabelledImages {
  /** Names of the classes in byte order; a label is an index into them. */
  readonly classes: readonly string[];
  /** Images to train with; every class has at least one. */
  readonly train: LabelledSource;
  /** Images to validate with; every class has at least one. */
  readonly validation: LabelledSource;
}

/** How a data set without a validation folder is split. */
export interface SplitOptions {
  /** Share of each class's images to validate with, between 0 and 1; at least one image goes to either side. */
  readonly fraction?: number;
  /** Names the split. */
  readonly seed: number;
  /** What the user calls the fraction, for refusals; `--split` by default. */
  readonly option?: string;
}

/** What the fraction is called where nobody calls it otherwise. */
const SPLIT = "--split";

/** Folders of validation images, the first that exists. */
export const VALIDATION_FOLDERS: readonly string[] = ["val", "validation", "test"];

/** Names in quotes, at most three and the number of the others. */
function quoted(names: readonly string[]): string {
  const shown = names.slice(0, 3).map((name) => `"${name}"`);
  return inWords(names.length > 3 ? [...shown, `${names.length - 3} more`] : shown, "and");
}

/** Names of the folders in a folder, links to folders included, hidden ones not, in byte order. */
async function folderNames(root: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name, isDirectory, isSymlink } of Deno.readDir(root)) {
      if (name.startsWith(".")) continue;
      const isFolder = isDirectory ||
        isSymlink && await Deno.stat(joinPath(root, name)).then((info) => info.isDirectory, () => false);
      if (isFolder) names.push(name);
    }
  } catch (error) {
    await listImages(root); // finds better words for what is missing or forbidden
    throw new InputError(
      `Labels come from one folder of images per class, but "${root}" is no such folder: ${messageOf(error)}`,
    );
  }
  return sortByBytes(names);
}

/** The class that an image lies in: the first part of its path. */
function classOf(path: string): string {
  return path.slice(0, Math.max(0, path.indexOf("/")));
}

/** The first parts of all paths: classes, and `""` where an image lies in no folder. */
function classesIn(source: ImageSource): Set<string> {
  const classes = new Set<string>();
  for (let sample = 0; sample < source.length; sample++) classes.add(classOf(source.name(sample)));
  return classes;
}

/** The class names of a folder, each checked to hold an image. */
async function findClasses(source: ImageSource): Promise<string[]> {
  const names = await folderNames(source.root);
  const filled = classesIn(source);
  if (names.length === 0) {
    throw new InputError(
      `"${source.root}" holds images but no folders; labels come from one folder of images per class`,
    );
  }
  const empty = names.filter((name) => !filled.has(name));
  if (empty.length > 0) {
    const subject = empty.length === 1 ? "The class folder" : "The class folders";
    throw new InputError(
      `${subject} ${quoted(empty)} under "${source.root}" hold${empty.length === 1 ? "s" : ""} no images; ` +
        `every class needs at least one, and other folders must lie elsewhere`,
    );
  }
  if (names.length === 1) {
    throw new InputError(
      `"${source.root}" holds only one class, "${names[0]}"; at least two folders of images are needed`,
    );
  }
  return names;
}

/** The images of a folder that lie in classes, with their labels. */
function label(source: ImageSource, classes: readonly string[]): LabelledSource {
  const numbers = new Map(classes.map((name, number) => [name, number]));
  const samples = new Uint32Array(source.length);
  const labels = new Uint32Array(source.length);
  let count = 0;
  for (let sample = 0; sample < source.length; sample++) {
    const name = classOf(source.name(sample));
    if (name === "") continue;
    const number = numbers.get(name);
    if (number === undefined) {
      throw new InputError(
        `"${source.root}" holds the class "${name}", which is none of the ${classes.length} that are known` +
          didYouMean(name, classes),
      );
    }
    samples[count] = sample;
    labels[count++] = number;
  }
  return labelledSource(source, samples.slice(0, count), labels.slice(0, count), source.length - count);
}

/**
 * The images of a folder that holds one folder per class.
 * @param classes the names that labels count, such as a checkpoint's; by default the folder's own, at least two
 * @throws {InputError} when the folder is missing, unreadable, without images or classes, or holds a class not in `classes`
 */
export async function listLabelledFolder(
  root: string,
  classes?: readonly string[],
): Promise<LabelledSource & { readonly classes: readonly string[] }> {
  const source = await listImages(root);
  const names = classes ?? await findClasses(source);
  const labelled = label(source, names);
  if (labelled.length === 0) {
    throw new InputError(
      `"${root}" holds images but no folders; labels come from one folder of images per class`,
    );
  }
  return { ...labelled, classes: names };
}

/** Throws unless every class has an image to validate with. */
function checkCovered(classes: readonly string[], train: LabelledSource, validation: LabelledSource): void {
  const present = new Set(validation.labels);
  const missing = classes.filter((_, number) => !present.has(number));
  if (missing.length === 0) return;
  const [subject, verb] = missing.length === 1 ? ["The class", "has"] : ["The classes", "have"];
  throw new InputError(
    `${subject} ${
      quoted(missing)
    } ${verb} images under "${train.root}" but none under "${validation.root}"; ` +
      `every class needs at least one in both`,
  );
}

function checkFraction(fraction: number, option: string): void {
  if (!(fraction > 0 && fraction < 1)) {
    throw new InputError(
      `${option} is ${fraction}; the share of images to validate with lies between 0 and 1`,
    );
  }
}

/** Part of a source, by the places of its images in any order. */
function pick(source: LabelledSource, places: readonly number[]): LabelledSource {
  const samples = Uint32Array.from(places).sort();
  return labelledSource(source, samples, samples.map((sample) => source.labels[sample]), source.unlabelled);
}

/**
 * Splits each class by itself: a seeded choice of its images, as near to the fraction as whole images allow, validates.
 * Throws `InputError` for a fraction that is none, and for a class of one image.
 */
export function splitLabelled(
  source: LabelledSource,
  classes: readonly string[],
  fraction: number,
  seed: number,
): LabelledImages {
  checkFraction(fraction, SPLIT);
  const places: number[][] = classes.map(() => []);
  source.labels.forEach((label, place) => places[label].push(place));
  const single = classes.filter((_, number) => places[number].length < 2);
  if (single.length > 0) {
    const [subject, verb] = single.length === 1 ? ["The class", "has"] : ["The classes", "have"];
    throw new InputError(
      `${subject} ${quoted(single)} under "${source.root}" ${verb} only one image; ` +
        `a split needs at least two of each class, one to train and one to validate with`,
    );
  }
  const train: number[] = [], validation: number[] = [];
  for (const [number, own] of places.entries()) {
    const count = Math.max(1, Math.min(own.length - 1, Math.round(own.length * fraction)));
    const order = new Random(seed, Stream.split, number).permutation(own.length);
    order.forEach((which, rank) => (rank < count ? validation : train).push(own[which]));
  }
  return { classes, train: pick(source, train), validation: pick(source, validation) };
}

/**
 * Finds a data set for classification under a folder: `train` and `val` (or `validation`, or `test`) with one folder per class
 * in each, or, with a fraction to split off, `train` alone or the folders of the classes themselves.
 * @throws {InputError} one sentence for each way a folder can fail to be that
 */
export async function listLabelledImages(root: string, split: SplitOptions): Promise<LabelledImages> {
  const { fraction, seed, option = SPLIT } = split;
  if (fraction !== undefined) checkFraction(fraction, option);
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
    const validation = await listLabelledFolder(joinPath(root, validationFolder), train.classes);
    checkCovered(train.classes, train, validation);
    return { classes: train.classes, train, validation };
  }
  if (fraction === undefined) {
    const lacks = hasTrain ? `has "train" but no "val" or "test"` : `has no folder "train"`;
    throw new InputError(
      `"${root}" ${lacks}; give it "train" and "val" (or "test") with one folder per class in each, ` +
        `or set ${option} to the share of images to validate with, such as 0.1`,
    );
  }
  const all = await listLabelledFolder(hasTrain ? joinPath(root, "train") : root);
  return splitLabelled(all, all.classes, fraction, seed);
}
