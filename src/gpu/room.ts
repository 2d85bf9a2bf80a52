/**
 * Tensors whose buffer has room for more values than they hold. Buffers and textures are kept for reuse by their size: a
 * computation on a few images less than the one before would need new ones of every size it meets. In buffers with room
 * for the whole batch it needs none. Nothing is promised of what lies behind the values.
 */
import type { tf } from "../deps/tfjs.ts";

const rooms = new WeakMap<object, number>();

/** Values that the tensor's buffer has room for; as many as it holds unless it was made with more. */
export function roomOf(tensor: tf.Tensor): number {
  return rooms.get(tensor.dataId) ?? tensor.size;
}

/** Says how many values the buffer of a new tensor has room for. */
export function markRoom({ dataId }: tf.TensorInfo, values: number): void {
  rooms.set(dataId, values);
}

/** Room for a result of `size` values that grows with the tensor: as many rows as that has room for. */
export function roomLike(tensor: tf.Tensor, size: number): number {
  return Math.round(size / tensor.size * roomOf(tensor));
}

/** Rows that a matrix has room for. */
export function roomyRows(matrix: tf.Tensor): number {
  return roomOf(matrix) / matrix.shape[matrix.rank - 1];
}
