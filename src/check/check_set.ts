/** What is checked: the images of one or several sources, with the parts of the data set and the classes they belong to. */
import { sortByBytes } from "../util/byte_order.ts";
import { InputError } from "../util/errors.ts";
import { baseName } from "../util/files.ts";
import { joinSources } from "../sources/joined_source.ts";
import { isManifest, type LabelledRows, listLabelledManifest } from "../sources/manifest.ts";
import type { ManifestColumns } from "../sources/manifest_columns.ts";
import { openSource, type SourceOptions } from "../sources/open_source.ts";
import { PARTS } from "../pack/pack_names.ts";
import type { ShardSource } from "../sources/shard_source.ts";
import type { ImageSource } from "../sources/source.ts";

/** The images of a data set in its widest sense. */
export interface CheckedSet {
  /** All images, one source after the other. */
  readonly source: ImageSource;
  /** The parts, such as `pets/train` and `pets/val`; where there is only one, the source. */
  readonly parts: readonly string[];
  /** The part of each image. */
  readonly partOf: Uint16Array;
  /** Names of the classes, in byte order, or in the order of numbers where all are; none where the images have none. */
  readonly classes: readonly string[];
  /** The class of each image, −1 where it has none. */
  readonly labels: Int32Array;
}

/** Names by number, in the order in which they were met. */
class Names {
  readonly #numbers = new Map<string, number>();

  numberOf(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#numbers.set(name, this.#numbers.size);
    return this.#numbers.size - 1;
  }

  get all(): string[] {
    return [...this.#numbers.keys()];
  }
}

/** The part and the class of an image; undefined where it has none. */
interface Place {
  readonly part?: string;
  readonly label?: string;
}

/** By the folders: the first is the class, or the part where all first folders are parts and the next is the class. */
function placesByFolder(source: ImageSource): (sample: number) => Place {
  const firstOf = (sample: number) => source.name(sample).split("/", 1)[0];
  const isPart = (sample: number) => source.name(sample).includes("/") && PARTS.includes(firstOf(sample));
  let hasParts = true;
  for (let sample = 0; sample < source.length && hasParts; sample++) hasParts = isPart(sample);
  return (sample) => {
    const folders = source.name(sample).split("/").slice(0, -1);
    return hasParts ? { part: folders[0], label: folders[1] } : { label: folders[0] };
  };
}

function isShardSource(source: ImageSource): source is ShardSource {
  return "labelsOf" in source;
}

/** By what the shards hold; a whole number is the name of its class where the names are known. */
async function placesByShard(source: ShardSource): Promise<(sample: number) => Place> {
  const names = new Names();
  const labels = new Int32Array(source.length).fill(-1);
  let sample = 0;
  for (const shard of source.shards.keys()) {
    const { labels: own, words } = await source.labelsOf(shard);
    for (const label of own) {
      if (label >= 0) {
        const name = words.length > 0 ? words[label] : source.classes?.[label] ?? String(label);
        labels[sample] = names.numberOf(name);
      }
      sample++;
    }
  }
  const { all } = names;
  return (sample) => ({ label: all[labels[sample]] });
}

/** By the column of labels; rows without one are images all the same. */
async function placesByRow(
  source: ImageSource,
  columns?: ManifestColumns,
): Promise<(sample: number) => Place> {
  let labelled: LabelledRows;
  try {
    labelled = await listLabelledManifest(source.root, columns);
  } catch (error) {
    if (error instanceof InputError && (columns?.label ?? null) === null) return () => ({}); // it has no such column
    throw error;
  }
  const { source: rows, labels, classes } = labelled;
  const own = new Int32Array(source.length).fill(-1);
  // The labelled rows are in the order of all rows, of which some are left out.
  for (let sample = 0, row = 0; sample < source.length && row < rows.length; sample++) {
    if (source.name(sample) === rows.name(row)) own[sample] = labels[row++];
  }
  return (sample) => ({ label: classes[own[sample]] });
}

/**
 * Opens the sources that are to be checked together.
 * @throws {InputError} one sentence that names what is missing, empty or wrong
 */
export async function openCheckedSet(
  roots: readonly string[],
  options: SourceOptions = {},
): Promise<CheckedSet> {
  const sources: ImageSource[] = [];
  for (const root of roots) sources.push(await openSource(root, options));
  return await checkedSetOf(sources, options);
}

/** The way to find an image's part and class that a source has. */
async function placesOf(
  source: ImageSource,
  { columns }: SourceOptions,
): Promise<(sample: number) => Place> {
  if (isShardSource(source)) return await placesByShard(source);
  return isManifest(source.root) ? await placesByRow(source, columns) : placesByFolder(source);
}

/** Names in the order that classes have: of numbers where all are, else of their bytes. */
function inOrder(names: string[]): string[] {
  const areNumbers = names.every((name) => /^\d{1,15}$/.test(name));
  return areNumbers ? names.sort((a, b) => Number(a) - Number(b)) : sortByBytes(names);
}

/** Sources that are open already, with the parts and the classes of their images. */
export async function checkedSetOf(
  sources: readonly ImageSource[],
  options: SourceOptions = {},
): Promise<CheckedSet> {
  const source = joinSources(sources.map((source) => ({ source, weight: null })));
  const partOf = new Uint16Array(source.length), labels = new Int32Array(source.length).fill(-1);
  const parts = new Names(), names = new Names();
  let start = 0;
  for (const one of sources) {
    const root = one.root.replace(/[\\/]+$/, "");
    const placeOf = await placesOf(one, options);
    for (let sample = 0; sample < one.length; sample++) {
      const { part, label } = placeOf(sample);
      partOf[start + sample] = parts.numberOf(part === undefined ? root : `${baseName(root)}/${part}`);
      if (label !== undefined) labels[start + sample] = names.numberOf(label);
    }
    start += one.length;
  }
  const classes = inOrder(names.all);
  if (classes.length < 2) return { source, parts: parts.all, partOf, classes: [], labels: labels.fill(-1) };
  const places = new Map(classes.map((name, place) => [name, place]));
  const placeOf = names.all.map((name) => places.get(name) ?? -1);
  for (const [sample, label] of labels.entries()) if (label >= 0) labels[sample] = placeOf[label];
  return { source, parts: parts.all, partOf, classes, labels };
}
