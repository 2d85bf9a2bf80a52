/**
 * The tables of tar shards: taken from beside a shard, from the user's cache, or made by one pass over the shard, and held
 * in bounded memory.
 */
import type { ByteSource } from "../formats/byte_source.ts";
import { parseTarHeader, TAR_BLOCK, TarFormatError } from "../formats/tar_header.ts";
import { cacheFolder, isRefusal, permitted } from "../util/cache_folder.ts";
import { directoryOf, joinPath, writeFileAtomic } from "../util/files.ts";
import { mapSideBySide } from "../util/limiter.ts";
import { buildTarIndex, decodeTarIndex, encodeTarIndex, type TarIndex } from "./tar_index.ts";

/** A file of samples, wherever it lies. */
export interface ShardFile {
  /** Its path relative to the source's root, with slashes. */
  readonly name: string;
  /** Its full path or address, which data workers read it by. */
  readonly address: string;
  /** The address for messages. */
  readonly shown: string;
  /** Bytes in it. */
  readonly size: number;
  /** What changes when the file does: its time, or what the server calls its state. */
  readonly version: string;
  /** Whether it lies on this machine, where reading a little here and there costs little. */
  readonly isLocal: boolean;
  /** Opens it. */
  open(): Promise<ByteSource>;
  /** The whole of a small file beside it, or undefined where there is none. */
  beside(name: string): Promise<Uint8Array | undefined>;
}

/** The file beside a shard that holds its table: `x-000000.index.safetensors` for `x-000000.tar`. */
export function indexNameOf(shardName: string): string {
  return `${shardName.replace(/\.tar$/i, "")}.index.safetensors`;
}

/** Bytes read at a time of a shard whose images are passed over: a label, its header and the next one fit. */
const LOCAL_WINDOW = 2048;
/** Bytes read at a time over a network. */
const REMOTE_WINDOW = 8 * 2 ** 20;

/** The folder for tables in the user's cache; null where there is none. */
export function tableFolder(): string | null {
  const folder = cacheFolder();
  return folder && joinPath(folder, "shards");
}

async function cachePathOf({ address, size, version }: ShardFile, folder: string): Promise<string> {
  const key = new TextEncoder().encode(JSON.stringify([address, size, version]));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", key)).subarray(0, 16);
  return joinPath(folder, `${hash.toHex()}.safetensors`);
}

/** A table, and the file that it can be read again from. */
interface Found {
  readonly index: TarIndex;
  readonly path?: string;
}

/** How tables are looked for. */
export interface TableOptions {
  /** Folder of the cache; null for none. By default the user's. */
  readonly cache?: string | null;
  /** Called before shards are read from one end to the other. */
  readonly onPass?: (shard: ShardFile) => void;
}

