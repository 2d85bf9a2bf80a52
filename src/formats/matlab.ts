/**
 * Arrays of structures in MATLAB's MAT files of level 5, as far as tables need them: text and single numbers.
 * Format: "MAT-File Format", The MathWorks, chapter 1.
 */
import { inflateSync } from "../deps/zlib.ts";
import { InputError, messageOf } from "../util/errors.ts";

/** A field of a structure; null for what is neither text nor a number, and for arrays of numbers. */
export type MatValue = string | number | null;

/** Largest array when unpacked, in bytes. */
const MOST_BYTES = 64 * 2 ** 20;

const Type = { int8: 1, matrix: 14, compressed: 15 } as const;
const Class = { struct: 2, char: 4, firstNumeric: 6, lastNumeric: 15 } as const;

/** One piece of a file: its type and its bytes. */
interface Element {
  readonly type: number;
  readonly data: DataView;
  /** Where the next one begins. */
  readonly next: number;
}

/** Reads elements one after the other. */
class Elements {
  #offset = 0;

  constructor(private readonly view: DataView, readonly isLittle: boolean) {}

  /** Whether there are any left. */
  get isDone(): boolean {
    return this.#offset + 8 > this.view.byteLength;
  }

  /** The next element. Throws `RangeError` where it does not fit. */
  next(): Element {
    const { view, isLittle } = this;
    const at = this.#offset;
    const tag = view.getUint32(at, isLittle);
    const isSmall = tag >>> 16 !== 0; // up to four bytes lie in the tag itself
    const size = isSmall ? tag >>> 16 : view.getUint32(at + 4, isLittle);
    const type = isSmall ? tag & 0xffff : tag;
    const start = isSmall ? at + 4 : at + 8;
    const data = new DataView(view.buffer, view.byteOffset + start, Math.min(size, view.byteLength - start));
    if (data.byteLength < size) throw new RangeError("an element is cut");
    const end = start + size;
    this.#offset = isSmall ? at + 8 : type === Type.compressed ? end : end + (8 - size % 8) % 8;
    return { type, data, next: this.#offset };
  }
}

/** Readers of one number, by the element's type. */
const NUMBERS: Readonly<
  Record<number, readonly [bytes: number, read: (view: DataView, at: number, little: boolean) => number]>
> = {
  1: [1, (view, at) => view.getInt8(at)],
  2: [1, (view, at) => view.getUint8(at)],
  3: [2, (view, at, little) => view.getInt16(at, little)],
  4: [2, (view, at, little) => view.getUint16(at, little)],
  5: [4, (view, at, little) => view.getInt32(at, little)],
  6: [4, (view, at, little) => view.getUint32(at, little)],
  7: [4, (view, at, little) => view.getFloat32(at, little)],
  9: [8, (view, at, little) => view.getFloat64(at, little)],
  12: [8, (view, at, little) => Number(view.getBigInt64(at, little))],
  13: [8, (view, at, little) => Number(view.getBigUint64(at, little))],
};

function numbersIn({ type, data }: Element, little: boolean): number[] {
  const [bytes, read] = NUMBERS[type] ?? [0, () => 0];
  if (bytes === 0) return [];
  return Array.from({ length: Math.floor(data.byteLength / bytes) }, (_, i) => read(data, i * bytes, little));
}

function textIn(element: Element, little: boolean): string {
  const { type, data } = element;
  if (type === 16) return new TextDecoder().decode(data);
  if (type === 17) return String.fromCharCode(...numbersIn({ ...element, type: 4 }, little));
  return String.fromCharCode(...numbersIn(element, little));
}

/** The head of an array: what it is of, how long, and its name. */
function headOf(elements: Elements): { kind: number; count: number; name: string } {
  const [flags] = numbersIn(elements.next(), elements.isLittle);
  const count = numbersIn(elements.next(), elements.isLittle).reduce((product, side) => product * side, 1);
  const name = textIn(elements.next(), elements.isLittle);
  return { kind: flags & 0xff, count, name };
}

function valueOf({ data }: Element, little: boolean): MatValue {
  if (data.byteLength === 0) return null;
  const elements = new Elements(data, little);
  const { kind } = headOf(elements);
  if (kind === Class.char) return elements.isDone ? "" : textIn(elements.next(), little);
  if (kind < Class.firstNumeric || kind > Class.lastNumeric || elements.isDone) return null;
  const numbers = numbersIn(elements.next(), little);
  return numbers.length === 1 ? numbers[0] : null;
}

/** Rows of a structure array. */
function rowsOf(elements: Elements, count: number): Record<string, MatValue>[] {
  const [width] = numbersIn(elements.next(), elements.isLittle);
  const letters = textIn({ ...elements.next(), type: Type.int8 }, elements.isLittle);
  const fields = Array.from(
    { length: Math.floor(letters.length / width) },
    (_, i) => letters.slice(i * width, (i + 1) * width).replace(/\0.*$/s, ""),
  );
  const rows: Record<string, MatValue>[] = [];
  for (let row = 0; row < count; row++) {
    rows.push(
      Object.fromEntries(fields.map((field) => [field, valueOf(elements.next(), elements.isLittle)])),
    );
  }
  return rows;
}

/**
 * The rows of an array of structures.
 * @param file what the bytes are called, for refusals
 * @param variable name of the array
 * @throws {InputError} where the bytes are no such file, or hold no such array
 */
export function readMatStructs(
  bytes: Uint8Array,
  file: string,
  variable: string,
): Record<string, MatValue>[] {
  const order = String.fromCharCode(...bytes.subarray(126, 128));
  if (order !== "IM" && order !== "MI") throw new InputError(`"${file}" is no MAT file of level 5`);
  const isLittle = order === "IM";
  try {
    const elements = new Elements(
      new DataView(bytes.buffer, bytes.byteOffset + 128, bytes.length - 128),
      isLittle,
    );
    while (!elements.isDone) {
      const matrix = new Elements(matrixIn(elements.next(), isLittle), isLittle);
      const { kind, count, name } = headOf(matrix);
      if (name === variable && kind === Class.struct) return rowsOf(matrix, count);
    }
  } catch (error) {
    throw new InputError(`"${file}" is a damaged MAT file: ${messageOf(error)}`);
  }
  throw new InputError(`"${file}" holds no structures "${variable}"`);
}

/** The bytes of a matrix, unpacked where they are packed. */
function matrixIn({ type, data }: Element, isLittle: boolean): DataView {
  if (type !== Type.compressed) return data;
  const packed = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const bytes = inflateSync(packed, { maxOutputLength: MOST_BYTES });
  return new Elements(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), isLittle).next().data;
}
