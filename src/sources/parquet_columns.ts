/** Which columns of a Parquet file are images and labels, as the Hugging Face hub and others write them. */
import { isMapping } from "../config/layers.ts";
import { malformedParquet, type ParquetColumn, type ParquetFooter } from "../formats/parquet_footer.ts";
import { didYouMean, InputError } from "../util/errors.ts";
import { quoted } from "../util/quoted.ts";
import { isWords } from "./tar_index.ts";

/** Names that columns may be given. */
export interface ColumnNames {
  /** The column of images. */
  readonly path?: string | null;
  /** The column of labels. */
  readonly label?: string | null;
}

/** Places of columns in a file's list. */
export interface ImageColumns {
  /** The column of the images' bytes. */
  readonly image: number;
  /** The column of labels, where there is one. */
  readonly label: number | undefined;
}

/** Usual names, the best first. */
const IMAGE_NAMES = ["image", "img", "jpg", "jpeg", "png", "webp", "picture", "photo", "pixel_values"];
const LABEL_NAMES = ["label", "labels", "cls", "class", "fine_label", "target"];

/** The column's name as a user sees it: a group of bytes and path is one. */
function nameOf({ path }: ParquetColumn): string {
  return path.replace(/\.bytes$/, "");
}

const isBytes = ({ type, isText, maxRepetition }: ParquetColumn) =>
  type === "BYTE_ARRAY" && !isText && maxRepetition === 0;
const isLabel = ({ type, isText, maxRepetition }: ParquetColumn) =>
  maxRepetition === 0 && (type === "INT32" || type === "INT64" || type === "BYTE_ARRAY" && isText);

function listed(columns: readonly ParquetColumn[]): string {
  const names = columns.map((column) => quoted(nameOf(column)));
  return names.length > 8 ? `${names.slice(0, 8).join(", ")} and ${names.length - 8} more` : names.join(", ");
}

/** A column by the name that the user gave. */
function named(
  shown: string,
  { columns }: ParquetFooter,
  name: string,
  what: string,
  isRight: (column: ParquetColumn) => boolean,
): number {
  const found = columns.findIndex((column) => nameOf(column) === name && isRight(column));
  if (found >= 0) return found;
  const other = columns.find((column) => nameOf(column) === name || column.path.startsWith(`${name}.`));
  if (other) {
    throw new InputError(`"${shown}" has a column "${name}", but it holds no ${what}: ${other.type}`);
  }
  const near = didYouMean(name, columns.map(nameOf));
  throw new InputError(`"${shown}" has no column "${name}"${near || `; it has ${listed(columns)}`}`);
}

function usual(
  columns: readonly ParquetColumn[],
  names: readonly string[],
  isRight: (column: ParquetColumn) => boolean,
): number | undefined {
  for (const name of names) {
    const found = columns.findIndex((column) => nameOf(column) === name && isRight(column));
    if (found >= 0) return found;
  }
  return undefined;
}

/**
 * Finds the columns of images and labels. Images are bytes, in a column of their own or in a group with a path; the usual names
 * are tried first, then the only column that fits. Labels are whole numbers or text.
 * @throws {InputError} where there is no such column, or no telling which
 */
export function findColumns(shown: string, footer: ParquetFooter, names: ColumnNames = {}): ImageColumns {
  const { columns } = footer;
  const label = names.label
    ? named(shown, footer, names.label, "labels", isLabel)
    : usual(columns, LABEL_NAMES, isLabel);
  if (names.path) return { image: named(shown, footer, names.path, "bytes of images", isBytes), label };
  const fitting = columns.filter(isBytes);
  const image = usual(columns, IMAGE_NAMES, isBytes) ??
    (fitting.length === 1 ? columns.indexOf(fitting[0]) : undefined);
  if (image !== undefined) return { image, label };
  if (columns.length === 0) throw malformedParquet(shown, "it has no columns");
  throw new InputError(
    fitting.length === 0
      ? `"${shown}" has no column of images; its columns are ${listed(columns)}`
      : `"${shown}" has several columns of bytes, ${listed(fitting)}; name the images' with data.path_column`,
  );
}

/** The names of a column's classes that the Hugging Face hub keeps in the file's metadata, or undefined. */
export function hubClasses({ metadata }: ParquetFooter, column: string): string[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(metadata.get("huggingface") ?? "null");
  } catch {
    return undefined;
  }
  for (const key of ["info", "features", column, "names"]) {
    value = isMapping(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  }
  return isWords(value) && value.length > 0 && new Set(value).size === value.length ? value : undefined;
}
