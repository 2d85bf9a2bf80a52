/** Which columns of a manifest hold paths and labels. */
import { quoted } from "../util/quoted.ts";
import { didYouMean, InputError } from "../util/errors.ts";
import { inWords, isImageName } from "./image_folder.ts";

/** Columns that the user names; null finds them. */
export interface ManifestColumns {
  /** Name of the column of paths or addresses. */
  readonly path: string | null;
  /** Name of the column of labels. */
  readonly label: string | null;
}

/** Names of columns of paths, the best first; case and punctuation do not count. */
const PATH_NAMES = words(
  "path file_path file filename file_name image_path image_file img_path image_url url uri image img",
);

/** Names of columns of labels, the best first. */
const LABEL_NAMES = words("label class class_name label_name target category synset wnid cls y class_id");

function words(list: string): string[] {
  return list.split(" ").map(plain);
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
}

/** The columns of a manifest by their numbers. */
export interface FoundColumns {
  /** The column of paths. */
  readonly path: number;
  /** The column of labels; -1 where there is none. */
  readonly label: number;
  /** Whether the row that told them is a header and no sample. */
  readonly isHeader: boolean;
}

function find(names: readonly string[], known: readonly string[]): number {
  const plainNames = names.map(plain);
  const name = known.find((one) => plainNames.includes(one));
  return name === undefined ? -1 : plainNames.indexOf(name);
}

/** The place of a column that the user names. */
function named(names: readonly string[], wanted: string, key: string, manifest: string): number {
  const place = names.indexOf(wanted);
  if (place >= 0) return place;
  throw new InputError(
    `"${manifest}" has no column ${quoted(wanted)} (${key}): its columns are ${listed(names)}` +
      didYouMean(wanted, names),
  );
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 12).map(quoted);
  return inWords(names.length > 12 ? [...shown, `${names.length - 12} more`] : shown, "and");
}

/**
 * The columns of a manifest, by the names that the user gives, by names that are usual, or, of a CSV file without a header, by
 * what looks like the path of an image.
 * @param names the first row of a CSV file, or the keys of the first JSON object
 * @param mayLackHeader whether the names may be a sample, as in CSV
 * @throws {InputError} where no column of paths, or none with a name that the user gave, can be found
 */
export function findColumns(
  names: readonly string[],
  columns: ManifestColumns,
  manifest: string,
  mayLackHeader: boolean,
): FoundColumns {
  const label = columns.label === null
    ? find(names, LABEL_NAMES)
    : named(names, columns.label, "data.label_column", manifest);
  if (columns.path !== null) {
    return { path: named(names, columns.path, "data.path_column", manifest), label, isHeader: true };
  }
  const path = find(names, PATH_NAMES);
  if (path >= 0) return { path, label, isHeader: true };
  const looksLikeImage = mayLackHeader && label < 0 ? names.findIndex(isImageName) : -1;
  if (looksLikeImage >= 0) {
    const other = names.length === 2 ? 1 - looksLikeImage : -1;
    return { path: looksLikeImage, label: other, isHeader: false };
  }
  throw new InputError(
    `"${manifest}" has no column that is known to hold paths: its columns are ${listed(names)}; ` +
      "call it path, or name it with data.path_column",
  );
}

/** The error about a manifest without labels. */
export function noLabels(manifest: string, names: readonly string[]): InputError {
  return new InputError(
    `"${manifest}" has no column that is known to hold labels: its columns are ${listed(names)}; ` +
      "call it label, or name it with data.label_column",
  );
}
