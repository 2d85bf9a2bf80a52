/**
 * What a data set is: samples by number, each with a name and a place where its bytes lie. A source is asked for single
 * samples and never for all of them, so that it can stand for more images than fit into memory.
 */
import { joinPath } from "../util/files.ts";
import { TextTable } from "../util/text_table.ts";

/** Where the bytes of a sample lie; plain data, so that it can be sent to a data worker. */
export type SampleLocation =
  /** A file of its own. */
  | { readonly kind: "file"; readonly path: string }
  /** Part of a file, such as an entry of a tar archive. */
  | { readonly kind: "range"; readonly path: string; readonly offset: number; readonly length: number }
  /** The bytes themselves, in memory that workers share. */
  | { readonly kind: "bytes"; readonly bytes: Uint8Array };

/** A file that holds many samples, which are read fastest in their order. */
export interface Shard {
  /** Names the shard: its path relative to the source, or its address. */
  readonly name: string;
  /** How many samples it holds. */
  readonly samples: number;
}

/** One of several data sets that are mixed. */
export interface SourcePart {
  /** How many samples it has. */
  readonly samples: number;
  /** Its share of what is drawn, over the sum of all weights; above 0. */
  readonly weight: number;
  /** Its shards, where it has any. */
  readonly shards?: readonly Shard[];
}

/** A data set. */
export interface ImageSource {
  /** What the user calls it: a folder, a manifest, an address. */
  readonly root: string;
  /** Samples; at least 1. */
  readonly length: number;
  /** Files that were passed over for their ending; hidden ones do not count. */
  readonly others: number;
  /**
   * The shards, where there are any: the first holds the samples from 0 on, and so forth. Training then reads a few of them
   * at a time, each in its order.
   */
  readonly shards?: readonly Shard[];
  /** The data sets that it is mixed of, where it is: the first holds the samples from 0 on, and so forth. */
  readonly parts?: readonly SourcePart[];
  /** A sample's name within the source, the same wherever the source lies, with slashes; no two are alike, but in a table that says so. */
  name(sample: number): string;
  /** What to call a sample in messages: the full path of a file, or the shard's and the entry's name. */
  path(sample: number): string;
  /** Where its bytes lie. Throws `BrokenImageError` when the sample is known to be unreadable. */
  locate(sample: number): SampleLocation | Promise<SampleLocation>;
}

/** Files under a folder, by their paths relative to it; the full paths of files where `root` is empty. */
export function fileSource(root: string, paths: Iterable<string>, others = 0): ImageSource {
  const table = TextTable.of(paths);
  const path = (sample: number) => joinPath(root, table.at(sample));
  return {
    root,
    length: table.length,
    others,
    name: (sample) => table.at(sample),
    path,
    locate: (sample) => ({ kind: "file", path: path(sample) }),
  };
}

/** Some samples of a source, by their ascending numbers in it. */
export function subsetOf(source: ImageSource, samples: Uint32Array): ImageSource {
  return {
    root: source.root,
    length: samples.length,
    others: source.others,
    shards: source.shards && shardsOf(source.shards, samples),
    parts: source.parts && partsOf(source.parts, samples),
    name: (sample) => source.name(samples[sample]),
    path: (sample) => source.path(samples[sample]),
    locate: (sample) => source.locate(samples[sample]),
  };
}

/** How many of the samples lie in each of several parts that follow each other. */
function countsIn(parts: readonly { readonly samples: number }[], samples: Uint32Array): number[] {
  let [end, next] = [0, 0];
  return parts.map((part) => {
    end += part.samples;
    const first = next;
    while (next < samples.length && samples[next] < end) next++;
    return next - first;
  });
}

/** The shards that some of the samples lie in. */
function shardsOf(shards: readonly Shard[], samples: Uint32Array): Shard[] {
  const counts = countsIn(shards, samples);
  return shards.map(({ name }, i) => ({ name, samples: counts[i] })).filter(({ samples }) => samples > 0);
}

/** The data sets that some of the samples lie in. */
function partsOf(parts: readonly SourcePart[], samples: Uint32Array): SourcePart[] {
  let start = 0;
  return countsIn(parts, samples).map((count, i) => {
    const first = parts.slice(0, i).reduce((sum, part) => sum + part.samples, 0);
    const own = samples.subarray(start, start += count).map((sample) => sample - first);
    const { weight, shards } = parts[i];
    return { weight, samples: count, shards: shards && shardsOf(shards, own) };
  }).filter((part) => part.samples > 0);
}

/** The names of all samples: for lists that are short, or wanted as lists. */
export function namesOf(source: Pick<ImageSource, "length" | "name">): string[] {
  return Array.from({ length: source.length }, (_, sample) => source.name(sample));
}
