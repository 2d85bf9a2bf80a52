/** What packed images are called, and which classes their folders stand for. */
import { InputError } from "../util/errors.ts";
import { sortByBytes } from "../util/byte_order.ts";
import { IMAGE_EXTENSIONS, inWords } from "../sources/image_folder.ts";
import { VALIDATION_FOLDERS } from "../sources/labelled_images.ts";
import type { ImageSource } from "../sources/source.ts";

/** Classes of images. */
export interface PackedLabels {
  /** For each sample of a source the number of its class. */
  readonly labels: Uint32Array;
  /** Names of the classes. */
  readonly classes: readonly string[];
}

/**
 * The key and the ending of a sample: its name without the ending, in which the last part has no dot, so that WebDataset's
 * readers see where the key ends.
 */
export function keyOf(name: string): { readonly key: string; readonly ending: string } {
  const parts = name.split(/[\\/]+/).filter((part) => part !== "" && part !== "." && part !== "..");
  const last = parts.pop() ?? "";
  const dot = last.lastIndexOf(".");
  const ending = last.slice(dot + 1).toLowerCase();
  const isImage = dot > 0 && IMAGE_EXTENSIONS.includes(ending);
  const stem = (isImage ? last.slice(0, dot) : last).replaceAll(".", "_") || "_";
  return { key: [...parts, stem].join("/"), ending: isImage ? ending : "jpg" };
}

/** Folders that are parts of a data set and no classes. */
export const PARTS = ["train", ...VALIDATION_FOLDERS];

/**
 * The first folder of each image as its class; undefined where an image lies in none, or all in one.
 * @throws {InputError} where the folders are the parts of a data set, which are to be packed one by one
 */
export function labelsByFolder(source: ImageSource): PackedLabels | undefined {
  const classOf = (sample: number) => {
    const name = source.name(sample);
    return name.slice(0, Math.max(0, name.indexOf("/")));
  };
  const found = new Set<string>();
  for (let sample = 0; sample < source.length; sample++) found.add(classOf(sample));
  if (found.has("") || found.size < 2) return undefined;
  const classes = sortByBytes([...found]);
  if (classes.every((name) => PARTS.includes(name))) {
    throw new InputError(
      `"${source.root}" holds ${
        inWords(classes, "and")
      }, which are no classes; pack them one by one, such as ` +
        `"${source.root}/${classes[0]}" with --name ${classes[0]}, or all together with --unlabelled`,
    );
  }
  const numbers = new Map(classes.map((name, number) => [name, number]));
  const labels = Uint32Array.from(
    { length: source.length },
    (_, sample) => numbers.get(classOf(sample)) ?? 0,
  );
  return { labels, classes };
}
