/** Which images of a source have changed since they were scanned. */
import { isMissing } from "../util/files.ts";
import { BrokenImageError } from "../images/image.ts";
import { isRemote } from "../sources/remote_files.ts";
import { CHUNK, type ScanRecords } from "./scan_records.ts";
import type { ImageSource, SampleLocation } from "../sources/source.ts";

/** When a file was changed last, in any respect, in milliseconds since 1970, and its bytes; undefined where it is gone. */
async function stateOf(path: string): Promise<{ time: number; size: number } | undefined> {
  try {
    const { mtime, ctime, size } = await Deno.stat(path);
    return { time: Math.max(mtime?.getTime() ?? 0, ctime?.getTime() ?? 0), size };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function locationOf(source: ImageSource, sample: number): Promise<SampleLocation | undefined> {
  try {
    return await source.locate(sample);
  } catch (error) {
    if (error instanceof BrokenImageError) return undefined;
    throw error;
  }
}

/** Whether a sample has a file of its own that is not what it was. */
async function hasChanged(
  source: ImageSource,
  records: ScanRecords,
  sample: number,
  time: number,
): Promise<boolean> {
  if (isRemote(source.path(sample))) return false;
  const location = await locationOf(source, sample);
  if (location?.kind !== "file") return false;
  const state = await stateOf(location.path);
  const { readable, bytes } = records.at(sample);
  if (state === undefined) return readable; // what was missing before has not changed
  return state.time >= time || (readable && state.size !== bytes);
}

/** When shards were changed last, with the first sample of each: up to the first whose place among files is not known. */
async function shardTimes(source: ImageSource): Promise<{ first: number; time: number }[]> {
  const times: { first: number; time: number }[] = [];
  let first = 0;
  for (const { samples } of source.shards ?? []) {
    const location = await locationOf(source, first);
    if (location?.kind === "bytes") break; // behind a network, or in a Parquet file: to ask for the next ones is to read them
    const state = location && await stateOf(location.path);
    times.push({ first, time: state?.time ?? 0 });
    first += samples;
  }
  return times;
}

/**
 * The chunks that have to be scanned again, because a file in them has changed. What lies behind a network, and images in Parquet files, are taken
 * to be what they were, as long as they are as many and of the same names.
 *
 * @param times when the scan of each chunk began
 */
export async function changedChunks(
  source: ImageSource,
  records: ScanRecords,
  times: ReadonlyMap<number, number>,
): Promise<number[]> {
  const changed: number[] = [];
  if (source.parts && !source.shards) return changed; // shards among files: where one begins is not known
  if (source.shards) {
    const shards = await shardTimes(source);
    for (const [chunk, time] of times) {
      const first = chunk * CHUNK, end = first + records.sizeOf(chunk);
      const isChanged = shards.some((shard, i) =>
        shard.first < end && (shards[i + 1]?.first ?? Infinity) > first && shard.time >= time
      );
      if (isChanged) changed.push(chunk);
    }
    return changed;
  }
  for (const [chunk, time] of times) {
    const samples = Array.from({ length: records.sizeOf(chunk) }, (_, i) => chunk * CHUNK + i);
    const found = await Promise.all(samples.map((sample) => hasChanged(source, records, sample, time)));
    if (found.includes(true)) changed.push(chunk);
  }
  return changed;
}
