/** Labelled images as folders: one folder of images per class. */
import { sortByBytes } from "../util/byte_order.ts";
import { didYouMean, InputError, messageOf } from "../util/errors.ts";
import { joinPath } from "../util/files.ts";
import { listImages } from "./image_folder.ts";
import { type LabelledSource, labelledSource, quotedNames } from "./labelled.ts";
import type { ImageSource } from "./source.ts";

/** Names of the folders in a folder, links to folders included, hidden ones not, in byte order. */
export async function folderNames(root: string): Promise<string[]> {
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

/**
 * The images of a source that lie in folders, with the first folder of each as its class.
 * @param classes the names that labels count; by default those of the folders, in byte order, at least two
 * @throws {InputError} where there are no folders, or one that is none of `classes`
 */
export function labelByFolders(
  source: ImageSource,
  classes?: readonly string[],
): LabelledSource & { readonly classes: readonly string[] } {
  const names = classes ?? sortByBytes([...classesIn(source)].filter((name) => name !== ""));
  if (names.length < 2) {
    throw new InputError(
      `"${source.root}" holds images of ${
        names.length === 1 ? `only one class, "${names[0]}"` : "no classes"
      }; ` +
        "labels come from one folder of images per class, at least two",
    );
  }
  return { ...label(source, names), classes: names };
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
      `${subject} ${quotedNames(empty)} under "${source.root}" hold${
        empty.length === 1 ? "s" : ""
      } no images; ` +
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
