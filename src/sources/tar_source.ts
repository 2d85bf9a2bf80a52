/** WebDataset tar shards as a data set. */
import { InputError } from "../util/errors.ts";
import { BlockCache } from "../storage/block_cache.ts";
import { BrokenImageError } from "../images/image.ts";
import { OpenFiles, roomForImages, sharedCopy } from "./open_files.ts";
import { SampleNumbers, type ShardSource } from "./shard_source.ts";
import { type ShardFile, ShardTables, type TableOptions } from "./shard_tables.ts";
import { isWords } from "./tar_index.ts";

/** The list of classes beside shards. */
export const CLASSES_FILE = "classes.json";

/** Larger images are refused unread. */
const MAX_IMAGE = 2 ** 30;

/** The names in a `classes.json`. Throws `InputError` where it holds no list of distinct names. */
function parseClasses(bytes: Uint8Array, shown: string): string[] {
  const wrong = () =>
    new InputError(`"${shown}" must hold a JSON list of the names of the classes, each once`);
  let names: unknown;
  try {
    names = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw wrong();
  }
  if (!isWords(names) || names.length === 0 || new Set(names).size < names.length) throw wrong();
  return names;
}

/**
 * Opens tar shards.
 *
 * @param root what the user calls them all
 * @param shards at least one
 * @throws {InputError} one sentence with the shard, and where it helps the entry, for one that is missing, cut, damaged or no
 * tar archive, and where there is no image in any
 */
export async function openTarShards(
  root: string,
  shards: readonly ShardFile[],
  options: TableOptions = {},
): Promise<ShardSource> {
  const tables = await ShardTables.open(shards, options);
  const numbers = new SampleNumbers(tables.counts);
  if (numbers.length === 0) {
    const files = shards.length === 1 ? "is a tar file" : `stands for ${shards.length} tar files`;
    throw new InputError(`"${root}" ${files} without images: ${tables.others} other entries`);
  }
  const classBytes = await shards[0].beside(CLASSES_FILE);
  const blocks = new BlockCache({ maxBytes: roomForImages() });
  const remote = new OpenFiles(shards, (source) => blocks.open(source));
  /** A sample's shard and, while it can be had, its table. */
  const find = (sample: number) => {
    const { shard, row } = numbers.find(sample);
    return { shard, file: shards[shard], row, table: tables.table(shard) };
  };
  const filled = [...shards.keys()].filter((shard) => tables.counts[shard] > 0);
  return {
    root,
    length: numbers.length,
    others: tables.others,
    shards: filled.map((shard) => ({ name: shards[shard].name, samples: tables.counts[shard] })),
    classes: classBytes && parseClasses(classBytes, `${CLASSES_FILE} beside ${shards[0].shown}`),
    withoutLabel: `it has neither a .cls nor a .json with "label"`,
    name(sample) {
      const { file, row, table } = find(sample);
      return `${file.name}/${table?.names.at(row) ?? row}`;
    },
    path(sample) {
      const { file, row, table } = find(sample);
      const entry = table ? `${table.names.at(row)} at byte ${table.offsets[row]}` : `image ${row}`;
      return `${file.shown}, entry ${entry}`;
    },
    locate(sample) {
      const { shard, file, row, table } = find(sample);
      if (table === undefined) throw new BrokenImageError("the table of its shard has vanished");
      const [offset, length] = [table.offsets[row], table.lengths[row]];
      if (file.isLocal) return { kind: "range", path: file.address, offset, length };
      if (length > MAX_IMAGE) throw new BrokenImageError(`it has ${length} bytes, more than any image needs`);
      return remote.read(shard, offset, length).then((bytes) => ({
        kind: "bytes",
        bytes: sharedCopy(bytes),
      }));
    },
    labelsOf(shard) {
      const table = tables.table(filled[shard]);
      if (table === undefined) {
        throw new InputError(`the table of "${shards[filled[shard]].shown}" has vanished`);
      }
      return Promise.resolve(table);
    },
  };
}
