/** Looking at every image of a source, in workers; a scan that is cut off can go on. */
import { createHash } from "../deps/node.ts";
import { RunError } from "../util/errors.ts";
import { BrokenImageError } from "../images/image.ts";
import { LostWorkerError, WorkerPool } from "../data/pool.ts";
import { RECORD_BYTES } from "../data/probe.ts";
import type { Item } from "../data/render.ts";
import { changedChunks } from "./scan_changes.ts";
import { ScanFile } from "./scan_file.ts";
import { CHUNK, type ChunkRecords, ScanRecords } from "./scan_records.ts";
import type { ImageSource } from "../sources/source.ts";

/** What is to be scanned, and how. */
export interface ScanOptions {
  /** The images. */
  readonly source: ImageSource;
  /** Threads that decode. */
  readonly workers: number;
  /** The worker's module, where it does not lie beside the pool's. */
  readonly workerUrl?: URL | string;
  /** The file to keep what has been found out, and to go on from; without one a scan that is cut off begins anew. */
  readonly path?: string;
  /** Ends the scan after the chunks that are under way. */
  readonly signal?: AbortSignal;
  /** Hears of what happens. */
  readonly onEvent?: (event: ScanEvent) => void;
}

/** What happens while images are scanned. */
export type ScanEvent =
  /** So many images were scanned before, of which so many have changed since. */
  | { readonly kind: "resume"; readonly images: number; readonly changed: number }
  /** The file is of another state of the source: everything is scanned. */
  | { readonly kind: "afresh" }
  /** So many images are done, earlier ones included. */
  | { readonly kind: "done"; readonly images: number; readonly broken: number }
  /** A worker was lost and replaced. */
  | { readonly kind: "warning"; readonly message: string };

/** What a scan has found out. */
export interface ScanResult {
  /** What is known of each sample. */
  readonly records: ScanRecords;
  /** Whether all have been scanned; if not, `signal` ended it. */
  readonly isComplete: boolean;
  /** Samples that have been scanned. */
  readonly done: number;
  /** Removes the file; to be called when the result is no longer needed. */
  forget(): Promise<void>;
}

/** Chunks under way at a time: the next ones are located and read while workers are at one. */
const LANES = 3;
/** Images that are located at a time: those behind a network, or in Parquet files, then lie in memory. */
const PIECE = 64;
/** Images that cost workers before it is the machine that is to blame. */
const MOST_LOST = 16;

/** Hash of what the samples are called: the state of a source, but for the bytes of its files. */
export function fingerprintOf(source: ImageSource): string {
  const hash = createHash("sha256").update(JSON.stringify([source.length, source.shards ?? null]));
  for (let sample = 0; sample < source.length; sample++) hash.update(`${source.name(sample)}\0`);
  return hash.digest("hex");
}

/** Looks at the images of chunks, several at a time. */
class Scanner {
  readonly #options: ScanOptions;
  readonly #slots = new SharedArrayBuffer(LANES * CHUNK * RECORD_BYTES);
  readonly #lost = new Map<number, string>();
  #pool: WorkerPool;

  constructor(options: ScanOptions) {
    this.#options = options;
    this.#pool = this.#start();
  }

