/**
 * The table of a WebDataset shard: which entries are images, where their bytes lie, and what their labels are. Members
 * that follow each other and have the same path up to the first dot of the last part are one sample:
 * https://github.com/webdataset/webdataset#the-webdataset-format.
 */
import { isMapping } from "../config/layers.ts";
import type { ByteSource } from "../formats/byte_source.ts";
import { decodeSafetensors, encodeSafetensors } from "../formats/safetensors.ts";
import { type TarEntry, TarReader } from "../formats/tar.ts";
import { TextTable } from "../util/text_table.ts";
import { IMAGE_EXTENSIONS } from "./image_folder.ts";

/** The samples of one shard, in its order. */
export interface TarIndex {
  /** Number of samples. */
  readonly samples: number;
  /** Entries that belong to no image. */
  readonly others: number;
  /** First byte of each image in the shard. */
  readonly offsets: Float64Array;
  /** Bytes of each image. */
  readonly lengths: Uint32Array;
  /** Paths of the images in the shard. */
  readonly names: TextTable;
  /** Label of each sample, an index into `words` where there are any, else the number itself; -1 where it has none. */
  readonly labels: Int32Array;
  /** The labels that occur, unless all of them are whole numbers. */
  readonly words: readonly string[];
}

/** Longest member that a label is looked for in, in bytes. */
const MAX_LABEL_BYTES = 64 * 2 ** 10;
/** Largest number that may be a label. */
const MAX_LABEL = 2 ** 31 - 1;
/** Endings of members that hold labels, the best first. */
const LABEL_ENDINGS = ["cls", "json", "txt"];
/** Keys of a JSON object that hold the label, the best first. */
const LABEL_KEYS = ["label", "cls", "class", "target"];

/** A path up to the first dot of its last part, and what follows the dot, in small letters. */
export function splitKey(path: string): { readonly key: string; readonly ending: string } {
  const dot = path.indexOf(".", path.lastIndexOf("/") + 1);
  return dot < 0
    ? { key: path, ending: "" }
    : { key: path.slice(0, dot), ending: path.slice(dot + 1).toLowerCase() };
}

/** The label in a member's text, or undefined: a whole number or a name; in a plain text only a number is one. */
function labelIn(ending: string, text: string): string | undefined {
  if (ending === "json") return labelInJson(text);
  const word = text.trim();
  const isNumber = /^\d{1,10}$/.test(word);
  return word !== "" && (ending === "cls" || isNumber) ? word : undefined;
}

function labelInJson(text: string): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // other things may lie beside images, and labels may be of no interest
  }
  if (isMapping(value)) {
    const object = value;
    value = LABEL_KEYS.map((key) => Object.hasOwn(object, key) ? object[key] : undefined)
      .find((label) => label !== undefined);
  }
  const isLabel = typeof value === "string" || Number.isSafeInteger(value);
  return isLabel ? String(value).trim() || undefined : undefined;
}

/** Members of one sample, as they come. */
interface Group {
  readonly key: string;
  image?: TarEntry;
  label?: string;
  /** Rank of the ending that the label came from. */
  labelRank: number;
  members: number;
}

/** Samples of a shard, as they are found. */
class IndexBuilder {
  readonly #offsets: number[] = [];
  readonly #lengths: number[] = [];
  readonly #names = new TextTable();
  readonly #labels: (string | undefined)[] = [];
  #others = 0;

  add({ image, label, members }: Group): void {
    if (image === undefined) {
      this.#others += members;
      return;
    }
    this.#offsets.push(image.offset);
    this.#lengths.push(image.size);
    this.#names.add(image.name);
    this.#labels.push(label);
  }

