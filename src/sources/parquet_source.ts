/** Parquet shards as a data set, as the Hugging Face hub stores images. */
import { type ColumnChunk, type ParquetColumn, readParquetFooter } from "../formats/parquet_footer.ts";
import { decodeByteColumn, decodeNumberColumn, ParquetPageError } from "../formats/parquet_pages.ts";
import { InputError } from "../util/errors.ts";
import { mapSideBySide } from "../util/limiter.ts";
import { OpenFiles } from "./open_files.ts";
import { type ColumnNames, findColumns, hubClasses } from "./parquet_columns.ts";
import { GroupImages, type ImageGroup } from "./parquet_groups.ts";
import { SampleNumbers, type ShardLabels, type ShardSource } from "./shard_source.ts";
import type { ShardFile } from "./shard_tables.ts";
import { numberedLabels } from "./tar_index.ts";

/** How Parquet shards are opened. */
export interface ParquetOptions {
  /** Columns, where their names tell too little. */
  readonly columns?: ColumnNames;
  /** Bytes of decoded images that may be held in memory. */
  readonly heldBytes?: number;
}

/** A row group. */
interface Group extends ImageGroup {
  /** The number of its first row in its file. */
  readonly firstRow: number;
  /** The column of labels and its chunk, where there is one. */
  readonly label?: { readonly column: ParquetColumn; readonly chunk: ColumnChunk };
}

/** What a file's footer says. */
interface FileGroups {
  readonly groups: readonly Omit<Group, "start">[];
  readonly classes?: readonly string[];
}

/** Files whose footers are read side by side. */
const AT_ONCE = 8;
/** Beyond so many row groups a shard is a file: each shard of the order takes some memory. */
const MOST_GROUPS = 200_000;

async function readFile(shard: ShardFile, file: number, names: ColumnNames | undefined): Promise<FileGroups> {
  using source = await shard.open();
  const footer = await readParquetFooter(source, shard.shown);
  const { image, label } = findColumns(shard.shown, footer, names);
  const { columns, rowGroups } = footer;
  let firstRow = 0;
  const groups = rowGroups.filter(({ rows }) => rows > 0).map(({ rows, chunks }) => {
    const group = {
      file,
      firstRow,
      rows,
      column: columns[image],
      chunk: chunks[image],
      label: label === undefined ? undefined : { column: columns[label], chunk: chunks[label] },
    };
    firstRow += rows;
    return group;
  });
  return { groups, classes: label === undefined ? undefined : hubClasses(footer, columns[label].path) };
}

function sameClasses(
  shards: readonly ShardFile[],
  files: readonly FileGroups[],
): readonly string[] | undefined {
  const { classes } = files[0];
  const other = files.findIndex((file) => file.classes?.join("\0") !== classes?.join("\0"));
  if (other < 0) return classes;
  throw new InputError(`"${shards[0].shown}" and "${shards[other].shown}" name different classes`);
}

/** The labels of a row group. Throws `InputError` where they cannot be read. */
async function readLabels(files: OpenFiles, shown: string, group: Group): Promise<ShardLabels> {
  const { label, file, rows } = group;
  if (label === undefined) return { labels: new Int32Array(rows).fill(-1), words: [] };
  const { column, chunk } = label;
  const bytes = await files.read(file, chunk.offset, chunk.length);
  try {
    const decoder = new TextDecoder();
    const values = column.type === "BYTE_ARRAY"
      ? decodeByteColumn(bytes, chunk, column).map((text) => text && decoder.decode(text))
      : decodeNumberColumn(bytes, chunk, column).map((number) => number?.toString());
    if (values.length !== rows) throw new ParquetPageError(`it has ${values.length} labels in ${rows} rows`);
    const [label] = values.filter((value) => column.type !== "BYTE_ARRAY" && value?.startsWith("-"));
    // The hub writes -1 where a part of a data set has no labels.
    if (label !== undefined) return { labels: new Int32Array(rows).fill(-1), words: [] };
    return numberedLabels(values);
  } catch (error) {
    if (!(error instanceof ParquetPageError)) throw error;
    throw new InputError(
      `"${shown}": its labels from row ${group.firstRow} on cannot be read: ${error.message}`,
    );
  }
}

