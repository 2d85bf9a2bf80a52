/** Element types of stored tensors, under the names of the safetensors format, and the typed arrays that hold them. */

/**
 * The typed array of each element type. JavaScript has no bfloat16, so `F16` and `BF16` are both kept as their raw
 * 16 bits; `toFloat32` widens them.
 */
export interface DataOf {
  /** 64-bit float. */
  F64: Float64Array;
  /** 32-bit float. */
  F32: Float32Array;
  /** IEEE half-precision float, as raw bits. */
  F16: Uint16Array;
  /** bfloat16, as raw bits. */
  BF16: Uint16Array;
  /** 64-bit integer. */
  I64: BigInt64Array;
  /** 64-bit unsigned integer. */
  U64: BigUint64Array;
  /** 32-bit integer. */
  I32: Int32Array;
  /** 32-bit unsigned integer. */
  U32: Uint32Array;
  /** 16-bit integer. */
  I16: Int16Array;
  /** 16-bit unsigned integer. */
  U16: Uint16Array;
  /** 8-bit integer. */
  I8: Int8Array;
  /** 8-bit unsigned integer. */
  U8: Uint8Array;
  /** Truth value, one byte of 0 or 1. */
  BOOL: Uint8Array;
}

/** Name of an element type. */
export type Dtype = keyof DataOf;

/** The elements of a tensor of any type, row by row. */
export type TensorData = DataOf[Dtype];

/** A tensor on the host: `data.length` is the product of `shape`; a scalar has the shape `[]`. */
export type StoredTensor = {
  [D in Dtype]: { readonly dtype: D; readonly shape: readonly number[]; readonly data: DataOf[D] };
}[Dtype];

const CONSTRUCTORS = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  I32: Int32Array,
  U32: Uint32Array,
  I16: Int16Array,
  U16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;

/** Every element type that can be read and written. */
export const DTYPES = Object.keys(CONSTRUCTORS) as readonly Dtype[];

/** Whether `name` is an element type that can be read and written. */
export function isDtype(name: string): name is Dtype {
  return Object.hasOwn(CONSTRUCTORS, name);
}

/** Bytes of one element. */
export function itemSize(dtype: Dtype): number {
  return CONSTRUCTORS[dtype].BYTES_PER_ELEMENT;
}

/** Whether `data` is the typed array that holds elements of `dtype`. */
export function holds(dtype: Dtype, data: TensorData): boolean {
  return data instanceof CONSTRUCTORS[dtype];
}

/**
 * The tensor whose elements are the little-endian `bytes`, without a copy.
 * Throws `RangeError` when the bytes are not a whole number of elements or start at an unaligned offset.
 */
export function tensorOf(
  dtype: Dtype,
  shape: readonly number[],
  bytes: Uint8Array<ArrayBuffer>,
): StoredTensor {
  // Typed arrays use the machine's byte order, and every machine that Deno supports is little-endian.
  const data = new CONSTRUCTORS[dtype](bytes.buffer, bytes.byteOffset, bytes.byteLength / itemSize(dtype));
  return { dtype, shape, data } as StoredTensor; // the table above pairs the type with its array
}

/**
 * The elements as float32. `F32` comes back as it is, not copied; `F16` and `BF16` widen exactly; `F64` and integers
 * beyond 2^24 round to the nearest float32.
 */
export function toFloat32(tensor: StoredTensor): Float32Array {
  switch (tensor.dtype) {
    case "F32":
      return tensor.data;
    case "F16": {
      const { buffer, byteOffset, length } = tensor.data;
      return new Float32Array(new Float16Array(buffer, byteOffset, length));
    }
    case "BF16": // a bfloat16 is the upper half of a float32
      return new Float32Array(Uint32Array.from(tensor.data, (bits) => bits << 16).buffer);
    case "I64":
    case "U64": {
      const values = new Float32Array(tensor.data.length);
      for (let i = 0; i < values.length; i++) values[i] = Number(tensor.data[i]);
      return values;
    }
    default:
      return new Float32Array(tensor.data);
  }
}
