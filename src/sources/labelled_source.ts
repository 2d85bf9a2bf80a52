/** From what the user calls a labelled data set to its samples and labels. */
import type { DataSource } from "../config/types.ts";
import type { Storage } from "../storage/storage.ts";
import { sortByBytes } from "../util/byte_order.ts";
import { InputError } from "../util/errors.ts";
import { checkAlike } from "./alike.ts";
import { labelByFolders, listLabelledFolder } from "./class_folders.ts";
import { listImageNetValidation } from "./imagenet.ts";
import { joinSources } from "./joined_source.ts";
import type { LabelledSource } from "./labelled.ts";
import { isManifest, listLabelledManifest } from "./manifest.ts";
import { patientStorage } from "./patient_storage.ts";
import { isShardSet, openShards } from "./open_shards.ts";
import { checkManifest, entriesOf, openEntry, type SourceOptions } from "./open_source.ts";
import { isRemote } from "./remote_files.ts";
import { labelShards } from "./shard_source.ts";

/** Labelled images with the names of their classes. */
export type ClassifiedSource = LabelledSource & {
  /** Names of the classes; a label is an index into them. */
  readonly classes: readonly string[];
};

async function openLabelledEntry(
  path: string,
  options: SourceOptions & { readonly storage: Storage },
  classes?: readonly string[],
): Promise<ClassifiedSource> {
  if (await isShardSet(path)) return await labelShards(await openShards(path, options), classes);
  if (!isManifest(path)) {
    return isRemote(path)
      ? labelByFolders(await openEntry(path, options), classes)
      : await listImageNetValidation(path, classes) ?? await listLabelledFolder(path, classes);
  }
  await checkManifest(path);
  const { source, labels, unlabelled, classes: names } = await listLabelledManifest(
    path,
    options.columns,
    classes,
    options.storage,
  );
  if (names.length > 1) return { ...source, labels, unlabelled, classes: names };
  throw new InputError(`"${path}" holds only one class, "${names[0]}"; at least two are needed`);
}

/** Labels as indices into other names of the same classes. */
function relabelled({ labels, classes }: ClassifiedSource, names: readonly string[]): Uint32Array {
  const numbers = new Map(names.map((name, number) => [name, number]));
  const own = Uint32Array.from(classes, (name) => numbers.get(name) ?? 0);
  return labels.map((label) => own[label]);
}

/**
 * The images of a data set with their labels: of a folder with one folder per class, of a manifest with a column of labels, of
 * shards, or of several of these, whose classes are put together.
 * @param classes the names that labels count, such as a checkpoint's; by default those that occur, at least two
 * @throws {InputError} one sentence that names what is missing, empty or wrong
 */
export async function openLabelledSource(
  data: DataSource,
  options: SourceOptions = {},
  classes?: readonly string[],
): Promise<ClassifiedSource> {
  const entries = entriesOf(data);
  const storage = options.storage ?? patientStorage(options.onNotice);
  const opened: ClassifiedSource[] = [];
  for (const { source } of entries) {
    opened.push(await openLabelledEntry(source, { ...options, storage }, classes));
  }
  if (opened.length === 1) return opened[0];
  if (options.images) await checkAlike(opened, options.images);
  const names = classes ?? sortByBytes([...new Set(opened.flatMap((one) => one.classes))]);
  const joined = joinSources(opened.map((source, i) => ({ source, weight: entries[i].weight })));
  const labels = new Uint32Array(joined.length);
  let start = 0;
  for (const source of opened) {
    labels.set(relabelled(source, names), start);
    start += source.length;
  }
  const unlabelled = opened.reduce((sum, source) => sum + source.unlabelled, 0);
  return { ...joined, labels, unlabelled, classes: names };
}
