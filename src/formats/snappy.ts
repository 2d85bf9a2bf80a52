/** Decompressing Snappy's raw format: https://github.com/google/snappy/blob/main/format_description.txt. */

/** The bytes are no sound Snappy data. */
export class SnappyError extends Error {
  /** The class's name, for printing. */
  override name = "SnappyError";
}

/** Longest literal that is copied byte by byte: a call costs more. */
const SHORT = 16;

/** The length that the data begins with, and where the data itself begins. */
function lengthOf(input: Uint8Array): { length: number; at: number } {
  let length = 0, factor = 1;
  for (let at = 0; at < 5 && at < input.length; at++) {
    length += (input[at] & 0x7f) * factor;
    if (input[at] < 0x80) return { length, at: at + 1 };
    factor *= 128;
  }
  throw new SnappyError("its length is damaged");
}

/** A number of 1 to 4 bytes, the lowest first. */
function littleEndian(input: Uint8Array, at: number, count: number): number {
  let value = 0, factor = 1;
  for (let i = 0; i < count; i++) {
    value += input[at + i] * factor;
    factor *= 256;
  }
  return value;
}

function copyWithin(output: Uint8Array, at: number, offset: number, length: number): void {
  if (offset >= length) {
    if (length <= SHORT) { for (let i = 0; i < length; i++) output[at + i] = output[at + i - offset]; }
    else output.copyWithin(at, at - offset, at - offset + length);
    return;
  }
  for (let i = 0; i < length; i++) output[at + i] = output[at + i - offset]; // it repeats what it writes
}

/**
 * Decompresses.
 * @param length bytes that come out
 * @throws {SnappyError} where the data is damaged or of another length
 */
export function decompressSnappy(input: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const start = lengthOf(input);
  if (start.length !== length) throw new SnappyError(`it holds ${start.length} bytes, not ${length}`);
  const output = new Uint8Array(length);
  const end = input.length;
  let at = start.at, out = 0;
  while (at < end) {
    const tag = input[at++];
    const kind = tag & 3;
    if (kind === 0) {
      let count = (tag >> 2) + 1;
      if (count > 60) {
        const bytes = count - 60;
        if (at + bytes > end) throw new SnappyError("it ends too early");
        count = littleEndian(input, at, bytes) + 1;
        at += bytes;
      }
      if (at + count > end || out + count > length) throw new SnappyError("it ends too early");
      if (count <= SHORT) { for (let i = 0; i < count; i++) output[out + i] = input[at + i]; }
      else output.set(input.subarray(at, at + count), out);
      at += count;
      out += count;
      continue;
    }
    const bytes = kind === 3 ? 4 : kind;
    if (at + bytes > end) throw new SnappyError("it ends too early");
    const count = kind === 1 ? (tag >> 2 & 7) + 4 : (tag >> 2) + 1;
    const offset = kind === 1 ? (tag >> 5) * 256 + input[at] : littleEndian(input, at, bytes);
    at += bytes;
    if (offset === 0 || offset > out || out + count > length) throw new SnappyError("it refers to nothing");
    copyWithin(output, out, offset, count);
    out += count;
  }
  if (out !== length) throw new SnappyError("it ends too early");
  return output;
}