/**
 * Opens Parquet shards. Their row groups are what training reads in turn; images of a group are decoded together and held until
 * their turn comes.
 *
 * @param root what the user calls them all
 * @param shards at least one
 * @throws {InputError} one sentence with the shard for one that is missing, cut, damaged, without a column of images, or stored in
 * a way that is not supported
 */
export async function openParquetShards(
  root: string,
  shards: readonly ShardFile[],
  { columns, heldBytes }: ParquetOptions = {},
): Promise<ShardSource> {
  const files = await mapSideBySide(shards, AT_ONCE, (shard, file) => readFile(shard, file, columns));
  const classes = sameClasses(shards, files);
  const found = files.flatMap(({ groups }) => groups);
  const numbers = new SampleNumbers(found.map(({ rows }) => rows));
  if (numbers.length === 0) throw new InputError(`"${root}" has no rows`);
  const groups = found.map((group, i): Group => ({ ...group, start: numbers.startOf(i) }));
  const opened = new OpenFiles(shards);
  const images = new GroupImages(opened, heldBytes);
  const find = (sample: number) => {
    const { shard, row } = numbers.find(sample);
    return { group: groups[shard], row, file: shards[groups[shard].file] };
  };
  await tryFirst(shards[0].shown, images, groups[0]);
  return {
    root,
    length: numbers.length,
    others: 0,
    shards: shardsOf(shards, groups),
    classes,
    withoutLabel:
      `its row has none in a column "label" of whole numbers or text; data.label_column names another`,
    name(sample) {
      const { group, row, file } = find(sample);
      return `${file.name}/${group.firstRow + row}`;
    },
    path(sample) {
      const { group, row, file } = find(sample);
      return `${file.shown}, row ${group.firstRow + row}`;
    },
    async locate(sample) {
      const { group, row } = find(sample);
      return { kind: "bytes", bytes: await images.take(group, row) };
    },
    labelsOf: (shard) => labelsOfShard(opened, shards, groups, shard),
  };
}

/** Row groups, or files where there are too many groups. */
function shardsOf(shards: readonly ShardFile[], groups: readonly Group[]): ShardSource["shards"] {
  if (groups.length <= MOST_GROUPS) {
    return groups.map(({ file, firstRow, rows }) => ({
      name: `${shards[file].name}/${firstRow}`,
      samples: rows,
    }));
  }
  return filesOf(groups).map((own) => ({
    name: shards[own[0].file].name,
    samples: own.reduce((sum, { rows }) => sum + rows, 0),
  }));
}

/** The groups of each file that has any. */
function filesOf(groups: readonly Group[]): Group[][] {
  return [...Map.groupBy(groups, ({ file }) => file).values()];
}

async function labelsOfShard(
  files: OpenFiles,
  shards: readonly ShardFile[],
  groups: readonly Group[],
  shard: number,
): Promise<ShardLabels> {
  const own = groups.length <= MOST_GROUPS ? [groups[shard]] : filesOf(groups)[shard];
  const parts: ShardLabels[] = [];
  for (const group of own) parts.push(await readLabels(files, shards[group.file].shown, group));
  if (parts.length === 1) return parts[0];
  return numberedLabels(
    parts.flatMap(({ labels, words }) =>
      Array.from(labels, (label) => label < 0 ? undefined : words[label] ?? String(label))
    ),
  );
}

/** Decodes the first row group, so that what is stored in an unsupported way is refused before anything begins. */
async function tryFirst(shown: string, images: GroupImages, group: Group): Promise<void> {
  const damage = await images.prepare(group);
  if (damage !== undefined) throw new InputError(`"${shown}" cannot be read: its first row group: ${damage}`);
}
