/**
 * NumPy's scalars, element types and arrays, which checkpoints hold among their arguments and counters. Format: what
 * `numpy/_core/src/multiarray` gives to `__reduce__`.
 */

import { type Dtype, itemSize, tensorOf } from "./dtypes.ts";
import { decodeText, PickleGlobal, type PickleMachine, smallest } from "./pickle_machine.ts";
import type { Call } from "./plain_globals.ts";
import { gather, rowStrides, swapBytes } from "./strided.ts";
import { TorchArray, TorchRecord, type TorchValue } from "./torch_value.ts";

const DTYPES: Readonly<Record<string, Dtype>> = {
  f2: "F16",
  f4: "F32",
  f8: "F64",
  i1: "I8",
  i2: "I16",
  i4: "I32",
  i8: "I64",
  u1: "U8",
  u2: "U16",
  u4: "U32",
  u8: "U64",
  b1: "BOOL",
};

/** Most dimensions of an array. */
const MAX_DIMENSIONS = 64;

/** A `numpy.dtype`; its byte order comes later, as its state. */
class ArrayType extends TorchRecord {
  bigEndian = false;

  constructor(readonly code: string) {
    super("numpy.dtype", new Map([["name", code]]));
  }
}

/** An array that has not been given its elements yet. */
class ArrayDraft extends TorchArray {
  isBuilt = false;

  constructor() {
    super({ dtype: "F64", shape: [0], data: new Float64Array() });
  }
}

/** The element type, where arrays of it can be read. */
function dtypeOf(type: TorchValue | undefined, m: PickleMachine): { dtype: Dtype; bigEndian: boolean } {
  if (!(type instanceof ArrayType)) throw m.malformed("has an array without an element type");
  if (!Object.hasOwn(DTYPES, type.code)) {
    throw m.host.errors.unsupported(`it holds an array of NumPy of the type ${JSON.stringify(type.code)}`);
  }
  return { dtype: DTYPES[type.code], bigEndian: type.bigEndian };
}

/** A copy of bytes that may have been written as text by Python 2. */
function bytesOf(value: TorchValue | undefined, m: PickleMachine): Uint8Array<ArrayBuffer> {
  if (typeof value !== "string" && !(value instanceof Uint8Array)) {
    throw m.malformed("has an array without bytes");
  }
  m.charge(value.length);
  return typeof value === "string" ? new TextEncoder().encode(value) : new Uint8Array(value);
}

const makeType: Call = ([code], m) => {
  if (typeof code !== "string" || !/^[<>|=]?[a-zA-Z]\d{0,9}$/.test(code)) {
    throw m.malformed("has an element type of NumPy that is none");
  }
  const type = new ArrayType(code.replace(/^[<>|=]/, ""));
  type.bigEndian = code.startsWith(">");
  return type;
};

/** Text of NumPy: UTF-32 or bytes, filled up with zeros. */
function textOf(bytes: Uint8Array, type: ArrayType, m: PickleMachine): string {
  if (type.code.startsWith("S")) return (decodeText(bytes) ?? "").replace(/\0+$/, "");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = "";
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const code = view.getUint32(at, !type.bigEndian);
    if (code > 0x10ffff) throw m.malformed("has a text that is none");
    text += String.fromCodePoint(code);
  }
  return text.replace(/\0+$/, "");
}

const makeScalar: Call = ([type, content], m) => {
  const bytes = bytesOf(content, m);
  if (type instanceof ArrayType && /^[US]\d+$/.test(type.code)) return textOf(bytes, type, m);
  const { dtype, bigEndian } = dtypeOf(type, m);
  if (bytes.length !== itemSize(dtype)) throw m.malformed(`has a scalar of ${bytes.length} bytes`);
  if (bigEndian) swapBytes(bytes, bytes.length);
  const { data } = tensorOf(dtype, [], bytes);
  if (dtype === "BOOL") return data[0] !== 0;
  if (dtype === "F16") return new Float16Array(bytes.buffer)[0];
  const [value] = data;
  return typeof value === "bigint" ? smallest(value) : value;
};

function makeArray(
  type: TorchValue | undefined,
  shape: TorchValue | undefined,
  content: TorchValue | undefined,
  isFortran: boolean,
  m: PickleMachine,
): TorchArray {
  const { dtype, bigEndian } = dtypeOf(type, m);
  if (!Array.isArray(shape) || shape.length > MAX_DIMENSIONS) {
    throw m.malformed("has an array without a shape");
  }
  const sizes = shape.map((size) => {
    if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
      throw m.malformed("has an array of an impossible shape");
    }
    return size;
  });
  const bytes = bytesOf(content, m);
  if (sizes.reduce((count, size) => count * size, itemSize(dtype)) !== bytes.length) {
    throw m.malformed(`has an array of ${bytes.length} bytes, which its shape does not need`);
  }
  if (bigEndian) swapBytes(bytes, itemSize(dtype));
  if (!isFortran) return new TorchArray(tensorOf(dtype, sizes, bytes));
  const strides = rowStrides(sizes.toReversed()).toReversed();
  return new TorchArray(tensorOf(dtype, sizes, gather(bytes, itemSize(dtype), sizes, strides)));
}

const fromBuffer: Call = ([content, type, shape, order], m) =>
  makeArray(type, shape, content, order === "F", m);

const draft: Call = () => new ArrayDraft();

/** NumPy's classes and functions, by module and name with a space between. */
export const NUMPY_GLOBALS: ReadonlyMap<string, PickleGlobal> = new Map(
  ([
    ["numpy dtype", makeType],
    ["numpy ndarray", undefined],
    ...["numpy.core", "numpy._core"].flatMap((core): [string, Call][] => [
      [`${core}.multiarray scalar`, makeScalar],
      [`${core}.multiarray _reconstruct`, draft],
      [`${core}.numeric _frombuffer`, fromBuffer],
    ]),
  ] satisfies [string, Call | undefined][]).map(([name, call]) => [
    name,
    new PickleGlobal(name.replace(" ", "."), call),
  ]),
);

/** Gives a type its byte order, or an array its elements; false where the object is neither. */
export function buildNumpy(object: TorchValue, state: TorchValue, m: PickleMachine): boolean {
  if (!(object instanceof ArrayType || object instanceof ArrayDraft)) return false;
  if (!Array.isArray(state)) throw m.malformed("has an array without a state");
  if (object instanceof ArrayType) {
    object.bigEndian = state[1] === ">";
    return true;
  }
  const [, shape, type, isFortran, content] = state;
  if (object.isBuilt) throw m.malformed("gives an array its elements twice");
  object.tensor = makeArray(type, shape, content, isFortran === true, m).tensor;
  object.isBuilt = true;
  return true;
}