async function readTable(path: string, shardBytes: number): Promise<TarIndex | undefined> {
  if (!permitted("read", path)) return undefined;
  try {
    return decodeTarIndex(await Deno.readFile(path), shardBytes);
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}

/** Keeps a table in the cache. Returns whether it lies there now. */
async function keepTable(path: string, bytes: Uint8Array): Promise<boolean> {
  const folder = directoryOf(path);
  if (!permitted("write", folder)) return false;
  try {
    await Deno.mkdir(folder, { recursive: true });
    await writeFileAtomic(path, bytes);
    return true;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return false;
  }
}

/** Finds or makes the table of a shard. Throws what `buildTarIndex` and opening the shard throw. */
async function findTable(shard: ShardFile, { cache = tableFolder(), onPass }: TableOptions): Promise<Found> {
  const cached = cache === null ? undefined : await cachePathOf(shard, cache);
  const known = cached && await readTable(cached, shard.size);
  if (known) return { index: known, path: cached };
  const sidecar = await shard.beside(indexNameOf(shard.name));
  const read = sidecar && decodeTarIndex(sidecar, shard.size);
  const given = read && await fits(shard, read) ? read : undefined;
  if (given && shard.isLocal) {
    return { index: given, path: joinPath(directoryOf(shard.address), indexNameOf(shard.name)) };
  }
  if (!given) onPass?.(shard);
  const index = given ?? await passOver(shard);
  const isKept = cached !== undefined && await keepTable(cached, encodeTarIndex(index, shard.size));
  return { index, path: isKept ? cached : undefined };
}

/** Whether a table that lay beside a shard is of it: headers of that size stand before its first and its last image. */
async function fits(shard: ShardFile, { samples, offsets, lengths }: TarIndex): Promise<boolean> {
  if (samples === 0) return true;
  using source = await shard.open();
  for (const row of new Set([0, samples - 1])) {
    if (offsets[row] < TAR_BLOCK) return false;
    const block = await source.read(offsets[row] - TAR_BLOCK, TAR_BLOCK);
    try {
      if (block.length < TAR_BLOCK || parseTarHeader(block).size !== lengths[row]) return false;
    } catch (error) {
      if (error instanceof TarFormatError) return false;
      throw error;
    }
  }
  return true;
}

async function passOver(shard: ShardFile): Promise<TarIndex> {
  using source = await shard.open();
  const windowBytes = shard.isLocal ? LOCAL_WINDOW : REMOTE_WINDOW;
  return await buildTarIndex(source, shard.shown, { windowBytes });
}

/** Memory that tables may take, in bytes; those that lie in a file are dropped first and read again when needed. */
const TABLE_MEMORY = 64 * 2 ** 20;
/** Shards looked at side by side. */
const AT_ONCE = 8;

function bytesOf({ samples, names }: TarIndex): number {
  return samples * 16 + names.byteLength;
}

/** The tables of a list of shards. */
export class ShardTables {
  /** Samples of each shard. */
  readonly counts: readonly number[];
  /** Members of all shards that belong to no image. */
  readonly others: number;
  readonly #shards: readonly ShardFile[];
  readonly #paths: readonly (string | undefined)[];
  /** Tables at hand, the one used last at the end. */
  readonly #held = new Map<number, TarIndex>();
  readonly #memory: number;
  #bytes = 0;

  private constructor(shards: readonly ShardFile[], found: readonly Summary[], memory: number) {
    this.#shards = shards;
    this.#memory = memory;
    this.#paths = found.map(({ path }) => path);
    this.counts = found.map(({ samples }) => samples);
    this.others = found.reduce((sum, { others }) => sum + others, 0);
    for (const [shard, { index }] of found.entries()) if (index) this.#hold(shard, index);
  }

  /**
   * Finds or makes the tables of shards.
   * @param memory bytes that tables may take
   * @throws {InputError} for a shard that is missing, cut or no tar archive
   */
  static async open(
    shards: readonly ShardFile[],
    options: TableOptions = {},
    memory: number = TABLE_MEMORY,
  ): Promise<ShardTables> {
    let held = 0;
    const found = await mapSideBySide(shards, AT_ONCE, async (shard): Promise<Summary> => {
      const { index, path } = await findTable(shard, options);
      held += bytesOf(index);
      const drop = path !== undefined && held > memory;
      return { samples: index.samples, others: index.others, path, index: drop ? undefined : index };
    });
    return new ShardTables(shards, found, memory);
  }

  /** The table of a shard, read again where it was dropped; undefined where the file that it lay in is gone. */
  table(shard: number): TarIndex | undefined {
    const held = this.#held.get(shard);
    if (held) {
      this.#held.delete(shard);
      this.#held.set(shard, held);
      return held;
    }
    const path = this.#paths[shard];
    if (path === undefined) return undefined;
    try {
      const index = decodeTarIndex(Deno.readFileSync(path), this.#shards[shard].size);
      if (index?.samples !== this.counts[shard]) return undefined;
      this.#hold(shard, index);
      return index;
    } catch (error) {
      if (isRefusal(error)) return undefined;
      throw error;
    }
  }

  #hold(shard: number, index: TarIndex): void {
    this.#held.set(shard, index);
    this.#bytes += bytesOf(index);
    for (const [old, table] of this.#held) {
      if (this.#bytes <= this.#memory) return;
      if (old === shard || this.#paths[old] === undefined) continue;
      this.#held.delete(old);
      this.#bytes -= bytesOf(table);
    }
  }
}

/** What stays of a table. */
interface Summary {
  readonly samples: number;
  readonly others: number;
  readonly path?: string;
  readonly index?: TarIndex;
}
