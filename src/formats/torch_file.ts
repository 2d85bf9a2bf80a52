/**
 * Reading PyTorch's own files, what `torch.save` writes, without running anything in them: weights, training states,
 * tensors of any kind among plain data. Tensors are read one by one, by their place in the file.
 */

import { didYouMean, InputError, messageOf, RunError } from "../util/errors.ts";
import { type ByteSource, memoryBytes, openBytes } from "./byte_source.ts";
import { itemSize, type StoredTensor, tensorOf } from "./dtypes.ts";
import { readStrided, swapBytes } from "./strided.ts";
import type { TensorSource } from "./tensor_source.ts";
import { TorchErrors } from "./torch_errors.ts";
import { readTorchLegacy } from "./torch_legacy.ts";
import { namedTensors } from "./torch_tree.ts";
import { TorchArray, TorchRecord, TorchStorage, TorchTensor, type TorchValue } from "./torch_value.ts";
import { readTorchZip, type TorchContents } from "./torch_zip.ts";

export { TorchArray, TorchRecord, TorchStorage, TorchTensor, type TorchValue };

/** An open PyTorch file. Close it, or declare it with `using`. */
export class TorchFile implements TensorSource {
  /** What was saved, as plain data; tensors in it say where their elements lie. */
  readonly value: TorchValue;
  /** The tensors under their dotted paths, such as `model.blocks.0.attn.qkv.weight`; `tensor` where one was saved alone. */
  readonly tensors: ReadonlyMap<string, TorchTensor | TorchArray>;
  readonly #source: ByteSource;
  readonly #contents: TorchContents;

  /** Use `openTorch`. */
  constructor(readonly path: string, source: ByteSource, contents: TorchContents) {
    this.value = contents.value;
    this.tensors = namedTensors(contents.value, source.size, new TorchErrors(path));
    this.#source = source;
    this.#contents = contents;
  }

  /**
   * Reads one tensor's elements, row by row however they lie. Only its own bytes are read, not its whole storage.
   *
   * @throws {InputError} where the file holds none of that name
   * @throws {RunError} where the file can no longer be read, or the tensor does not fit in memory
   */
  async read(name: string): Promise<StoredTensor> {
    const tensor = this.tensors.get(name);
    if (tensor === undefined) {
      const hint = didYouMean(name, [...this.tensors.keys()]);
      throw new InputError(`"${this.path}" holds no tensor "${name}"${hint}`);
    }
    if (tensor instanceof TorchArray) return tensor.tensor;
    try {
      return await this.#read(tensor);
    } catch (error) {
      throw new RunError(`cannot read "${this.path}": ${messageOf(error)}`, { cause: error });
    }
  }

  async #read({ dtype, shape, strides, storageOffset, storage }: TorchTensor): Promise<StoredTensor> {
    const start = this.#contents.storageOffsets.get(storage.key) ?? 0;
    const offset = start + storage.byteOffset + storageOffset * itemSize(dtype);
    const bytes = await readStrided(this.#source, offset, itemSize(dtype), shape, strides);
    if (this.#contents.bigEndian) swapBytes(bytes, itemSize(dtype));
    if (dtype === "BOOL") bytes.forEach((byte, i) => bytes[i] = byte === 0 ? 0 : 1);
    return tensorOf(dtype, shape, bytes);
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

const ZIP_START = [0x50, 0x4b, 0x03, 0x04];
const PICKLE_START = 0x80;
/** Where a tar archive's first header says that it is one. */
const TAR_AT = 257;

async function readContents(source: ByteSource, errors: TorchErrors): Promise<TorchContents> {
  const start = await source.read(0, 512);
  if (ZIP_START.every((byte, i) => start[i] === byte)) return await readTorchZip(source, errors);
  if (start[0] === PICKLE_START) return await readTorchLegacy(source, errors);
  if (new TextDecoder("latin1").decode(start.subarray(TAR_AT, TAR_AT + 5)) === "ustar") {
    throw errors.unsupported(
      "it is a tar archive of PyTorch before 0.1.10; load and save it again with a newer one",
    );
  }
  throw errors.malformed("it starts like neither of the two kinds that torch.save writes");
}

async function openSource(source: ByteSource, name: string): Promise<TorchFile> {
  try {
    return new TorchFile(name, source, await readContents(source, new TorchErrors(name)));
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

/**
 * Opens a file that `torch.save` wrote, in its zip container or the older one; no tensor is read yet. Nothing in the file is
 * run: classes and functions beyond those of plain data and tensors are refused by name.
 *
 * @throws {InputError} with one sentence where there is no such file, it is malformed, or it is refused
 */
export async function openTorch(path: string): Promise<TorchFile> {
  return await openSource(await openBytes(path), path);
}

/** Opens the bytes of such a file, which must not change while it is open. Throws what `openTorch` throws. */
export async function openTorchBytes(bytes: Uint8Array, name = "bytes in memory"): Promise<TorchFile> {
  return await openSource(memoryBytes(bytes), name);
}
