/** Several data sets as one: in a row, or mixed by weights. */
import { InputError } from "../util/errors.ts";
import { baseName } from "../util/files.ts";
import type { ImageSource, Shard, SourcePart } from "./source.ts";

/** One of several data sets. */
export interface WeightedSource {
  /** The data set. */
  readonly source: ImageSource;
  /** Its share of what is drawn, over the sum of all weights; null where none has a weight. */
  readonly weight: number | null;
}

/** A short name for each data set, no two alike. */
function shortNames(entries: readonly WeightedSource[]): string[] {
  const taken = new Set<string>();
  return entries.map(({ source: { root } }) => {
    const base = baseName(root);
    let name = base;
    for (let count = 2; taken.has(name); count++) name = `${base}-${count}`;
    taken.add(name);
    return name;
  });
}

/** How several data sets are drawn from; undefined where they are in one random order. */
function partsOf(entries: readonly WeightedSource[]): SourcePart[] | undefined {
  const weighted = entries.filter(({ weight }) => weight !== null);
  if (weighted.length > 0 && weighted.length < entries.length) {
    const without = entries.find(({ weight }) => weight === null);
    throw new InputError(
      `data.train gives a weight to some of its sources, and none to ${without?.source.root}; give one to all or to none`,
    );
  }
  const sharded = entries.filter(({ source }) => source.shards !== undefined);
  const alike = sharded.length === 0 || sharded.length === entries.length;
  if (weighted.length === 0 && alike && entries.every(({ source }) => !source.parts)) return undefined;
  return entries.map(({ source, weight }) => ({
    samples: source.length,
    shards: source.shards,
    weight: weight ?? source.length,
  }));
}

/** The shards of all, where all are in shards. */
function shardsOf(entries: readonly WeightedSource[], names: readonly string[]): Shard[] | undefined {
  if (!entries.every(({ source }) => source.shards)) return undefined;
  return entries.flatMap(({ source }, place) =>
    (source.shards ?? []).map((shard) => ({ ...shard, name: `${names[place]}/${shard.name}` }))
  );
}

/**
 * Several data sets as one; their samples are numbered one data set after the other. Without weights all images are in one random
 * order; with weights each data set is drawn from by its share.
 * @throws {InputError} when some have a weight and others have none
 */
export function joinSources(entries: readonly WeightedSource[]): ImageSource {
  if (entries.length === 1) return entries[0].source;
  const parts = partsOf(entries);
  const sources = entries.map(({ source }) => source);
  const names = shortNames(entries);
  const ends: number[] = [];
  for (const { length } of sources) ends.push((ends.at(-1) ?? 0) + length);
  const find = (sample: number): [part: number, own: number] => {
    const part = ends.findIndex((end) => sample < end);
    return [part, sample - (part === 0 ? 0 : ends[part - 1])];
  };
  return {
    root: sources.map(({ root }) => root).join(", "),
    length: ends[ends.length - 1],
    others: sources.reduce((sum, { others }) => sum + others, 0),
    shards: shardsOf(entries, names),
    parts,
    name(sample) {
      const [part, own] = find(sample);
      return `${names[part]}/${sources[part].name(own)}`;
    },
    path(sample) {
      const [part, own] = find(sample);
      return sources[part].path(own);
    },
    locate(sample) {
      const [part, own] = find(sample);
      return sources[part].locate(own);
    },
  };
}
