/** Walking through what a PyTorch file holds: it must be a tree of bounded size, and its tensors get names. */

import { type Dtype, itemSize } from "./dtypes.ts";
import { quoted, type TorchErrors } from "./torch_errors.ts";
import { TorchArray, TorchRecord, TorchTensor, type TorchValue } from "./torch_value.ts";

/** How deep containers may lie in each other. */
export const MAX_DEPTH = 200;
/** Most values, where those that occur in several places count each time. */
const MAX_VALUES = 20_000_000;
/** Longest name of a tensor, in characters. */
const MAX_NAME = 1000;
/** The name of a tensor that was saved by itself. */
const ALONE = "tensor";
/** Bytes that all tensors together may take: views can make far more of a file than it has. */
const allowedBytes = (fileSize: number) => 64 * 2 ** 20 + 16 * fileSize;

/** What is known of a container after a look through it. */
interface Extent {
  readonly height: number;
  readonly values: number;
  readonly tensors: number;
}

const LEAF: Extent = { height: 0, values: 1, tensors: 0 };
const TENSOR: Extent = { height: 0, values: 1, tensors: 1 };

const isContainer = (value: TorchValue) =>
  Array.isArray(value) || value instanceof Map || value instanceof Set || value instanceof TorchRecord;

/** The children of a container with their keys. */
function* childrenOf(value: TorchValue): Iterable<readonly [TorchValue, TorchValue]> {
  if (value instanceof Map) yield* value;
  else if (value instanceof TorchRecord) yield* value.fields;
  else if (Array.isArray(value) || value instanceof Set) {
    let index = 0;
    for (const child of value) yield [index++, child];
  }
}

/** Measures containers once each, however often they occur. */
class Surveyor {
  readonly #extents = new Map<TorchValue, Extent>();
  readonly #open = new Set<TorchValue>();

  constructor(private readonly errors: TorchErrors) {}

  extentOf(value: TorchValue, depth = 0): Extent {
    if (value instanceof TorchTensor || value instanceof TorchArray) return TENSOR;
    if (!isContainer(value)) return LEAF;
    const known = this.#extents.get(value);
    if (known !== undefined) return known;
    if (this.#open.has(value)) throw this.errors.malformed("something in it contains itself");
    this.#open.add(value);
    const extent = this.#measure(value, depth);
    this.#open.delete(value);
    this.#extents.set(value, extent);
    return extent;
  }

  #measure(value: TorchValue, depth: number): Extent {
    let [height, values, tensors] = [0, 1, 0];
    const add = (child: TorchValue) => {
      const extent = this.extentOf(child, depth + 1);
      height = Math.max(height, 1 + extent.height);
      values += extent.values;
      tensors += extent.tensors;
    };
    if (depth > MAX_DEPTH) throw this.#tooDeep();
    for (const [key, child] of childrenOf(value)) {
      if (isContainer(key)) add(key); // a tuple
      add(child);
    }
    if (depth + height > MAX_DEPTH) throw this.#tooDeep();
    if (values > MAX_VALUES) throw this.errors.malformed(`it holds more than ${MAX_VALUES} values`);
    return { height, values, tensors };
  }

  #tooDeep(): Error {
    return this.errors.malformed(`its containers lie more than ${MAX_DEPTH} deep in each other`);
  }
}

/** A key as a part of a tensor's name, as Python would print it. */
function namePart(key: TorchValue): string {
  if (typeof key === "string" || typeof key === "number" || typeof key === "bigint") return String(key);
  if (key === null) return "None";
  if (typeof key === "boolean") return key ? "True" : "False";
  if (Array.isArray(key)) {
    return `(${key.map((part) => Array.isArray(part) ? "(...)" : namePart(part)).join(", ")})`;
  }
  return "?";
}

/** Bytes of a tensor once it is read. */
function byteLengthOf({ dtype, shape }: { dtype: Dtype; shape: readonly number[] }): number {
  return shape.reduce((product, size) => product * size, itemSize(dtype));
}

/**
 * The tensors of a value under their dotted paths, in its order.
 *
 * @param fileSize size of the file in bytes, which limits what its tensors may take
 * @throws {InputError} where a container holds itself, is too deep or too large, or two tensors have one name
 */
export function namedTensors(
  value: TorchValue,
  fileSize: number,
  errors: TorchErrors,
): Map<string, TorchTensor | TorchArray> {
  const surveyor = new Surveyor(errors);
  surveyor.extentOf(value);
  const named = new Map<string, TorchTensor | TorchArray>();
  let bytes = 0;
  const visit = (node: TorchValue, name: string): void => {
    if (name.length > MAX_NAME) throw errors.malformed(`the name ${quoted(name)} is longer than ${MAX_NAME}`);
    if (node instanceof TorchTensor || node instanceof TorchArray) {
      const full = name === "" && node === value ? ALONE : name;
      if (named.has(full)) throw errors.malformed(`two of its tensors have the name ${quoted(full)}`);
      bytes += byteLengthOf(node);
      if (!(bytes <= allowedBytes(fileSize))) {
        throw errors.malformed(
          `its tensors would take more than ${allowedBytes(fileSize)} bytes, far more than it has`,
        );
      }
      named.set(full, node);
      return;
    }
    for (const [key, child] of childrenOf(node)) {
      if (surveyor.extentOf(child).tensors === 0) continue;
      visit(child, node === value ? namePart(key) : `${name}.${namePart(key)}`);
    }
  };
  visit(value, "");
  return named;
}
