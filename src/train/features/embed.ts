/** Features of a data set as a file. */
import { openLabelledSource } from "../../sources/labelled_source.ts";
import { isManifest } from "../../sources/manifest.ts";
import { isShardSet, openShards } from "../../sources/open_shards.ts";
import { openSource } from "../../sources/open_source.ts";
import { labelShards } from "../../sources/shard_source.ts";
import { type ImageSource, namesOf } from "../../sources/source.ts";
import { type TensorEntry, writeSafetensors } from "../../formats/safetensors.ts";
import { InputError, messageOf } from "../../util/errors.ts";
import { directoryOf, refuseExisting } from "../../util/files.ts";
import { FrozenEncoder, type FrozenOptions, type WhichEncoder } from "./frozen.ts";
import type { Features } from "./features.ts";

/** What to write, and where. */
export interface EmbedOptions extends FrozenOptions {
  /** Folder of images, searched recursively, a table of their paths, or one image. */
  readonly data: string;
  /** The file: it ends in `.safetensors` or `.parquet`. */
  readonly out: string;
  /** Whether a file that is there is replaced; false by default. */
  readonly force?: boolean;
}

/** What was written. */
export interface EmbedResult {
  /** The encoder, in one sentence. */
  readonly encoder: string;
  /** Images in the file. */
  readonly images: number;
  /** Values of a vector. */
  readonly width: number;
  /** What a vector is made of. */
  readonly pooling: "average" | "class_token";
  /** Names of the classes that the images lie in; null where they do not lie in folders of classes. */
  readonly classes: readonly string[] | null;
  /** Files that could not be read. */
  readonly brokenFiles: number;
}

/**
 * Writes the features of every image under a folder, in the order of their paths. What the file holds: docs/features.md.
 * @throws {InputError} when checkpoint, data or options cannot work, or the file is there and is not to be replaced
 * @throws {RunError} when no image can be read, or the file cannot be written
 */
export async function embed(which: WhichEncoder, options: EmbedOptions): Promise<EmbedResult> {
  const { data, out, force = false, onEvent = () => {} } = options;
  const write = writerFor(out);
  const onNotice = (message: string) => onEvent({ kind: "notice", message });
  const { source, labels } = await openWithLabels(data, onNotice);
  await checkTarget(out, force);
  const classes = labels && [...new Set(labels)].sort();
  const inClasses = classes ? `, in ${classes.length} classes` : "";
  onEvent({ kind: "notice", message: `${source.length} images under ${source.root}${inClasses}` });
  using encoder = await FrozenEncoder.open(which, options);
  const features = await encoder.features(source, "features");
  const { description, pooling, width } = encoder;
  await write(out, {
    features,
    paths: Array.from(features.samples, (sample) => source.name(sample)),
    labels: labels && Array.from(features.samples, (sample) => labels[sample]),
    classes,
    metadata: { program: "mae", encoder: description, pooling },
  });
  const brokenFiles = features.broken.length;
  return { encoder: description, images: features.samples.length, width, pooling, classes, brokenFiles };
}

/** What goes into a file. */
interface Table {
  readonly features: Features;
  /** [N], relative to the data set's folder. */
  readonly paths: readonly string[];
  /** [N], the class of each. */
  readonly labels: readonly string[] | null;
  /** Names of the classes, sorted. */
  readonly classes: readonly string[] | null;
  readonly metadata: Readonly<Record<string, string>>;
}

function writerFor(out: string): (out: string, table: Table) => Promise<void> {
  if (/\.safetensors$/i.test(out)) return writeTensors;
  if (/\.parquet$/i.test(out)) return writeTable;
  throw new InputError(
    `--out ${out} must end in .safetensors or .parquet, which says how the features are written`,
  );
}

