/**
 * ImageNet as it is handed out: all validation images in one folder, and their classes in a file of their own, by the development
 * kit (ILSVRC2012_devkit_t12) or by Kaggle (LOC_val_solution.csv).
 */
import { openBytes } from "../formats/byte_source.ts";
import { type MatValue, readMatStructs } from "../formats/matlab.ts";
import { eachCsvRow } from "../formats/table_rows.ts";
import { eachLine } from "../formats/text_lines.ts";
import { sortByBytes } from "../util/byte_order.ts";
import { didYouMean, InputError } from "../util/errors.ts";
import { directoryOf, joinPath, pathExists } from "../util/files.ts";
import { listImages } from "./image_folder.ts";
import { type LabelledSource, labelledSource } from "./labelled.ts";

const VALIDATION_NAME = /^(ILSVRC2012_val_(\d{8}))\.jpe?g$/i;

const SOLUTION = "LOC_val_solution.csv";
const TRUTH = "ILSVRC2012_validation_ground_truth.txt";

/** Where the truth lies in a folder above the images. */
const TRUTH_PLACES = [TRUTH, `data/${TRUTH}`, `ILSVRC2012_devkit_t12/data/${TRUTH}`, `devkit/data/${TRUTH}`];

/** Folders above the images that are looked through. */
const MOST_ABOVE = 5;

/** Names in a folder that are looked at: a script or a note may lie beside the images. */
const MOST_LOOKED_AT = 10;

/** Whether a folder holds ImageNet's validation images, by the names of the first files in it. */
async function holdsValidation(folder: string): Promise<boolean> {
  let count = 0;
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (!isDirectory && VALIDATION_NAME.test(name)) return true;
      if (++count === MOST_LOOKED_AT) return false;
    }
    return false;
  } catch {
    return false; // whoever opens it finds the words
  }
}

/** The first of some files that lies in a folder or above it. */
async function findAbove(folder: string, places: readonly string[]): Promise<string | undefined> {
  let above = await Deno.realPath(folder);
  for (let i = 0; i <= MOST_ABOVE; i++) {
    for (const place of places) {
      const path = joinPath(above, place);
      if (await pathExists(path)) return path;
    }
    above = directoryOf(above);
  }
  return undefined;
}

/** For each image, by its name without the ending, the name of its class. */
type Truth = ReadonlyMap<string, string>;

/** Kaggle's table: `ILSVRC2012_val_00048981,n03995372 85 1 499 272`. */
async function readSolution(path: string): Promise<Truth> {
  const truth = new Map<string, string>();
  using bytes = await openBytes(path);
  await eachCsvRow(bytes, "csv", path, ([image, prediction = ""], line) => {
    const [, name] = /^(n\d{8})( |$)/.exec(prediction) ?? [];
    if (name !== undefined) truth.set(image, name);
    else if (line > 1) {
      throw new InputError(`"${path}" line ${line} has no class such as n01440764 in its second column`);
    }
  });
  return truth;
}

/** The development kit's list of numbers, one per image, which `meta.mat` beside it gives names. */
async function readTruth(path: string): Promise<Truth> {
  const names = await readSynsets(joinPath(directoryOf(path), "meta.mat"));
  const truth = new Map<string, string>();
  using bytes = await openBytes(path);
  await eachLine(bytes, path, (text, line) => {
    if (text.trim() === "") return;
    const name = names.get(Number(text));
    if (name === undefined) {
      throw new InputError(`"${path}" line ${line} has ${text}, which is no class of meta.mat`);
    }
    truth.set(`ILSVRC2012_val_${String(line).padStart(8, "0")}`, name);
  });
  return truth;
}

/** Names of the development kit's classes by their numbers. */
async function readSynsets(path: string): Promise<Map<number, string>> {
  const names = new Map<number, string>();
  for (const { ILSVRC2012_ID: id, WNID: name } of await readMatRows(path)) {
    if (typeof id === "number" && typeof name === "string") names.set(id, name);
  }
  return names;
}

