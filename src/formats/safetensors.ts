/** Reading and writing safetensors files. Format: https://github.com/huggingface/safetensors#format. */

import { didYouMean, InputError, messageOf, RunError } from "../util/errors.ts";
import { type ByteSource, openBytes, readExactly } from "./byte_source.ts";
import { itemSize, type StoredTensor, tensorOf } from "./dtypes.ts";
import { replaceFile } from "./output_file.ts";
import { byteLengthOf, bytesOf, fetchBytes, type LoadedEntry, type TensorEntry } from "./tensor_entry.ts";
import type { TensorSource } from "./tensor_source.ts";
import {
  encodeHeader,
  malformed,
  parseHeader,
  parseHeaderLength,
  type SafetensorsHeader,
  type TensorInfo,
} from "./safetensors_header.ts";

export type { LoadedEntry, TensorEntry };

/** An open safetensors file, whose tensors are read one by one. Close it, or declare it with `using`. */
export class SafetensorsFile implements SafetensorsHeader, TensorSource {
  /** The file's free text, by name. */
  readonly metadata: Readonly<Record<string, string>>;
  /** What the file holds, in the header's order. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #source: ByteSource;
  readonly #dataStart: number;

  /** Use `openSafetensors`. */
  constructor(readonly path: string, source: ByteSource, header: SafetensorsHeader, dataStart: number) {
    this.metadata = header.metadata;
    this.tensors = header.tensors;
    this.#source = source;
    this.#dataStart = dataStart;
  }

  /**
   * Reads one tensor.
   *
   * @throws {InputError} where the file holds none of that name
   * @throws {RunError} where the file can no longer be read, or the tensor does not fit in memory
   */
  async read(name: string): Promise<StoredTensor> {
    const info = this.tensors.get(name);
    if (info === undefined) {
      throw new InputError(
        `"${this.path}" holds no tensor "${name}"${didYouMean(name, [...this.tensors.keys()])}`,
      );
    }
    const { dtype, shape, offset, byteLength } = info;
    try {
      return tensorOf(dtype, shape, await readExactly(this.#source, this.#dataStart + offset, byteLength));
    } catch (error) {
      throw new RunError(`cannot read "${this.path}": ${messageOf(error)}`, { cause: error });
    }
  }

  /** Closes the file. */
  close(): void {
    this.#source[Symbol.dispose]();
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Opens a safetensors file and checks its header; no tensor is read yet.
 *
 * @throws {InputError} with one sentence where there is no such file or it is malformed
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const source = await openBytes(path);
  try {
    const { size } = source;
    const length = parseHeaderLength(await source.read(0, Math.min(8, size)), size, path);
    const json = await source.read(8, length);
    if (json.length < length) throw malformed(path, "it ends inside its header");
    return new SafetensorsFile(path, source, parseHeader(json, size - 8 - length, path), 8 + length);
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

/**
 * Reads all tensors of a safetensors file, or of its bytes (which are copied), in the header's order.
 *
 * @throws {InputError} with one sentence where there is no such file or it is malformed
 * @throws {RunError} where the tensors cannot be read or do not fit in memory
 */
export async function readSafetensors(source: string | Uint8Array): Promise<Map<string, StoredTensor>> {
  const tensors = new Map<string, StoredTensor>();
  if (typeof source === "string") {
    using file = await openSafetensors(source);
    for (const name of file.tensors.keys()) tensors.set(name, await file.read(name));
    return tensors;
  }
  return decodeSafetensors(source).tensors;
}

/**
 * The tensors and free text in the bytes of a safetensors file, which are copied.
 * @param name what the bytes are called in refusals
 * @throws {InputError} with one sentence where they are malformed
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  name = "bytes in memory",
): { readonly tensors: Map<string, StoredTensor>; readonly metadata: Readonly<Record<string, string>> } {
  const tensors = new Map<string, StoredTensor>();
  const length = parseHeaderLength(bytes.subarray(0, 8), bytes.length, name);
  const data = bytes.subarray(8 + length);
  const header = parseHeader(bytes.subarray(8, 8 + length), data.length, name);
  for (const [name, { dtype, shape, offset, byteLength }] of header.tensors) {
    const part = new Uint8Array(data.subarray(offset, offset + byteLength)); // copied, so that it is aligned
    tensors.set(name, tensorOf(dtype, shape, part));
  }
  return { tensors, metadata: header.metadata };
}

/**
 * The order of the tensors in the file and its header. Wide elements come first, so that every tensor is aligned
 * although the format allows no gaps; otherwise the given order is kept.
 */
function layOut<Entry extends TensorEntry>(
  entries: Iterable<Entry>,
  metadata: Readonly<Record<string, string>>,
): { ordered: Entry[]; header: SafetensorsHeader } {
  const ordered = [...entries].sort((a, b) => itemSize(b.dtype) - itemSize(a.dtype));
  const tensors = new Map<string, TensorInfo>();
  let offset = 0;
  for (const entry of ordered) {
    const { name, dtype, shape } = entry;
    if (name === "__metadata__" || !name.isWellFormed()) {
      throw new Error(`Tensor name "${name}" is not allowed`);
    }
    if (tensors.has(name)) throw new Error(`Tensor name "${name}" is there twice`);
    const byteLength = byteLengthOf(entry);
    tensors.set(name, { dtype, shape: [...shape], offset, byteLength });
    offset += byteLength;
  }
  if (!Number.isSafeInteger(offset)) throw new Error("The tensors take more than 2^53 bytes");
  return { ordered, header: { metadata, tensors } };
}

/**
 * Writes a safetensors file and replaces the old one atomically. Tensors are fetched and written one by one; equal
 * tensors and metadata give equal bytes.
 *
 * @throws {Error} where names are not unique, or data does not match its type and shape
 * @throws {RunError} where the file cannot be written
 */
export async function writeSafetensors(
  path: string,
  entries: Iterable<TensorEntry>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { ordered, header } = layOut(entries, metadata);
  await replaceFile(path, async (put) => {
    await put(encodeHeader(header));
    for (const entry of ordered) await put(await fetchBytes(entry));
  });
}

/** The bytes of a safetensors file, for small ones. Throws `Error` as `writeSafetensors` does. */
export function encodeSafetensors(
  entries: Iterable<LoadedEntry>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const { ordered, header } = layOut(entries, metadata);
  const head = encodeHeader(header);
  let size = head.length;
  for (const { byteLength } of header.tensors.values()) size += byteLength;
  const bytes = new Uint8Array(size);
  bytes.set(head);
  let offset = head.length;
  for (const entry of ordered) {
    const part = bytesOf(entry, entry.data);
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
