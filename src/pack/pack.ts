/** Packing a data set into WebDataset shards. */
import { createHash } from "../deps/node.ts";
import { RunError } from "../util/errors.ts";
import { joinPath } from "../util/files.ts";
import { BrokenImageError } from "../images/image.ts";
import { keyOf, type PackedLabels } from "./pack_names.ts";
import { type PackPlan, type PackProgress, PackTarget, totalBytes } from "./pack_target.ts";
import { WorkerPool } from "../data/pool.ts";
import { RECORD_BYTES } from "../data/probe.ts";
import { readSample } from "../sources/sample_bytes.ts";
import {
  bytesInShard,
  END_BYTES,
  type PackedSample,
  ShardWriter,
  type WrittenShard,
} from "./shard_writer.ts";
import type { ImageSource, SampleLocation } from "../sources/source.ts";

/** What is to be packed, and how. */
export interface PackOptions {
  /** The images. */
  readonly source: ImageSource;
  /** Their classes, where they have any: a label for each sample, and the names that labels count. */
  readonly labels?: PackedLabels;
  /** The folder for the shards. */
  readonly to: string;
  /** What shards are called: `NAME-000000.tar`. */
  readonly name: string;
  /** Bytes of a shard, unless one image is larger. */
  readonly shardBytes: number;
  /** Most images of a shard; by default any number. */
  readonly shardSamples?: number;
  /** Whether every image is decoded before it is packed; by default it is. */
  readonly check?: boolean;
  /** What to do with a broken image: leave it out, or end with an error. */
  readonly onBroken: "skip" | "stop";
  /** Threads that decode. */
  readonly workers: number;
  /** The worker's module, where it does not lie beside the pool's. */
  readonly workerUrl?: URL | string;
  /** Hears of each broken image, and of each sample that is done. */
  readonly onEvent?: (event: PackEvent) => void;
}

/** What happens while shards are packed. */
export type PackEvent =
  /** An earlier attempt is taken up. */
  | { readonly kind: "resume"; readonly shards: number; readonly samples: number }
  /** An image is left out. */
  | { readonly kind: "broken"; readonly path: string; readonly reason: string }
  /** So many samples of the source are done. */
  | { readonly kind: "done"; readonly samples: number };

/** What was packed. */
export interface PackResult {
  /** The shards in their order. */
  readonly shards: readonly WrittenShard[];
  /** Images in them. */
  readonly samples: number;
  /** Bytes of them. */
  readonly bytes: number;
  /** Images left out. */
  readonly broken: number;
  /** The file that lists the shards. */
  readonly listing: string;
}

/** Samples that are looked at and read together. */
const CHUNK = 64;

/** A sample of the source, read or found broken. */
type ReadSample =
  | { readonly sample: number; readonly bytes: Uint8Array }
  | { readonly sample: number; readonly reason: string };

/** Reads samples, decoding them first where there is a pool for it. */
async function readChunk(
  source: ImageSource,
  first: number,
  end: number,
  pool: WorkerPool | undefined,
): Promise<ReadSample[]> {
  const samples = Array.from({ length: end - first }, (_, i) => first + i);
  const read = await Promise.all(
    samples.map(async (sample): Promise<ReadSample & { location?: SampleLocation }> => {
      try {
        const location = await source.locate(sample);
        return { sample, location, bytes: await readSample(location) };
      } catch (error) {
        if (!(error instanceof BrokenImageError)) throw error;
        return { sample, reason: error.message };
      }
    }),
  );
  if (pool === undefined) return read;
  const items = read.flatMap((one) =>
    "bytes" in one && one.location
      ? [{ slot: one.sample - first, position: one.sample, location: shared(one.location, one.bytes) }]
      : []
  );
  const failures = await pool.render(new SharedArrayBuffer(RECORD_BYTES * samples.length), 0, items);
  for (const { slot, reason } of failures) read[slot] = { sample: first + slot, reason };
  return read;
}

/** A location that costs workers nothing: a file that was read just now, or the bytes themselves. */
function shared(location: SampleLocation, bytes: Uint8Array): SampleLocation {
  if (location.kind === "file") return location;
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return { kind: "bytes", bytes: copy };
}

/** All samples from `first` on in their order; the next chunk is read while this one is written. */
async function* readSamples(
  source: ImageSource,
  first: number,
  pool: WorkerPool | undefined,
): AsyncGenerator<ReadSample> {
  const start = (at: number) => {
    const chunk = readChunk(source, at, Math.min(source.length, at + CHUNK), pool);
    chunk.catch(() => {}); // whoever waits for it sees the failure
    return chunk;
  };
  let ahead = start(first);
  for (let at = first; at < source.length; at += CHUNK) {
    const chunk = ahead;
    if (at + CHUNK < source.length) ahead = start(at + CHUNK);
    yield* await chunk;
  }
}

