/** From what the user calls a data set in shards to its samples: a pattern, a file or a folder, here or behind a network. */
import { parseAddress } from "../storage/address.ts";
import type { Storage } from "../storage/storage.ts";
import { InputError } from "../util/errors.ts";
import { baseName, joinPath } from "../util/files.ts";
import { mapSideBySide } from "../util/limiter.ts";
import { isImageName } from "./image_folder.ts";
import type { ColumnNames } from "./parquet_columns.ts";
import { openParquetShards } from "./parquet_source.ts";
import { patientStorage } from "./patient_storage.ts";
import { commonFolder, localShard, MAX_BESIDE, shardsInFolder } from "./shard_files.ts";
import type { ShardSource } from "./shard_source.ts";
import { type ShardFile, tableFolder, type TableOptions } from "./shard_tables.ts";
import { openTarShards } from "./tar_source.ts";

/** How shards are opened. */
export interface ShardOptions extends Pick<TableOptions, "cache"> {
  /** Columns of Parquet files, where their names tell too little. */
  readonly columns?: ColumnNames;
  /** Reads what lies behind a network. */
  readonly storage?: Storage;
  /** Hears, once, that shards behind a network have to be read from one end to the other, and of a network that stays away. */
  readonly onNotice?: (message: string) => void;
}

/** The kinds of shards, by the endings of their files. */
const KINDS = ["tar", "parquet"] as const;
type Kind = typeof KINDS[number];

/** The kind of a file by its name; compressed archives count as tar, so that the reader can say what to do. */
function kindOf(address: string): Kind | undefined {
  const name = address.replace(/[?#].*$/s, "").toLowerCase();
  if (name.endsWith(".parquet")) return "parquet";
  return /\.(tar|tgz|tar\.(gz|bz2|xz|zst|lz4))$/.test(name) ? "tar" : undefined;
}

/** Whether a text names a file or several by the ending of shards: `train-{000000..000146}.tar`, `data/*.parquet`. */
export function namesShards(text: string): boolean {
  return kindOf(text) !== undefined;
}

/** Shards of a folder by the part of the data set that their names begin with: `train-000000.tar` belongs to `train`. */
export type ShardParts = ReadonlyMap<string, readonly string[]>;

/** `train` for `train-000000.tar`, `train-00000-of-00294.parquet` and `train.tar`. */
function partOf(path: string): string {
  return baseName(path).replace(/\.\w+$/, "").replace(/[-_.]\d+(-of-\d+)?(-[0-9a-f]+)?$/, "");
}

/**
 * The shards in a folder that holds nothing else of a data set: no images and no folders. Undefined for any other folder, and
 * for what is none.
 */
export async function shardPartsIn(folder: string): Promise<ShardParts | undefined> {
  if (!await isFolderOfFiles(folder)) return undefined;
  const paths = await shardsInFolder(folder, KINDS);
  return paths.length === 0 ? undefined : Map.groupBy(paths, partOf);
}

/** A pattern for the shards of one part in a folder. */
export function patternOf(folder: string, part: string, parts: ShardParts): string {
  const [first = ""] = parts.get(part) ?? [];
  return joinPath(folder, `${part}*.${kindOf(first)}`);
}

/** Whether a text names a data set in shards, or a folder of them. */
export async function isShardSet(text: string): Promise<boolean> {
  return namesShards(text) || await shardPartsIn(text) !== undefined;
}

async function isFolderOfFiles(folder: string): Promise<boolean> {
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (!name.startsWith(".") && (isDirectory || isImageName(name))) return false;
    }
    return true;
  } catch {
    return false; // whoever opens it as a folder of images finds the words
  }
}

/** A shard at any address, one of `among`. */
async function shardAt(address: string, name: string, among: number, storage: Storage): Promise<ShardFile> {
  const parsed = parseAddress(address);
  if (parsed.kind === "local") return await localShard(parsed.path, name, among);
  const source = await storage.open(address);
  const { size, version, shown } = source;
  source[Symbol.dispose]();
  const folder = address.slice(0, address.lastIndexOf("/") + 1);
  return {
    name,
    address,
    shown,
    size,
    version,
    isLocal: false,
    open: () => storage.open(address),
    // what is signed is signed for one file
    beside: (name) =>
      address.includes("?") ? Promise.resolve(undefined) : storage.readIfThere(folder + name, MAX_BESIDE),
  };
}

/** Shards that are looked for side by side. */
const AT_ONCE = 16;

async function shardsAt(addresses: readonly string[], storage: Storage): Promise<ShardFile[]> {
  const start = commonFolder(addresses).length;
  return await mapSideBySide(
    addresses,
    AT_ONCE,
    (address) => shardAt(address, address.slice(start).replace(/[?#].*$/s, ""), addresses.length, storage),
  );
}

/** The addresses that a text stands for, and their kind. */
async function addressesOf(text: string, storage: Storage): Promise<{ addresses: string[]; kind: Kind }> {
  const parts = namesShards(text) ? undefined : await shardPartsIn(text);
  if (parts && parts.size > 1) {
    const names = [...parts.keys()];
    const shown = names.length > 4 ? `${names.slice(0, 4).join(", ")} and others` : names.join(", ");
    throw new InputError(
      `"${text}" holds shards of several names (${shown}); name those that are meant, such as ` +
        `"${patternOf(text, names[0], parts)}"`,
    );
  }
  const addresses = parts ? [...parts.values()].flat() : await storage.expand(text);
  const kind = kindOf(addresses[0]);
  const other = addresses.find((address) => kindOf(address) !== kind);
  if (kind === undefined || other !== undefined) {
    throw new InputError(`"${text}" stands for files of several kinds: "${addresses[0]}" and "${other}"`);
  }
  return { addresses, kind };
}

/** Says once that tables are made; of local shards that takes a moment only. */
function passNotice(cache: string | null, onNotice: ShardOptions["onNotice"]): TableOptions["onPass"] {
  let said = false;
  return ({ isLocal, shown }) => {
    if (isLocal || said) return;
    said = true;
    const kept = cache === null ? "" : `; where their images lie is then kept in ${cache}`;
    onNotice?.(
      `"${shown}" has no table beside it ("mae data pack" writes one): such shards are read once from end to end${kept}`,
    );
  };
}

/**
 * Opens shards: tar or Parquet files that a pattern stands for, a single one, or all of a folder.
 *
 * @param text such as `shards/train-{000000..000146}.tar`, `s3://bucket/data/*.parquet`, `shards`
 * @throws {InputError} one sentence that names the shard, and where it helps the entry
 */
export async function openShards(text: string, options: ShardOptions = {}): Promise<ShardSource> {
  const { columns, cache = tableFolder(), onNotice } = options;
  const storage = options.storage ?? patientStorage(onNotice);
  const { addresses, kind } = await addressesOf(text, storage);
  const twice = addresses.find((address, i) => addresses.indexOf(address) < i);
  if (twice !== undefined) throw new InputError(`"${text}" stands for "${twice}" twice`);
  const shards = await shardsAt(addresses, storage);
  return kind === "tar"
    ? await openTarShards(text, shards, { cache, onPass: passNotice(cache, onNotice) })
    : await openParquetShards(text, shards, { columns });
}
