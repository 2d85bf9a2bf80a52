/**
 * Samples behind the network. They are fetched in the thread that asks for them, many at a time, and handed to the data
 * workers in shared memory: workers that fetched for themselves would each fetch the same blocks of a shard.
 */
import type { ByteSource } from "../formats/byte_source.ts";
import { addressBeside } from "../storage/address.ts";
import { BlockCache } from "../storage/block_cache.ts";
import type { StoredBytes } from "../storage/remote_object.ts";
import type { Storage } from "../storage/storage.ts";
import { InputError } from "../util/errors.ts";
import { Limiter } from "../util/limiter.ts";
import { BrokenImageError } from "./image.ts";
import { MAX_BESIDE } from "./shard_files.ts";
import type { ShardFile } from "./shard_tables.ts";
import { MAX_FILE_BYTES } from "./sample_bytes.ts";
import type { ImageSource, SampleLocation } from "./source.ts";

/** How much is fetched at a time. */
export interface RemoteReaderOptions {
  /** Samples that are fetched side by side. */
  readonly atOnce?: number;
  /** Most bytes of shards that are kept. */
  readonly cacheBytes?: number;
}

/** Whether a path is an address behind the network. */
export function isRemote(path: string): boolean {
  return /^(https?|s3):\/\//i.test(path);
}

/** Reads samples and shards at addresses. */
export class RemoteReader {
  readonly #storage: Storage;
  readonly #limiter: Limiter;
  readonly #cache: BlockCache;
  readonly #shards = new Map<string, Promise<ByteSource>>();

  /** 32 at once and 512 MiB unless told otherwise: so much holds what a shuffle over some 1,000 samples comes back to. */
  constructor(storage: Storage, { atOnce = 32, cacheBytes = 512 * 2 ** 20 }: RemoteReaderOptions = {}) {
    this.#storage = storage;
    this.#limiter = new Limiter(atOnce);
    this.#cache = new BlockCache({ blockBytes: 2 ** 20, maxBytes: cacheBytes, ahead: 8 });
  }

  /**
   * Where the bytes of a sample lie once they have been fetched: in shared memory. Other locations stay what they are.
   *
   * @throws {BrokenImageError} where the server refuses this sample
   * @throws {RunError} where the network stays away, or a shard changes or vanishes while it is in use
   */
  async fetch(location: SampleLocation): Promise<SampleLocation> {
    if (location.kind === "bytes" || !isRemote(location.path)) return location;
    return { kind: "bytes", bytes: await this.#limiter.run(() => this.#read(location)) };
  }

  async #read(location: Exclude<SampleLocation, { kind: "bytes" }>): Promise<Uint8Array> {
    const { path } = location;
    try {
      if (location.kind === "file") return shared(await this.#storage.read(path, MAX_FILE_BYTES));
      const { offset, length } = location;
      if (length > MAX_FILE_BYTES) throw new BrokenImageError(`the entry has ${length} bytes`);
      const bytes = await (await this.#shard(path)).read(offset, length);
      if (bytes.length === length) return shared(bytes);
      throw new BrokenImageError(`the shard ends ${length - bytes.length} bytes before the entry does`);
    } catch (error) {
      throw error instanceof InputError ? new BrokenImageError(error.message) : error;
    }
  }

  /** A shard through the cache, opened when it is first needed, and again where that failed. */
  #shard(address: string): Promise<ByteSource> {
    const known = this.#shards.get(address);
    if (known) return known;
    const opening = this.#storage.open(address).then((source) => this.#cache.open(source));
    this.#shards.set(address, opening);
    opening.catch(() => this.#shards.delete(address));
    return opening;
  }

  /**
   * A shard behind the network.
   *
   * @param name its path within the source
   * @throws {InputError} where it cannot be read
   */
  async shardFile(address: string, name: string): Promise<ShardFile> {
    const open = (): Promise<StoredBytes> => this.#storage.open(address);
    using source = await this.#limiter.run(open);
    return {
      name,
      address,
      shown: source.shown,
      size: source.size,
      version: source.version,
      isLocal: false,
      open,
      beside: async (name) => {
        const neighbour = addressBeside(address, name);
        return neighbour === undefined ? undefined : await this.#storage.readIfThere(neighbour, MAX_BESIDE);
      },
    };
  }

  /** The source, with samples behind the network fetched when they are located. */
  reading<Source extends ImageSource>(source: Source): Source {
    return { ...source, locate: async (sample: number) => this.fetch(await source.locate(sample)) };
  }
}

/** A copy in memory that workers share. */
function shared(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}