async function readMatRows(path: string): Promise<Record<string, MatValue>[]> {
  using bytes = await openBytes(path);
  return readMatStructs(await bytes.read(0, bytes.size), path, "synsets");
}

async function findTruth(folder: string): Promise<{ truth: Truth; file: string }> {
  const solution = await findAbove(folder, [SOLUTION]);
  if (solution !== undefined) return { truth: await readSolution(solution), file: solution };
  const file = await findAbove(folder, TRUTH_PLACES);
  if (file !== undefined) return { truth: await readTruth(file), file };
  throw new InputError(
    `"${folder}" holds ImageNet's validation images without their classes: put the development kit ` +
      `(ILSVRC2012_devkit_t12) or ${SOLUTION} into a folder above them`,
  );
}

/**
 * ImageNet's validation images with their classes; undefined for any other folder.
 * @param classes the names that labels count, such as the training folders'; by default those that occur
 * @throws {InputError} where the classes cannot be found, an image has none, or one that is not in `classes`
 */
export async function listImageNetValidation(
  folder: string,
  classes?: readonly string[],
): Promise<LabelledSource & { readonly classes: readonly string[] } | undefined> {
  if (!await holdsValidation(folder)) return undefined;
  const source = await listImages(folder);
  const { truth, file } = await findTruth(folder);
  const names = classes ?? sortByBytes([...new Set(truth.values())]);
  const numbers = new Map(names.map((name, number) => [name, number]));
  const all = Uint32Array.from({ length: source.length }, (_, sample) => sample);
  const labels = all.map((sample) => {
    const [, image = ""] = VALIDATION_NAME.exec(source.name(sample)) ?? [];
    const name = truth.get(image);
    if (name === undefined) throw new InputError(`"${file}" says no class of "${source.path(sample)}"`);
    const number = numbers.get(name);
    if (number !== undefined) return number;
    throw new InputError(
      `"${file}" says that "${
        source.path(sample)
      }" is of the class "${name}", which is none of the ${names.length} ` +
        `that are known${didYouMean(name, names)}`,
    );
  });
  return { ...labelledSource(source, all, labels, 0), classes: names };
}

const SYNSET = /^n\d{8}$/;

/** What ImageNet's classes are called in words: `tench, Tinca tinca` for `n01440764`. */
export async function imageNetTitles(
  folder: string,
  classes: readonly string[],
): Promise<readonly string[] | undefined> {
  if (!classes.every((name) => SYNSET.test(name)) || !await pathExists(folder)) return undefined;
  const words = await readTitles(folder);
  return words && classes.map((name) => words.get(name) ?? name);
}

/** The words of classes by their names, of Kaggle's list or the development kit; undefined where there are neither. */
async function readTitles(folder: string): Promise<ReadonlyMap<string, string> | undefined> {
  const words = new Map<string, string>();
  const mapping = await findAbove(folder, ["LOC_synset_mapping.txt"]);
  if (mapping !== undefined) {
    using bytes = await openBytes(mapping);
    await eachLine(bytes, mapping, (text) => {
      const [, name, title] = /^(n\d{8})\s+(.+)$/.exec(text) ?? [];
      if (name !== undefined) words.set(name, title.trim());
    });
    return words;
  }
  const truth = await findAbove(folder, TRUTH_PLACES);
  const kit = truth && joinPath(directoryOf(truth), "meta.mat");
  if (kit === undefined || !await pathExists(kit)) return undefined;
  for (const { WNID: name, words: title } of await readMatRows(kit)) {
    if (typeof name === "string" && typeof title === "string") words.set(name, title);
  }
  return words;
}

/** The folder with `train` and `val` of a data set, which Kaggle's copy of ImageNet has deep inside. */
export async function imageNetRoot(root: string): Promise<string> {
  for (const inside of ["ILSVRC/Data/CLS-LOC", "Data/CLS-LOC"]) {
    const folder = joinPath(root, inside);
    if (await pathExists(folder)) return folder;
  }
  return root;
}
