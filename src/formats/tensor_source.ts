/** What every kind of checkpoint file has in common: named tensors that are read one at a time. */

import type { Dtype, StoredTensor } from "./dtypes.ts";

/** What is known of a tensor before it is read. */
export interface TensorOutline {
  /** Element type. */
  readonly dtype: Dtype;
  /** Length of each dimension, outermost first. */
  readonly shape: readonly number[];
}

/** An open file of tensors. Close it by `using`, or by calling its disposer. */
export interface TensorSource extends Disposable {
  /** The file. */
  readonly path: string;
  /** What it holds, in the file's order. */
  readonly tensors: ReadonlyMap<string, TensorOutline>;
  /**
   * Reads one tensor, its elements row by row whatever their order in the file.
   *
   * @throws {InputError} where the file holds none of that name
   * @throws {RunError} where the file can no longer be read, or the tensor does not fit in memory
   */
  read(name: string): Promise<StoredTensor>;
}