/** Hash of what decides the contents of shards, but for the images' bytes. */
function fingerprintOf({ source, labels }: PackOptions): string {
  const hash = createHash("sha256");
  for (let sample = 0; sample < source.length; sample++) {
    hash.update(`${source.name(sample)}\0${labels?.labels[sample] ?? ""}\0`);
  }
  return hash.update(JSON.stringify(labels?.classes ?? null)).digest("hex");
}

/** Puts samples into one shard after the other. */
class Packer {
  #progress: PackProgress;
  #writer: ShardWriter | undefined;
  #lastKey = "";
  /** Broken images since the last finished shard. */
  #broken = 0;

  constructor(
    private readonly options: PackOptions,
    private readonly target: PackTarget,
    progress: PackProgress,
  ) {
    this.#progress = progress;
  }

  async run(pool: WorkerPool | undefined): Promise<PackProgress> {
    const { source, onEvent } = this.options;
    try {
      for await (const read of readSamples(source, this.#progress.next, pool)) {
        if ("reason" in read) this.#leaveOut(read.sample, read.reason);
        else await this.#add(read.sample, read.bytes);
        onEvent?.({ kind: "done", samples: read.sample + 1 });
      }
      await this.#finishShard(source.length);
      return this.#progress;
    } finally {
      await this.#writer?.[Symbol.asyncDispose]();
    }
  }

  #leaveOut(sample: number, reason: string): void {
    const path = this.options.source.path(sample);
    if (this.options.onBroken === "stop") {
      throw new RunError(
        `${path}: ${reason}; mend or remove it and run the same command again, or leave broken images out with ` +
          "--on-error skip",
      );
    }
    this.#broken++;
    this.options.onEvent?.({ kind: "broken", path, reason });
  }

  async #add(sample: number, bytes: Uint8Array): Promise<void> {
    const { source, labels, shardBytes, shardSamples = Infinity, to, name } = this.options;
    const { key, ending } = keyOf(source.name(sample));
    const packed: PackedSample = { key, ending, bytes, label: labels?.labels[sample] };
    const isFull = this.#writer !== undefined &&
      (this.#writer.samples >= shardSamples ||
        this.#writer.bytes + bytesInShard(packed) + END_BYTES > shardBytes);
    if (isFull) await this.#finishShard(sample);
    const number = String(this.#progress.shards.length).padStart(6, "0");
    this.#writer ??= await ShardWriter.start(to, `${name}-${number}.tar`);
    await this.#writer.add({ ...packed, key: this.#distinct(key) });
  }

  /** `a.jpg` and `a.png` would be one sample; the second is called `a_2`. */
  #distinct(key: string): string {
    const isTaken = this.#lastKey === key || this.#lastKey.replace(/_\d+$/, "") === key;
    const count = Number(/_(\d+)$/.exec(this.#lastKey.slice(key.length))?.[1] ?? 1) + 1;
    return this.#lastKey = isTaken ? `${key}_${count}` : key;
  }

  async #finishShard(next: number): Promise<void> {
    const shard = await this.#writer?.finish();
    this.#writer = undefined;
    this.#lastKey = "";
    const { shards, broken } = this.#progress;
    this.#progress = {
      next,
      shards: shard ? [...shards, shard] : shards,
      broken: broken + this.#broken,
    };
    this.#broken = 0;
    await this.target.note(this.#progress);
  }
}

/**
 * Packs images into shards, byte for byte, with their labels. Equal sources and settings give equal shards. What was written
 * is read back and compared before a shard gets its name, and an attempt that was cut off is taken up after its last shard.
 *
 * @throws {InputError} where the folder holds anything else
 * @throws {RunError} where the file system fails, what was written is not what is read back, a broken image is to end it, or
 * all images are broken
 */
export async function packShards(options: PackOptions): Promise<PackResult> {
  const { source, labels, name, shardBytes, shardSamples = null, check = true, onEvent } = options;
  const to = joinPath(options.to);
  const plan: PackPlan = {
    name,
    source: source.root,
    fingerprint: fingerprintOf(options),
    shardBytes,
    shardSamples,
    checked: check,
  };
  const { target, progress } = await PackTarget.open(to, plan, labels?.classes);
  if (progress.next > 0) {
    onEvent?.({ kind: "resume", shards: progress.shards.length, samples: progress.next });
  }
  const pool = check ? new WorkerPool({ probe: true }, options.workers, options) : undefined;
  try {
    const { shards, broken, next } = await new Packer({ ...options, to }, target, progress).run(pool);
    if (shards.length === 0) {
      throw new RunError(`None of the ${source.length} images of "${source.root}" can be read`);
    }
    await target.finish({ shards, broken, next }, labels?.classes);
    const samples = shards.reduce((sum, shard) => sum + shard.samples, 0);
    return { shards, samples, bytes: totalBytes(shards), broken, listing: target.listing };
  } finally {
    pool?.close();
  }
}
