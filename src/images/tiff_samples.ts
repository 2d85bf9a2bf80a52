/** From the unpacked bytes of a TIFF's block to numbers. */
import { BrokenImageError, type Samples } from "./image.ts";
import type { TiffLayout } from "./tiff_directory.ts";

const SIGNED = 2, FLOAT = 3;

/** Numbers as they are stored. */
export type Stored =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** Refuses numbers of a kind that is not read. Throws {@linkcode BrokenImageError}. */
export function checkSamples({ bits, format, predictor }: TiffLayout): void {
  const allowed = format === FLOAT ? [32, 64] : format === SIGNED ? [8, 16, 32] : [1, 2, 4, 8, 16, 32];
  const kind = format === FLOAT ? "floats" : format === SIGNED ? "signed numbers" : "numbers";
  if (format > FLOAT) {
    throw new BrokenImageError(`the TIFF's values are of kind ${format}, which is not read`);
  }
  if (!allowed.includes(bits)) {
    throw new BrokenImageError(
      `the TIFF's values are ${kind} of ${bits} bits; ${allowed.join(", ")} can be read`,
    );
  }
  const predictable = predictor === 1 || (predictor === 2 && bits >= 8 && bits <= 32) ||
    (predictor === 3 && format === FLOAT && bits === 32);
  if (!predictable) {
    throw new BrokenImageError(`the TIFF's predictor ${predictor} is not read for ${kind} of ${bits} bits`);
  }
}

/** Memory for so many values at the depth that the file has: what is no whole number of 8 or 16 bits becomes float32. */
export function makeSamples({ bits, format }: TiffLayout, length: number): Samples {
  if (format === 1 && bits <= 8) return new Uint8Array(length);
  return format === 1 && bits === 16 ? new Uint16Array(length) : new Float32Array(length);
}

/** Bytes of one value in {@linkcode makeSamples}' memory. */
export function sampleBytes({ bits, format }: TiffLayout): number {
  return format === 1 && bits <= 8 ? 1 : format === 1 && bits === 16 ? 2 : 4;
}

/** The value that counts as 1: the type's largest, and 1 for floats. */
export function largestValue({ bits, format }: TiffLayout): number {
  if (format === FLOAT) return 1;
  return format === SIGNED ? 2 ** (bits - 1) - 1 : bits < 8 ? 255 : 2 ** bits - 1;
}

/**
 * The numbers of a block, in place where possible.
 * @param bytes memory of their own; each row begins at a byte
 * @param width pixels of a row
 * @param samples values of a pixel
 */
export function readSamples(layout: TiffLayout, bytes: Uint8Array, width: number, samples: number): Stored {
  const { bits, predictor, photometric } = layout;
  const row = width * samples;
  if (bits < 8) return spreadBits(bytes, row, bits, photometric !== 3);
  if (predictor === 3) joinPlanes(bytes, row, samples);
  if (layout.little ? predictor === 3 : bits > 8) swapBytes(bytes, bits / 8);
  if (predictor === 2) addDifferences(unsigned(bytes, bits), row, samples);
  return view(layout, bytes);
}

function unsigned({ buffer }: Uint8Array, bits: number): Uint8Array | Uint16Array | Uint32Array {
  return bits === 8
    ? new Uint8Array(buffer)
    : bits === 16
    ? new Uint16Array(buffer)
    : new Uint32Array(buffer);
}

function view({ bits, format }: TiffLayout, bytes: Uint8Array): Stored {
  const { buffer } = bytes;
  if (format === FLOAT) return bits === 32 ? new Float32Array(buffer) : new Float64Array(buffer);
  if (format !== SIGNED) return unsigned(bytes, bits);
  return bits === 8 ? new Int8Array(buffer) : bits === 16 ? new Int16Array(buffer) : new Int32Array(buffer);
}

/** Values of fewer than 8 bits, spread over 0 … 255 unless they are places in a palette. */
function spreadBits(bytes: Uint8Array, row: number, bits: number, scaled: boolean): Uint8Array {
  const rowBytes = Math.ceil(row * bits / 8), most = (1 << bits) - 1;
  const rows = bytes.length / rowBytes, factor = scaled ? 255 / most : 1;
  const out = new Uint8Array(rows * row);
  for (let y = 0, to = 0; y < rows; y++) {
    for (let i = 0; i < row; i++) {
      const bit = i * bits;
      out[to++] = ((bytes[y * rowBytes + (bit >> 3)] >> (8 - bits - (bit & 7))) & most) * factor;
    }
  }
  return out;
}

/** Turns the order of each value's bytes round. */
function swapBytes(bytes: Uint8Array, size: number): void {
  for (let at = 0; at + size <= bytes.length; at += size) {
    for (let low = at, high = at + size - 1; low < high; low++, high--) {
      const held = bytes[low];
      bytes[low] = bytes[high];
      bytes[high] = held;
    }
  }
}

/** Undoes horizontal differences (TIFF 6.0, section 14), modulo the values' size. */
function addDifferences(values: Uint8Array | Uint16Array | Uint32Array, row: number, samples: number): void {
  for (let from = 0; from < values.length; from += row) {
    for (let i = from + samples; i < from + row; i++) values[i] += values[i - samples];
  }
}

/** Undoes the differences of floats (Adobe's TIFF Technical Note 3): high bytes of a row first; big-endian afterwards. */
function joinPlanes(bytes: Uint8Array, row: number, samples: number): void {
  const plane = new Uint8Array(4 * row);
  for (let from = 0; from < bytes.length; from += 4 * row) {
    for (let i = from + samples; i < from + 4 * row; i++) bytes[i] += bytes[i - samples];
    plane.set(bytes.subarray(from, from + 4 * row));
    for (let i = 0; i < row; i++) {
      for (let b = 0; b < 4; b++) bytes[from + 4 * i + b] = plane[b * row + i];
    }
  }
}
