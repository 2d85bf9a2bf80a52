/** What sources of shards have in common: the numbers of their samples, and labels that the shards hold. */
import { sortByBytes } from "../util/byte_order.ts";
import { didYouMean, InputError } from "../util/errors.ts";
import { mapSideBySide } from "../util/limiter.ts";
import { quoted } from "../util/quoted.ts";
import type { LabelledSource } from "./labelled.ts";
import type { ImageSource, Shard } from "./source.ts";

/** Labels of one shard's samples. */
export interface ShardLabels {
  /** A label per sample, an index into `words` where there are any, else the number itself; -1 where it has none. */
  readonly labels: Int32Array;
  /** The labels that occur, where they are not all whole numbers. */
  readonly words: readonly string[];
}

/** A data set in shards. */
export interface ShardSource extends ImageSource {
  /** Every shard has at least one sample. */
  readonly shards: readonly Shard[];
  /** Names of the classes that whole numbers count, where the shards or a file beside them say. */
  readonly classes?: readonly string[];
  /** Where labels come from, for refusals: `neither a .cls nor …`. */
  readonly withoutLabel: string;
  /** The labels of a shard. */
  labelsOf(shard: number): Promise<ShardLabels>;
}

/** Which shard a sample lies in. */
export class SampleNumbers {
  readonly #starts: Float64Array;
  /** Samples of all shards. */
  readonly length: number;

  /** By the shards' numbers of samples. */
  constructor(counts: readonly number[]) {
    this.#starts = new Float64Array(counts.length);
    let start = 0;
    for (const [shard, count] of counts.entries()) {
      this.#starts[shard] = start;
      start += count;
    }
    this.length = start;
  }

  /** The shard and the place in it. Throws `RangeError` for a number that no sample has. */
  find(sample: number): { readonly shard: number; readonly row: number } {
    if (!(sample >= 0 && sample < this.length)) throw new RangeError(`There is no sample ${sample}`);
    let low = 0, high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle] <= sample) low = middle;
      else high = middle - 1;
    }
    return { shard: low, row: sample - this.#starts[low] };
  }

  /** The number of a shard's first sample. */
  startOf(shard: number): number {
    return this.#starts[shard];
  }
}

/** Labels of all samples as they stand in the shards. */
interface RawLabels {
  readonly parts: readonly ShardLabels[];
  /** Whether some shard's labels are words; numbers then are words too. */
  readonly areWords: boolean;
  readonly largest: number;
}

/** Shards whose labels are read side by side. */
const AT_ONCE = 16;

async function readLabels(source: ShardSource): Promise<RawLabels> {
  let largest = -1, areWords = false, start = 0;
  const parts = await mapSideBySide(source.shards, AT_ONCE, (_, shard) => source.labelsOf(shard));
  for (const part of parts) {
    const missing = part.labels.indexOf(-1);
    if (missing >= 0) {
      throw new InputError(`${source.path(start + missing)} has no label: ${source.withoutLabel}`);
    }
    areWords ||= part.words.length > 0;
    for (const label of part.labels) if (label > largest) largest = label;
    start += part.labels.length;
  }
  return { parts, areWords, largest };
}

/** The classes of shards that nobody names. */
function classesOf({ parts, areWords, largest }: RawLabels): string[] {
  if (!areWords) return Array.from({ length: largest + 1 }, (_, i) => String(i));
  const words = new Set<string>();
  for (const part of parts) {
    if (part.words.length > 0) { for (const word of part.words) words.add(word); }
    else for (const label of part.labels) words.add(String(label));
  }
  return sortByBytes([...words]);
}

function outside(source: ShardSource, sample: number, label: string, classes: readonly string[]): InputError {
  const isNumber = /^\d+$/.test(label);
  const near = isNumber ? "" : didYouMean(label, classes);
  return new InputError(
    `${source.path(sample)} has the label ${isNumber ? label : quoted(label)}, which is none of the ` +
      `${classes.length} classes${isNumber ? `, 0 to ${classes.length - 1}` : ""}${near}`,
  );
}

/**
 * The samples of shards with their labels.
 *
 * @param classes names that labels count, such as a checkpoint's; by default those that go with the shards, else the labels
 * that occur: words in byte order, or the numbers from 0 to the largest
 * @throws {InputError} for a sample without a label, a label that is no class, and where there is only one class
 */
export async function labelShards(
  source: ShardSource,
  classes?: readonly string[],
): Promise<LabelledSource & { readonly classes: readonly string[] }> {
  const raw = await readLabels(source);
  const own = source.classes ?? classesOf(raw);
  const names = classes ?? own;
  if (names.length < 2) {
    throw new InputError(
      `"${source.root}" holds only one class, "${names[0]}"; at least two are needed`,
    );
  }
  const numbers = new Map(names.map((name, number) => [name, number]));
  // Numbers count the set's own classes; another list of the same names may have them in another order.
  const ownNumbers = raw.areWords ? [] : own.map((name) => numbers.get(name) ?? -1);
  const labels = new Uint32Array(source.length);
  let sample = 0;
  for (const part of raw.parts) {
    const byWord = part.words.map((word) => numbers.get(word) ?? -1);
    for (const label of part.labels) {
      const number = part.words.length > 0
        ? byWord[label]
        : raw.areWords
        ? numbers.get(String(label)) ?? -1
        : ownNumbers[label] ?? -1;
      if (number < 0) throw outside(source, sample, part.words[label] ?? String(label), names);
      labels[sample++] = number;
    }
  }
  return { ...source, labels, unlabelled: 0, classes: names };
}
