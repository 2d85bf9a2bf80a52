/**
 * Tensors in half precision. tfjs knows no such type, so they are float32 tensors to it, of the true shape, whose buffer
 * holds two bytes per value. Only our own kernels may read them; they never leave the operation that made them.
 */
import type { tf } from "../deps/tfjs.ts";

const halves = new WeakSet<object>();

/** Whether the tensor's buffer holds half-precision values. Reshaping does not change it. */
export function isHalf(tensor: tf.Tensor | tf.TensorInfo): boolean {
  return halves.has(tensor.dataId);
}

/** Marks a new tensor whose buffer has not been made yet. */
export function markHalf(tensor: tf.TensorInfo): void {
  halves.add(tensor.dataId);
}

/** Decodes half-precision numbers (IEEE 754 binary16) from their bits. */
export function decodeHalves(bits: Uint16Array): Float32Array {
  return Float32Array.from(bits, (value) => {
    const sign = value & 0x8000 ? -1 : 1;
    const exponent = (value >> 10) & 31;
    const fraction = value & 1023;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
}
