/** Opening a file of tensors by what is in it, whatever its name. */

import { openBytes } from "./byte_source.ts";
import { openSafetensors } from "./safetensors.ts";
import { openSharded } from "./sharded_tensors.ts";
import type { TensorSource } from "./tensor_source.ts";
import { openTorch } from "./torch_file.ts";
import type { TorchValue } from "./torch_value.ts";

/** An open file of tensors of any format. */
export interface TensorFile extends TensorSource {
  /** Its format, in words. */
  readonly format: "safetensors" | "PyTorch";
  /** The free text of a safetensors file, by name. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Everything that a PyTorch file holds besides; null for any other. */
  readonly value: TorchValue;
}

/**
 * Opens a safetensors file, a PyTorch file, or the index of several of either. No tensor is read yet, and nothing in a
 * file is ever run.
 * @throws {InputError} with one sentence where there is no such file, or it is malformed
 */
export async function openTensors(path: string): Promise<TensorFile> {
  if (/\.index\.json$/.test(path)) {
    const isTorch = path.endsWith(".bin.index.json");
    const sharded = await openSharded(path, openTensors);
    return withFormat(sharded, isTorch ? "PyTorch" : "safetensors", {}, null);
  }
  if (await isTorch(path)) {
    const file = await openTorch(path);
    return withFormat(file, "PyTorch", {}, file.value);
  }
  const file = await openSafetensors(path);
  return withFormat(file, "safetensors", file.metadata, null);
}

function withFormat(
  file: TensorSource,
  format: TensorFile["format"],
  metadata: TensorFile["metadata"],
  value: TorchValue,
): TensorFile {
  return {
    path: file.path,
    tensors: file.tensors,
    format,
    metadata,
    value,
    read: (name) => file.read(name),
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}

/**
 * Whether a file is PyTorch's. A safetensors file has "{" after eight bytes of length; PyTorch's begin as a zip archive or
 * as a pickle. What begins as neither is told by its name, for the sake of the sentence that refuses it.
 */
async function isTorch(path: string): Promise<boolean> {
  using bytes = await openBytes(path);
  const start = await bytes.read(0, 9);
  if (start[8] === 0x7b) return false;
  const isZip = start[0] === 0x50 && start[1] === 0x4b;
  return isZip || start[0] === 0x80 || /\.(pth?|bin|ckpt|tar)$/i.test(path);
}

/** What the file of a model in a folder may be called, in the order of transformers' own preference. */
export const MODEL_FILES = [
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
] as const;