  #start(): WorkerPool {
    const { workers, workerUrl, onEvent } = this.#options;
    return new WorkerPool({ probe: true }, workers, {
      workerUrl,
      onRestart: (message) => onEvent?.({ kind: "warning", message }),
    });
  }

  close(): void {
    this.#pool.close();
  }

  /** The records of a chunk; its slots are those of a lane that no other call uses at the time. */
  async scan(first: number, count: number, lane: number): Promise<ChunkRecords> {
    const start = lane * CHUNK;
    const reasons: [number, string][] = [];
    const bytes = new Uint8Array(this.#slots, start * RECORD_BYTES, count * RECORD_BYTES).fill(0);
    for (let at = 0; at < count; at += PIECE) {
      await this.#look(first + at, Math.min(PIECE, count - at), start + at, reasons);
    }
    for (const [sample] of reasons) {
      bytes.fill(0, (sample - first) * RECORD_BYTES, (sample - first + 1) * RECORD_BYTES);
    }
    return { records: bytes.slice(), reasons: reasons.sort(([a], [b]) => a - b) };
  }

  /** Has the records of some samples put into their slots, from `start` on, and adds the reasons of those that are broken. */
  async #look(first: number, count: number, start: number, reasons: [number, string][]): Promise<void> {
    const located = await this.#locate(first, count, start, reasons);
    for (;;) {
      const items = located.filter(({ position }) => !this.#lost.has(position));
      const pool = this.#pool;
      try {
        const failures = await pool.render(this.#slots, 0, items);
        for (const { slot, reason } of failures) reasons.push([first + slot - start, reason]);
        break;
      } catch (error) {
        if (!(error instanceof LostWorkerError) || error.slot === undefined) throw error;
        const isMine = error.slot >= start && error.slot < start + count;
        if (isMine) this.#lost.set(first + error.slot - start, error.message);
        if (this.#lost.size > MOST_LOST) throw new RunError(`${error.message}, and over others before`);
        if (this.#pool === pool) this.#pool = this.#start();
      }
    }
    for (const { position } of located) {
      const message = this.#lost.get(position);
      if (message !== undefined) reasons.push([position, `cannot be decoded: ${message}`]);
    }
  }

  async #locate(
    first: number,
    count: number,
    start: number,
    reasons: [number, string][],
  ): Promise<Item[]> {
    const samples = Array.from({ length: count }, (_, i) => first + i);
    const items = await Promise.all(samples.map(async (sample): Promise<Item[]> => {
      try {
        const location = await this.#options.source.locate(sample);
        return [{ slot: start + sample - first, position: sample, location }];
      } catch (error) {
        if (!(error instanceof BrokenImageError)) throw error;
        reasons.push([sample, error.message]);
        return [];
      }
    }));
    return items.flat();
  }
}

/** What is known before the scan, and the file that it is kept in. */
async function begin(
  { source, path, onEvent }: ScanOptions,
): Promise<{ records: ScanRecords; file?: ScanFile }> {
  if (path === undefined) return { records: new ScanRecords(source.length) };
  const { file, records, times, isReplaced } = await ScanFile.open(
    path,
    fingerprintOf(source),
    source.length,
  );
  if (isReplaced) onEvent?.({ kind: "afresh" });
  if (times.size > 0) {
    const images = samplesIn(records, times.keys());
    const changed = await changedChunks(source, records, times);
    const again = samplesIn(records, changed);
    for (const chunk of changed) records.drop(chunk);
    onEvent?.({ kind: "resume", images: images - again, changed: again });
  }
  return { records, file };
}

function samplesIn(records: ScanRecords, chunks: Iterable<number>): number {
  let samples = 0;
  for (const chunk of chunks) samples += records.sizeOf(chunk);
  return samples;
}

/**
 * Decodes and hashes every image of a source in workers. What is found out is kept in a file as the scan goes on, so that one
 * that was cut off is taken up; images whose files have changed since are looked at again.
 *
 * @throws {RunError} where the file cannot be written, or workers are lost over and over
 */
export async function scanImages(options: ScanOptions): Promise<ScanResult> {
  const { source, signal, onEvent } = options;
  const { records, file } = await begin(options);
  const left = Array.from({ length: records.chunks }, (_, chunk) => chunk).filter((chunk) =>
    !records.has(chunk)
  );
  let done = source.length - samplesIn(records, left), next = 0;
  const scanner = new Scanner(options);
  const runLane = async (lane: number) => {
    while (next < left.length && !signal?.aborted) {
      const chunk = left[next++];
      const time = Date.now();
      const found = await scanner.scan(chunk * CHUNK, records.sizeOf(chunk), lane);
      records.put(chunk, found);
      await file?.add(chunk, time, found);
      done += records.sizeOf(chunk);
      onEvent?.({ kind: "done", images: done, broken: records.broken });
    }
  };
  try {
    await Promise.all(Array.from({ length: LANES }, (_, lane) => runLane(lane)));
  } catch (error) {
    await file?.close().catch(() => {}); // the first failure is the one to tell
    throw error;
  } finally {
    scanner.close();
  }
  const isComplete = done === source.length;
  if (!isComplete) await file?.close();
  return { records, isComplete, done, forget: async () => await file?.remove() };
}
