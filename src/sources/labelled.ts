/** Labelled images: samples with a class each, and how some are set apart to validate with. */
import { InputError } from "../util/errors.ts";
import { Random, Stream } from "../util/random.ts";
import { inWords } from "./image_folder.ts";
import { type ImageSource, subsetOf } from "./source.ts";

/** Images with a class each. */
export interface LabelledSource extends ImageSource {
  /** For each sample the number of its class. */
  readonly labels: Uint32Array;
  /** Images passed over because they have no class: they lie in no class's folder, or their row in a table names none. */
  readonly unlabelled: number;
}

/** Some samples of a source, by their ascending numbers in it, and their labels. */
export function labelledSource(
  source: ImageSource,
  samples: Uint32Array,
  labels: Uint32Array,
  unlabelled: number,
): LabelledSource {
  return { ...subsetOf(source, samples), labels, unlabelled };
}

/** A data set for classification. */
export interface LabelledImages {
  /** Names of the classes; a label is an index into them. */
  readonly classes: readonly string[];
  /** What to call the classes in words, where that is known and another thing. */
  readonly titles?: readonly string[];
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
export const SPLIT = "--split";

/** Names in quotes, at most three and the number of the others. */
export function quotedNames(names: readonly string[]): string {
  const shown = names.slice(0, 3).map((name) => `"${name}"`);
  return inWords(names.length > 3 ? [...shown, `${names.length - 3} more`] : shown, "and");
}

/** Throws `InputError` unless every class has an image to validate with. */
export function checkCovered(
  classes: readonly string[],
  train: LabelledSource,
  validation: LabelledSource,
): void {
  const present = new Set(validation.labels);
  const missing = classes.filter((_, number) => !present.has(number));
  if (missing.length === 0) return;
  const [subject, verb] = missing.length === 1 ? ["The class", "has"] : ["The classes", "have"];
  throw new InputError(
    `${subject} ${
      quotedNames(missing)
    } ${verb} images under "${train.root}" but none under "${validation.root}"; ` +
      `every class needs at least one in both`,
  );
}

/** Throws `InputError` for a share that is none. */
export function checkFraction(fraction: number, option: string): void {
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
      `${subject} ${quotedNames(single)} under "${source.root}" ${verb} only one image; ` +
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
