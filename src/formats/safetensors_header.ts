/**
 * The header of a safetensors file: 8 bytes of length, then a JSON object that maps each tensor's name to its element
 * type, shape and byte range. Format: https://github.com/huggingface/safetensors#format.
 *
 * The header of a downloaded file is untrusted. It is read by a parser of just this shape of JSON: it sees duplicate
 * names (which `JSON.parse` drops), cannot nest, and takes time linear in the header, whose length is capped.
 */

import { InputError } from "../util/errors.ts";
import { quoted } from "../util/quoted.ts";
import { type Dtype, DTYPES, isDtype, itemSize } from "./dtypes.ts";

/** Longest header that is read or written, in bytes; the limit of the reference implementation. */
export const MAX_HEADER_BYTES = 100_000_000;

/** Most dimensions that a shape may have; the limit of NumPy. */
const MAX_DIMENSIONS = 64;

/** Where one tensor lies in its file. */
export interface TensorInfo {
  /** Element type. */
  readonly dtype: Dtype;
  /** Length of each dimension, outermost first. */
  readonly shape: readonly number[];
  /** First byte, counted from the start of the data that follows the header. */
  readonly offset: number;
  /** Length in bytes. */
  readonly byteLength: number;
}

/** What a header says. */
export interface SafetensorsHeader {
  /** The file's free text, by name. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The tensors by name, in the header's order. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/** An `InputError` that names the file. */
export function malformed(file: string, what: string): InputError {
  return new InputError(`"${file}" is not a valid safetensors file: ${what}`);
}

/** Number of elements, or `undefined` where it is no safe integer. */
function elementCount(shape: readonly number[]): number | undefined {
  let count = 1;
  for (const size of shape) {
    count *= size;
    if (count > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return count;
}

/** A cursor over the header's JSON; every method takes one thing or throws. */
class HeaderParser {
  #position = 0;

  constructor(readonly text: string, readonly file: string) {}

  fail(what: string): never {
    throw malformed(this.file, what);
  }

  /** The next character that is no white space, or `undefined` at the end. */
  peek(): string | undefined {
    while (" \n\r\t".includes(this.text[this.#position] ?? "x")) this.#position++;
    return this.text[this.#position];
  }

  take(character: string): void {
    const found = this.peek();
    if (found !== character) {
      const what = found === undefined ? "the end" : JSON.stringify(found);
      this.fail(`the header has ${what} at character ${this.#position} where ${character} belongs`);
    }
    this.#position++;
  }

  string(): string {
    this.take('"');
    const start = this.#position;
    for (let end = start;; end++) {
      end = this.text.indexOf('"', end);
      if (end < 0) this.fail(`the header has a string without end at character ${start}`);
      let backslashes = 0;
      while (this.text[end - 1 - backslashes] === "\\") backslashes++;
      if (backslashes % 2 === 1) continue;
      this.#position = end + 1;
      try {
        return String(JSON.parse(this.text.slice(start - 1, end + 1)));
      } catch {
        this.fail(`the header has a broken string at character ${start}`);
      }
    }
  }

  /** A non-negative integer below 2^53, written in plain digits. */
  integer(): number {
    this.peek();
    const digits = /(?:0|[1-9]\d{0,15})(?![\d.eE])/y;
    digits.lastIndex = this.#position;
    const value = Number(digits.exec(this.text)?.[0] ?? NaN);
    if (!Number.isSafeInteger(value)) {
      const found = this.text.slice(this.#position, this.#position + 20);
      this.fail(
        `the header has ${
          quoted(found)
        } at character ${this.#position} where an integer from 0 to 2^53 - 1 belongs`,
      );
    }
    this.#position = digits.lastIndex;
    return value;
  }

  /** Values between brackets or braces, separated by commas. */
  list(open: string, close: string, takeValue: () => void): void {
    this.take(open);
    if (this.peek() !== close) {
      takeValue();
      while (this.peek() === ",") {
        this.take(",");
        takeValue();
      }
    }
    this.take(close);
  }

  integers(limit: number, what: string): number[] {
    const values: number[] = [];
    this.list("[", "]", () => {
      if (values.push(this.integer()) > limit) this.fail(`${what} has more than ${limit} numbers`);
    });
    return values;
  }

  /** An object whose keys are each met once. */
  members(where: string, takeMember: (key: string) => void): void {
    const seen = new Set<string>();
    this.list("{", "}", () => {
      const key = this.string();
      if (seen.has(key)) this.fail(`${where} has ${quoted(key)} twice`);
      seen.add(key);
      this.take(":");
      takeMember(key);
    });
  }

  metadata(): Record<string, string> {
    const pairs: [string, string][] = [];
    this.members("__metadata__", (key) => pairs.push([key, this.string()]));
    return Object.fromEntries(pairs);
  }

  tensor(name: string): TensorInfo {
    let dtype: string | undefined;
    let shape: number[] | undefined;
    let range: number[] | undefined;
    const where = `tensor ${quoted(name)}`;
    this.members(where, (key) => {
      if (key === "dtype") dtype = this.string();
      else if (key === "shape") shape = this.integers(MAX_DIMENSIONS, `the shape of ${where}`);
      else if (key === "data_offsets") range = this.integers(2, `data_offsets of ${where}`);
      else this.fail(`${where} has the unknown key ${quoted(key)} (dtype, shape, data_offsets)`);
    });
    if (dtype === undefined || shape === undefined || range?.length !== 2) {
      this.fail(`${where} lacks its dtype, its shape or its two data_offsets`);
    }
    if (!isDtype(dtype)) {
      this.fail(`${where} has the dtype ${quoted(dtype)}, which is none of ${DTYPES.join(", ")}`);
    }
    const count = elementCount(shape);
    if (count === undefined) this.fail(`${where} has more than 2^53 elements`);
    const byteLength = range[1] - range[0];
    if (byteLength !== count * itemSize(dtype)) {
      this.fail(
        `${where} has data_offsets [${range}], but ${dtype} [${shape}] takes ${
          count * itemSize(dtype)
        } bytes`,
      );
    }
    return { dtype, shape, offset: range[0], byteLength };
  }

  header(): SafetensorsHeader {
    let metadata: Record<string, string> = {};
    const tensors = new Map<string, TensorInfo>();
    this.members("the header", (name) => {
      if (name === "__metadata__") metadata = this.metadata();
      else tensors.set(name, this.tensor(name));
    });
    const rest = this.peek();
    if (rest !== undefined) {
      this.fail(`the header goes on with ${JSON.stringify(rest)} after its closing brace`);
    }
    return { metadata, tensors };
  }
}

/** Refuses tensors that overlap, leave bytes unused, or lie outside the data; the format forbids all three. */
function checkLayout(tensors: ReadonlyMap<string, TensorInfo>, dataLength: number, file: string): void {
  const byOffset = [...tensors].sort(([, a], [, b]) => a.offset - b.offset || a.byteLength - b.byteLength);
  let end = 0;
  for (const [name, { offset, byteLength }] of byOffset) {
    const where = `tensor ${quoted(name)}`;
    if (offset < end) throw malformed(file, `${where} starts at byte ${offset}, inside the tensor before it`);
    if (offset > end) throw malformed(file, `the ${offset - end} bytes before ${where} belong to no tensor`);
    end += byteLength;
    if (end > dataLength) {
      throw malformed(
        file,
        `${where} ends at byte ${end} of ${dataLength} bytes of data; the file may be cut short`,
      );
    }
  }
  if (end < dataLength) throw malformed(file, `its last ${dataLength - end} bytes belong to no tensor`);
}

/**
 * The length of the JSON header, from the first 8 bytes of a file.
 *
 * @param prefix the first bytes of the file, fewer than 8 where it is shorter
 * @param fileSize size of the whole file in bytes
 * @param file name for the errors
 * @throws {InputError} where the length is more than the file or the cap allows
 */
export function parseHeaderLength(prefix: Uint8Array, fileSize: number, file: string): number {
  if (prefix.length < 8) throw malformed(file, `it has ${fileSize} bytes, too few for a header`);
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(fileSize - 8)) {
    throw malformed(file, `its header should take ${length} bytes, and the file has ${fileSize}`);
  }
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw malformed(file, `its header takes ${length} bytes, more than the limit of ${MAX_HEADER_BYTES}`);
  }
  return Number(length);
}

/**
 * Parses the JSON part of a header and checks every tensor's place.
 *
 * @param json the header without its 8 bytes of length
 * @param dataLength bytes that follow the header in the file
 * @param file name for the errors
 * @throws {InputError} with one sentence where anything is not as the format says
 */
export function parseHeader(json: Uint8Array, dataLength: number, file: string): SafetensorsHeader {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(json);
  } catch {
    throw malformed(file, "its header is not UTF-8 text");
  }
  if (!text.startsWith("{")) throw malformed(file, "its header does not start with {");
  const header = new HeaderParser(text, file).header();
  checkLayout(header.tensors, dataLength, file);
  return header;
}

/**
 * The header's bytes, the length included, padded with spaces to a multiple of 8 so that the data is aligned.
 * Throws `Error` where it would exceed `MAX_HEADER_BYTES`.
 */
export function encodeHeader(header: SafetensorsHeader): Uint8Array<ArrayBuffer> {
  // Text is joined rather than an object built: as a key of an object, "__proto__" would vanish and "10" would move.
  const members = [...header.tensors].map(([name, { dtype, shape, offset, byteLength }]) =>
    `${JSON.stringify(name)}:` +
    JSON.stringify({ dtype, shape, data_offsets: [offset, offset + byteLength] })
  );
  if (Object.keys(header.metadata).length > 0) {
    members.unshift(`"__metadata__":${JSON.stringify(header.metadata)}`);
  }
  const json = new TextEncoder().encode(`{${members.join(",")}}`);
  const length = Math.ceil(json.length / 8) * 8;
  if (length > MAX_HEADER_BYTES) {
    throw new Error(`Header of ${length} bytes is over the limit ${MAX_HEADER_BYTES}`);
  }
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return bytes;
}
