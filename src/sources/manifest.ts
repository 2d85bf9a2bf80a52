/** Data sets in a table: a CSV, TSV or JSON Lines file with a path or address per image, and perhaps a label. */
import type { ByteSource } from "../formats/byte_source.ts";
import { eachCsvRow, eachJsonRow, type TableFormat, tableFormatOf } from "../formats/table_rows.ts";
import { Storage } from "../storage/storage.ts";
import { sortByBytes } from "../util/byte_order.ts";
import { didYouMean, InputError } from "../util/errors.ts";
import { quoted } from "../util/quoted.ts";
import { TextTable } from "../util/text_table.ts";
import { findColumns, type FoundColumns, type ManifestColumns, noLabels } from "./manifest_columns.ts";
import { checkPath, resolvePath, shownPath } from "./manifest_paths.ts";
import { isRemote, RemoteFiles } from "./remote_files.ts";
import type { ImageSource } from "./source.ts";

/** Where nobody names columns. */
export const anyColumns: ManifestColumns = { path: null, label: null };

/** A manifest as it was read. */
interface Rows {
  /** Paths as they stand there. */
  readonly paths: TextTable;
  /** For each row the number of its label among `names`; only where labels were asked for. */
  readonly labels: Uint32Array;
  /** The labels, in the order in which they were met, or the classes that were given. */
  readonly names: readonly string[];
  /** Rows without a label, which are left out. */
  readonly unlabelled: number;
}

/** Reads rows one by one into little memory. */
class RowReader {
  readonly paths = new TextTable();
  unlabelled = 0;
  #labels = new Uint32Array(1024);
  readonly #numbers: Map<string, number>;

  /** @param classes null where no labels are wanted, undefined where any may be */
  constructor(
    private readonly manifest: string,
    private readonly classes: readonly string[] | null | undefined,
  ) {
    this.#numbers = new Map(classes?.map((name, number) => [name, number]));
  }

  /** Takes in a row. */
  add(path: string, label: string, line: number): void {
    const where = `"${this.manifest}" line ${line}`;
    if (path === "") throw new InputError(`${where} has no path`);
    checkPath(path, isRemote(this.manifest), where);
    if (this.classes === null) return this.paths.add(path);
    if (label === "") {
      this.unlabelled++;
      return;
    }
    if (this.paths.length === this.#labels.length) {
      this.#labels = new Uint32Array(this.#labels.buffer.transfer(2 * this.#labels.byteLength));
    }
    this.#labels[this.paths.length] = this.#numberOf(label, where);
    this.paths.add(path);
  }

  #numberOf(label: string, where: string): number {
    const known = this.#numbers.get(label);
    if (known !== undefined) return known;
    if (this.classes) {
      throw new InputError(
        `${where} has the label ${
          quoted(label)
        }, which is none of the ${this.classes.length} classes that are known` +
          didYouMean(label, this.classes),
      );
    }
    this.#numbers.set(label, this.#numbers.size);
    return this.#numbers.size - 1;
  }

  /** Everything that was read. */
  rows(): Rows {
    const { paths, unlabelled } = this;
    return {
      paths,
      unlabelled,
      labels: this.#labels.slice(0, paths.length),
      names: [...this.#numbers.keys()],
    };
  }
}

async function readRows(
  bytes: ByteSource,
  format: TableFormat,
  manifest: string,
  columns: ManifestColumns,
  reader: RowReader,
  wantsLabels: boolean,
): Promise<void> {
  let found: FoundColumns | undefined;
  const look = (names: readonly string[]): FoundColumns => {
    const columnsFound = findColumns(names, columns, manifest, format !== "jsonl");
    if (wantsLabels && columnsFound.label < 0) throw noLabels(manifest, names);
    return columnsFound;
  };
  if (format === "jsonl") {
    let [pathKey, labelKey] = ["", ""];
    await eachJsonRow(bytes, manifest, (row, line) => {
      if (found === undefined) {
        const keys = Object.keys(row);
        found = look(keys);
        [pathKey, labelKey] = [keys[found.path], keys[found.label]];
      }
      reader.add(textOf(row[pathKey]), textOf(row[labelKey]), line);
    });
  } else {
    await eachCsvRow(bytes, format, manifest, (cells, line) => {
      const isFirst = found === undefined;
      found ??= look(cells.map((cell) => cell.trim()));
      if (isFirst && found.isHeader) return;
      reader.add(cells[found.path]?.trim() ?? "", cells[found.label]?.trim() ?? "", line);
    });
  }
}