/** Refuses what cannot be written before anything is computed; makes the folder. */
async function checkTarget(out: string, force: boolean): Promise<void> {
  await refuseExisting("--out", out, force);
  const folder = directoryOf(out);
  try {
    await Deno.mkdir(folder, { recursive: true });
    await Deno.remove(await Deno.makeTempFile({ dir: folder, suffix: ".tmp" }));
  } catch (error) {
    throw new InputError(`--out ${out}: nothing can be written to ${folder} (${messageOf(error)})`);
  }
}

/** The images, and the class of each: by folders, or as a table or shards say; null where not all have one. */
async function openWithLabels(
  data: string,
  onNotice: (message: string) => void,
): Promise<{ source: ImageSource; labels: readonly string[] | null }> {
  if (isManifest(data)) return await openTable(data);
  if (!await isShardSet(data)) {
    const source = await openSource(data);
    return { source, labels: classFolders(source) };
  }
  const source = await openShards(data, { onNotice });
  try {
    const { labels, classes } = await labelShards(source);
    return { source, labels: Array.from(labels, (label) => classes[label]) };
  } catch (error) {
    if (error instanceof InputError) return { source, labels: null }; // there are none, or not for all
    throw error;
  }
}

/** The images of a table, all of them, and their labels where every row has one. */
async function openTable(data: string): Promise<{ source: ImageSource; labels: readonly string[] | null }> {
  try {
    const source = await openLabelledSource(data);
    const { labels, classes, unlabelled } = source;
    if (unlabelled === 0) return { source, labels: Array.from(labels, (label) => classes[label]) };
  } catch (error) {
    if (!(error instanceof InputError)) throw error; // there are none, or a single one
  }
  return { source: await openSource(data), labels: null };
}

/** Folders that a data set may be divided into, above those of its classes. */
const parts = new Set(["train", "val", "validation", "test"]);

/** The class of each image: its first folder, under `train` and its like; null unless all lie in at least two. */
export function classFolders(source: Pick<ImageSource, "length" | "name">): string[] | null {
  const folders = namesOf(source).map((path) => path.split("/").slice(0, -1));
  const isDivided = folders.every(([first]) => parts.has(first ?? ""));
  const names = folders.flatMap((path) => path[isDivided ? 1 : 0] ?? []);
  return names.length === source.length && new Set(names).size > 1 ? names : null;
}

async function writeTensors(
  out: string,
  { features, paths, labels, classes, metadata }: Table,
): Promise<void> {
  const { values, width } = features;
  const encoded = paths.map((path) => new TextEncoder().encode(path));
  const ends = new BigInt64Array(paths.length + 1);
  encoded.forEach(({ length }, i) => ends[i + 1] = ends[i] + BigInt(length));
  const bytes = new Uint8Array(Number(ends[paths.length]));
  encoded.forEach((path, i) => bytes.set(path, Number(ends[i])));
  const entries: TensorEntry[] = [
    { name: "features", dtype: "F32", shape: [paths.length, width], data: values },
    { name: "path_offsets", dtype: "I64", shape: [ends.length], data: ends },
    { name: "path_bytes", dtype: "U8", shape: [bytes.length], data: bytes },
  ];
  if (labels && classes) {
    const numbers = new Map(classes.map((name, i) => [name, BigInt(i)]));
    const data = BigInt64Array.from(labels, (name) => numbers.get(name) ?? -1n);
    entries.push({ name: "labels", dtype: "I64", shape: [data.length], data });
  }
  await writeSafetensors(out, entries, { ...metadata, ...(classes && { classes: JSON.stringify(classes) }) });
}

async function writeTable(out: string, { features, paths, labels, metadata }: Table): Promise<void> {
  const { writeParquet } = await import("../../formats/parquet.ts"); // which only this needs
  const { values, width } = features;
  await writeParquet(out, [
    { kind: "text", name: "path", values: paths },
    ...(labels ? [{ kind: "text", name: "label", values: labels } as const] : []),
    { kind: "vectors", name: "features", width, values },
  ], metadata);
}