  finish(): TarIndex {
    return {
      samples: this.#offsets.length,
      others: this.#others,
      offsets: Float64Array.from(this.#offsets),
      lengths: Uint32Array.from(this.#lengths),
      names: this.#names,
      ...numberedLabels(this.#labels),
    };
  }
}

/** Labels as a table keeps them: their own numbers where all are numbers, else those of the distinct words. */
export function numberedLabels(labels: readonly (string | undefined)[]): Pick<TarIndex, "labels" | "words"> {
  const isNumber = (label: string) => /^\d{1,10}$/.test(label) && Number(label) <= MAX_LABEL;
  if (labels.every((label) => label === undefined || isNumber(label))) {
    return {
      labels: Int32Array.from(labels, (label) => label === undefined ? -1 : Number(label)),
      words: [],
    };
  }
  const words = new Map<string, number>();
  const numbers = Int32Array.from(labels, (label) => {
    if (label === undefined) return -1;
    const number = words.get(label) ?? words.size;
    words.set(label, number);
    return number;
  });
  return { labels: numbers, words: [...words.keys()] };
}

/** Larger entries are no images; their lengths would not fit the table. */
const MAX_IMAGE_BYTES = 2 ** 32 - 1;

async function addMember(group: Group, entry: TarEntry, ending: string, reader: TarReader): Promise<void> {
  group.members++;
  if (IMAGE_EXTENSIONS.includes(ending) && entry.size <= MAX_IMAGE_BYTES) {
    group.image ??= entry;
    return;
  }
  const rank = LABEL_ENDINGS.indexOf(ending);
  if (rank < 0 || rank >= group.labelRank || entry.size > MAX_LABEL_BYTES) return;
  const label = labelIn(ending, new TextDecoder().decode(await reader.read(entry)));
  if (label === undefined) return;
  group.label = label;
  group.labelRank = rank;
}

/**
 * Finds the samples of a shard.
 *
 * @param shard what it is called in refusals
 * @param windowBytes what is read at a time: little of a file, whose images are then passed over, much of a stream
 * @throws {InputError} as `TarReader.next` does
 */
export async function buildTarIndex(
  source: ByteSource,
  shard: string,
  { windowBytes }: { readonly windowBytes?: number } = {},
): Promise<TarIndex> {
  const reader = new TarReader(source, shard, { windowBytes });
  const builder = new IndexBuilder();
  let group: Group | undefined;
  for (let entry = await reader.next(); entry; entry = await reader.next()) {
    const { key, ending } = splitKey(entry.name);
    if (group?.key !== key) {
      if (group) builder.add(group);
      group = { key, labelRank: LABEL_ENDINGS.length, members: 0 };
    }
    await addMember(group, entry, ending, reader);
  }
  if (group) builder.add(group);
  return builder.finish();
}

/** Version of the table's format. */
const VERSION = "1";

/**
 * A table as the bytes of a safetensors file.
 * @param shardBytes length of the shard, by which a table that is out of date is told
 */
export function encodeTarIndex(index: TarIndex, shardBytes: number): Uint8Array<ArrayBuffer> {
  const { samples, others, offsets, lengths, names, labels, words } = index;
  const { bytes, ends } = names.parts();
  return encodeSafetensors([
    { name: "offsets", dtype: "F64", shape: [samples], data: offsets },
    { name: "name_ends", dtype: "F64", shape: [samples], data: ends },
    { name: "lengths", dtype: "U32", shape: [samples], data: lengths },
    { name: "labels", dtype: "I32", shape: [samples], data: labels },
    { name: "names", dtype: "U8", shape: [bytes.length], data: bytes },
  ], {
    format: "mae tar index",
    version: VERSION,
    shard_bytes: String(shardBytes),
    others: String(others),
    label_words: JSON.stringify(words),
  });
}

/**
 * Reads a table.
 * @param shardBytes length of the shard that it should be of
 * @returns undefined where it is none, damaged, of another version or of another shard
 */
export function decodeTarIndex(bytes: Uint8Array, shardBytes: number): TarIndex | undefined {
  try {
    const { tensors, metadata } = decodeSafetensors(bytes);
    const { format, version, shard_bytes, others } = metadata;
    if (format !== "mae tar index" || version !== VERSION || shard_bytes !== String(shardBytes)) {
      return undefined;
    }
    const [offsets, lengths, labels, ends, names] = ["offsets", "lengths", "labels", "name_ends", "names"]
      .map((name) => tensors.get(name)?.data);
    const isSound = offsets instanceof Float64Array && lengths instanceof Uint32Array &&
      labels instanceof Int32Array && ends instanceof Float64Array && names instanceof Uint8Array;
    if (!isSound) return undefined;
    const index = {
      samples: offsets.length,
      others: Number(others),
      offsets,
      lengths,
      names: TextTable.from(new Uint8Array(names), new Float64Array(ends)),
      labels,
      words: wordsIn(metadata.label_words),
    };
    return agrees(index, shardBytes) ? index : undefined;
  } catch {
    return undefined; // whatever is wrong with it, the shard itself has the truth
  }
}

/** Whether a value of JSON is a list of texts. */
export function isWords(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((word) => typeof word === "string");
}

function wordsIn(json: string): string[] {
  const words: unknown = JSON.parse(json);
  if (isWords(words)) return words;
  throw new TypeError("The words of the labels are no list");
}

/** Whether all parts have one length, and every image and label lies within bounds. */
function agrees(
  { samples, others, offsets, lengths, names, labels, words }: TarIndex,
  shardBytes: number,
): boolean {
  const isCount = Number.isSafeInteger(others) && others >= 0;
  if (!isCount || [lengths, labels, names].some(({ length }) => length !== samples)) return false;
  const labelEnd = words.length || MAX_LABEL + 1;
  return offsets.every((offset, i) =>
    Number.isSafeInteger(offset) && offset >= 0 && offset + lengths[i] <= shardBytes &&
    labels[i] >= -1 && labels[i] < labelEnd
  );
}