/** A value of a JSON object as text; what is neither text nor number nor truth is none. */
function textOf(value: unknown): string {
  return typeof value === "string"
    ? value.trim()
    : typeof value === "number" || typeof value === "boolean"
    ? String(value)
    : "";
}

/** Whether a path names a manifest, by its ending. */
export function isManifest(path: string): boolean {
  return formatOf(path) !== undefined;
}

function formatOf(path: string): TableFormat | undefined {
  return tableFormatOf(isRemote(path) ? path.replace(/[?#].*$/s, "") : path);
}

async function read(
  manifest: string,
  columns: ManifestColumns,
  classes: readonly string[] | null | undefined,
  storage: Storage,
): Promise<Rows> {
  const format = formatOf(manifest);
  if (format === undefined) throw new InputError(`"${manifest}" is no .csv, .tsv or .jsonl file`);
  const reader = new RowReader(manifest, classes);
  using bytes = await storage.open(manifest);
  await readRows(bytes, format, manifest, columns, reader, classes !== null);
  const rows = reader.rows();
  if (rows.paths.length > 0) return rows;
  const why = rows.unlabelled > 0 ? `none of its ${rows.unlabelled} rows has a label` : "it has no rows";
  throw new InputError(`There are no images in "${manifest}": ${why}`);
}

function sourceOf(manifest: string, { paths }: Rows, storage: Storage): ImageSource {
  const remote = new RemoteFiles(storage);
  const path = (sample: number) => resolvePath(manifest, paths.at(sample));
  return {
    root: shownPath(manifest),
    length: paths.length,
    others: 0,
    name: (sample) => paths.at(sample),
    path: (sample) => shownPath(path(sample)),
    locate(sample) {
      const own = path(sample);
      return isRemote(own) ? remote.fetch(own) : { kind: "file", path: own };
    },
  };
}

/**
 * The images of a manifest; its labels, if there are any, are passed over.
 * @param storage reads what lies behind the network
 * @throws {InputError} naming the manifest, and the line where it is one that will not do
 */
export async function listManifest(
  manifest: string,
  columns: ManifestColumns = anyColumns,
  storage: Storage = new Storage(),
): Promise<ImageSource> {
  return sourceOf(manifest, await read(manifest, columns, null, storage), storage);
}

/** A manifest's images with their labels. */
export interface LabelledRows {
  /** The images; rows without a label are left out. */
  readonly source: ImageSource;
  /** For each the number of its class. */
  readonly labels: Uint32Array;
  /** Names of the classes. */
  readonly classes: readonly string[];
  /** Rows that were left out. */
  readonly unlabelled: number;
}

/**
 * The images of a manifest with their labels.
 * @param classes the names that labels count; by default the labels that occur, in byte order, or in the order of their values
 * where all are whole numbers
 * @param storage reads what lies behind the network
 * @throws {InputError} naming the manifest, and the line where it is one that will not do, such as a label that is no class
 */
export async function listLabelledManifest(
  manifest: string,
  columns: ManifestColumns = anyColumns,
  classes?: readonly string[],
  storage: Storage = new Storage(),
): Promise<LabelledRows> {
  const rows = await read(manifest, columns, classes, storage);
  const source = sourceOf(manifest, rows, storage);
  const { labels, unlabelled, names } = rows;
  if (classes) return { source, labels, classes, unlabelled };
  const sorted = names.every((name) => /^\d{1,15}$/.test(name))
    ? [...names].sort((a, b) => Number(a) - Number(b))
    : sortByBytes([...names]);
  const places = new Map(sorted.map((name, place) => [name, place]));
  const placeOf = Uint32Array.from(names, (name) => places.get(name) ?? 0);
  for (let row = 0; row < labels.length; row++) labels[row] = placeOf[labels[row]];
  return { source, labels, classes: sorted, unlabelled };
}
