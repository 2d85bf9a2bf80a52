/** From what the user calls a data set to its samples. */
import type { DataConfig, DataSource } from "../config/types.ts";
import type { Storage } from "../storage/storage.ts";
import { InputError } from "../util/errors.ts";
import { didYouMeanPath, pathExists } from "../util/files.ts";
import { checkAlike } from "./alike.ts";
import { listImages } from "./image_folder.ts";
import { joinSources, type WeightedSource } from "./joined_source.ts";
import { isManifest, listManifest } from "./manifest.ts";
import type { ManifestColumns } from "./manifest_columns.ts";
import { patientStorage } from "./patient_storage.ts";
import { isShardSet, openShards, type ShardOptions } from "./open_shards.ts";
import { isRemote } from "./remote_files.ts";
import { listRemoteImages } from "./remote_images.ts";
import type { ImageSettings } from "./read_image.ts";
import type { ImageSource } from "./source.ts";

/** How data sets are opened. */
export interface SourceOptions extends Omit<ShardOptions, "columns"> {
  /** Columns of manifests and Parquet files, where their names tell too little. */
  readonly columns?: ManifestColumns;
  /** How the images will be decoded: several data sets are then checked to have the channels that this takes. */
  readonly images?: ImageSettings;
}

/** The columns that a configuration names. */
export function columnsOf(
  { pathColumn, labelColumn }: Pick<DataConfig, "pathColumn" | "labelColumn">,
): ManifestColumns {
  return { path: pathColumn, label: labelColumn };
}

/** The data sets that a configuration or an argument names, each with its weight. */
export function entriesOf(
  data: DataSource,
): readonly { readonly source: string; readonly weight: number | null }[] {
  return typeof data === "string" ? [{ source: data, weight: null }] : data;
}

/** Refuses a manifest of this machine that is not there. */
export async function checkManifest(path: string): Promise<void> {
  if (!isRemote(path) && !await pathExists(path)) {
    throw new InputError(`There is no file "${path}"${await didYouMeanPath(path)}`);
  }
}

/** The images of one entry. */
export async function openEntry(
  path: string,
  options: SourceOptions & { readonly storage: Storage },
): Promise<ImageSource> {
  if (await isShardSet(path)) return await openShards(path, options);
  if (isManifest(path)) {
    await checkManifest(path);
    return await listManifest(path, options.columns, options.storage);
  }
  return isRemote(path) ? await listRemoteImages(path, options.storage) : await listImages(path);
}

/**
 * The images of a data set: of a folder, of a manifest, of shards, a single one, or several of these.
 * @throws {InputError} one sentence that names what is missing, empty or wrong
 */
export async function openSource(data: DataSource, options: SourceOptions = {}): Promise<ImageSource> {
  const storage = options.storage ?? patientStorage(options.onNotice);
  const opened: WeightedSource[] = [];
  for (const { source, weight } of entriesOf(data)) {
    opened.push({ source: await openEntry(source, { ...options, storage }), weight });
  }
  if (options.images) await checkAlike(opened.map(({ source }) => source), options.images);
  return joinSources(opened);
}
