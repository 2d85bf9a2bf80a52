/** What a PyTorch file holds once it is read: plain data, and tensors that say where their elements lie. */

import type { Dtype, StoredTensor } from "./dtypes.ts";
import type { TensorOutline } from "./tensor_source.ts";

/**
 * A value of Python as plain data. Lists and tuples are arrays; every kind of dictionary is a `Map`; integers beyond
 * 2^53 are `bigint`; paths, devices (`"cuda:0"`) and element types (`"torch.float32"`) are strings; scalars of NumPy are
 * what they hold. Nothing in it contains itself, and it is at most `MAX_DEPTH` deep.
 */
export type TorchValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | TorchValue[]
  | Map<TorchValue, TorchValue>
  | Set<TorchValue>
  | TorchRecord
  | TorchTensor
  | TorchArray;

/** An object of a known harmless class, such as `argparse.Namespace`, or a class itself (without fields). */
export class TorchRecord {
  /** Module and name of its class. */
  readonly class: string;

  /** Use `openTorch`. */
  constructor(
    name: string,
    /** Its attributes. */
    readonly fields: Map<string, TorchValue> = new Map(),
  ) {
    this.class = name;
  }
}

/** A run of elements in the file, which tensors are views of. */
export class TorchStorage extends TorchRecord {
  /** Use `openTorch`. */
  constructor(
    /** Its name in the file. */
    readonly key: string,
    /** Type of its elements; null where it is just bytes, and its tensors say their type. */
    readonly dtype: Dtype | null,
    /** Number of its bytes. */
    readonly byteLength: number,
    /** Where it starts within the stored run, in bytes: old files store views of storages. */
    readonly byteOffset: number = 0,
  ) {
    super("torch.storage");
  }
}

/** A tensor's outline and where its elements lie. */
export class TorchTensor implements TensorOutline {
  /** Use `openTorch`. */
  constructor(
    /** Element type. */
    readonly dtype: Dtype,
    /** Length of each dimension, outermost first. */
    readonly shape: readonly number[],
    /** Distance of neighbours along each dimension, in elements; 0 repeats one element. */
    readonly strides: readonly number[],
    /** Its first element in the storage. */
    readonly storageOffset: number,
    /** The storage. */
    readonly storage: TorchStorage,
  ) {}
}

/** An array of NumPy, which a file holds among its plain data, so that it is in memory already. */
export class TorchArray implements TensorOutline {
  /** Use `openTorch`. */
  constructor(
    /** Its elements, row by row. */
    public tensor: StoredTensor,
  ) {}

  /** Element type. */
  get dtype(): Dtype {
    return this.tensor.dtype;
  }

  /** Length of each dimension, outermost first. */
  get shape(): readonly number[] {
    return this.tensor.shape;
  }
}
