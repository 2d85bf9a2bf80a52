/** What is packed: the samples of any data set, and their labels where they have some. */
import { InputError } from "../util/errors.ts";
import { openLabelledSource } from "../sources/labelled_source.ts";
import { isManifest } from "../sources/manifest.ts";
import { isShardSet } from "../sources/open_shards.ts";
import { openSource, type SourceOptions } from "../sources/open_source.ts";
import { labelsByFolder, type PackedLabels } from "./pack_names.ts";
import type { ImageSource } from "../sources/source.ts";

/** Samples to be packed. */
export interface PackSource {
  /** The images. */
  readonly source: ImageSource;
  /** Their classes, where they have any. */
  readonly labels?: PackedLabels;
}

/**
 * Opens a data set to be packed.
 * @throws {InputError} where there is none, or where a table or shards have no labels and those are not to be left out
 */
export async function openForPacking(
  text: string,
  { unlabelled = false, ...options }: SourceOptions & { readonly unlabelled?: boolean } = {},
): Promise<PackSource> {
  if (unlabelled) return { source: await openSource(text, options) };
  if (!isManifest(text) && !await isShardSet(text)) {
    const source = await openSource(text, options);
    return { source, labels: labelsByFolder(source) };
  }
  try {
    const labelled = await openLabelledSource(text, options);
    return { source: labelled, labels: labelled };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`${error.message}; --unlabelled packs images without labels`);
  }
}
