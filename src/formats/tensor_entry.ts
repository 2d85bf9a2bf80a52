/** Tensors on their way into a file, whatever its format. */

import { type Dtype, holds, itemSize, type TensorData } from "./dtypes.ts";

/** A tensor to write, with its data at hand. */
export interface LoadedEntry {
  /** Its name in the file. */
  readonly name: string;
  /** Element type. */
  readonly dtype: Dtype;
  /** Length of each dimension, outermost first. */
  readonly shape: readonly number[];
  /** As many elements as the shape says, in the typed array of `dtype`. */
  readonly data: TensorData;
}

/** A tensor to write. Where `data` is a function it is called when the tensor's turn comes: one is held at a time. */
export interface TensorEntry extends Omit<LoadedEntry, "data"> {
  /** The elements, or a function that fetches them. */
  readonly data: TensorData | (() => TensorData | Promise<TensorData>);
}

/** Bytes of a tensor's elements, before there are any. Throws `Error` where its shape is impossible. */
export function byteLengthOf({ name, dtype, shape }: TensorEntry): number {
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    throw new Error(`Tensor "${name}" has the impossible shape [${shape}]`);
  }
  return shape.reduce((count, size) => count * size, itemSize(dtype));
}

/** The tensor's bytes, without a copy. Throws `Error` where they are not what its type and shape say. */
export function bytesOf({ name, dtype, shape }: TensorEntry, data: TensorData): Uint8Array {
  if (!holds(dtype, data)) {
    throw new Error(`Tensor "${name}" is ${dtype}, but its data is ${data.constructor.name}`);
  }
  const count = shape.reduce((product, size) => product * size, 1);
  if (data.length !== count) {
    throw new Error(`Tensor "${name}" has shape [${shape}], but ${data.length} elements`);
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Fetches the tensor's elements and gives their bytes. Throws as `bytesOf` does, and what fetching throws. */
export async function fetchBytes(entry: TensorEntry): Promise<Uint8Array> {
  return bytesOf(entry, typeof entry.data === "function" ? await entry.data() : entry.data);
}
