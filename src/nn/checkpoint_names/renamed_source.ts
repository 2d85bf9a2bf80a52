/** Files of tensors under other names: read as if they had the official ones, and written from them. */
import { type StoredTensor, tensorOf } from "../../formats/dtypes.ts";
import type { TensorEntry } from "../../formats/tensor_entry.ts";
import type { TensorOutline, TensorSource } from "../../formats/tensor_source.ts";
import { didYouMean, InputError } from "../../util/errors.ts";
import type { Naming } from "./naming.ts";

/** A file under the official names. */
export interface RenamedSource extends TensorSource {
  /** Names of the file, without the prefix, that have none: no part of the model. */
  readonly unnamed: readonly string[];
  /** Names of the file that do not begin with the prefix. */
  readonly outside: readonly string[];
}

/** Parts of a tensor by their names in the file, in the order of its rows. */
type Parts = readonly (readonly [name: string, outline: TensorOutline])[];

/**
 * A file under the official names. Where a tensor is stored in parts its `read` puts them together. Closing it closes the
 * file.
 * @param prefix what every name of the model begins with in the file, such as `model.module.`
 * @throws {InputError} where parts of a tensor are missing or differ in shape or type
 */
export function renamedSource(file: TensorSource, naming: Naming, prefix: string): RenamedSource {
  const parts = new Map<string, (readonly [string, TensorOutline])[]>();
  const [unnamed, outside]: [string[], string[]] = [[], []];
  const wanted = new Map<string, number>();
  for (const [name, outline] of file.tensors) {
    const place = name.startsWith(prefix) ? naming.placeOf(name.slice(prefix.length)) : null;
    if (place === null) {
      if (name.startsWith(prefix)) unnamed.push(name.slice(prefix.length));
      else outside.push(name);
      continue;
    }
    const own = parts.get(place.official) ?? [];
    own[place.part] = [name, outline];
    parts.set(place.official, own);
    wanted.set(place.official, place.parts);
  }
  const tensors = new Map<string, TensorOutline>();
  for (const [official, own] of parts) {
    tensors.set(official, wholeOf(own, wanted.get(official) ?? 1, file.path, official));
  }
  return {
    path: file.path,
    tensors,
    unnamed,
    outside,
    read: (official) => readWhole(file, parts.get(official), official, tensors),
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}

function wholeOf(parts: Parts, count: number, path: string, official: string): TensorOutline {
  const [first] = parts;
  const isAlike = (part: Parts[number] | undefined) =>
    part !== undefined && first !== undefined && part[1].dtype === first[1].dtype &&
    part[1].shape.join() === first[1].shape.join() && (count === 1 || part[1].shape.length > 0);
  if (parts.length !== count || !Array.from(parts).every(isAlike)) {
    const [name] = Object.values(parts)[0];
    throw new InputError(
      `"${path}" does not hold ${official} whole: beside "${name}" there must be ${
        count - 1
      } more of the same ` +
        "shape and type",
    );
  }
  if (count === 1) return first[1];
  const { dtype, shape: [rows, ...rest] } = first[1];
  return { dtype, shape: [count * rows, ...rest] };
}

async function readWhole(
  file: TensorSource,
  parts: Parts | undefined,
  official: string,
  tensors: ReadonlyMap<string, TensorOutline>,
): Promise<StoredTensor> {
  const whole = tensors.get(official);
  if (parts === undefined || whole === undefined) {
    throw new InputError(
      `"${file.path}" holds no tensor "${official}"${didYouMean(official, [...tensors.keys()])}`,
    );
  }
  if (parts.length === 1) return await file.read(parts[0][0]);
  const read: Uint8Array[] = [];
  for (const [name] of parts) read.push(bytesIn(await file.read(name)));
  const bytes = new Uint8Array(read.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of read) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return tensorOf(whole.dtype, whole.shape, bytes);
}

function bytesIn({ data }: StoredTensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Reads a tensor by its official name. */
export type ReadOfficial = (name: string) => Promise<StoredTensor>;

/**
 * The entries of a file under other names. Each tensor is read when its turn comes, and one that is stored in parts once
 * for all of them.
 * @throws {InputError} where a tensor has no place among the names
 */
export function renamedEntries(
  tensors: ReadonlyMap<string, TensorOutline>,
  read: ReadOfficial,
  naming: Naming,
): TensorEntry[] {
  let last: { readonly official: string; readonly tensor: Promise<StoredTensor> } | null = null;
  const readOnce = (official: string) => {
    if (last?.official !== official) last = { official, tensor: read(official) };
    return last.tensor;
  };
  return [...tensors].flatMap(([official, { dtype, shape }]) => {
    const names = naming.storedNames(official);
    if (names === null) throw new InputError(`${official} has no place among these names`);
    const share = names.length === 1 ? shape : [shape[0] / names.length, ...shape.slice(1)];
    return names.map((name, part) => ({
      name,
      dtype,
      shape: share,
      data: async () => {
        const { data } = await readOnce(official);
        if (part === names.length - 1) last = null;
        const size = data.length / names.length;
        return data.subarray(part * size, (part + 1) * size);
      },
    }));
  });
}
