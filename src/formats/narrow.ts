/** Floating-point tensors in another precision. */

import { type StoredTensor, toFloat32 } from "./dtypes.ts";

/** A precision that tensors can be written in. */
export type FloatDtype = "F32" | "F16" | "BF16";

/**
 * A tensor in another precision, each value rounded to the nearest (ties to even); one that has it already comes back as it
 * is.
 * @throws {RangeError} where a finite value is too large for it, naming the value
 */
export function inPrecision(tensor: StoredTensor, dtype: FloatDtype): StoredTensor {
  if (tensor.dtype === dtype) return tensor;
  const { shape } = tensor;
  const values = toFloat32(tensor);
  if (dtype === "F32") return { dtype, shape, data: values };
  const data = dtype === "F16" ? halves(values) : upperHalves(values);
  const infinity = dtype === "F16" ? 0x7c00 : 0x7f80;
  const lost = data.findIndex((bits, i) => (bits & 0x7fff) === infinity && Number.isFinite(values[i]));
  if (lost >= 0) throw new RangeError(`${values[lost]} is too large`);
  return { dtype, shape, data };
}

function halves(values: Float32Array): Uint16Array {
  return new Uint16Array(new Float16Array(values).buffer);
}

/** bfloat16 is the upper half of a float32. */
function upperHalves(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, (word, i) => {
    if (Number.isNaN(values[i])) return word >>> 16 | 0x40; // a NaN stays one
    return word + 0x7fff + (word >>> 16 & 1) >>> 16;
  });
}
