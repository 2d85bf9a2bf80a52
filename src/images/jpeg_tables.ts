/** Huffman and quantisation tables of JPEG files in the form that the kernels read. */
import { LONG_CODES, LOOKUP_BITS, SYMBOLS, TABLE_BYTES } from "./jpeg_memory.ts";

/** Row-by-row place of each coefficient in zigzag order (ITU-T T.81, figure A.6). */
export const NATURAL_ORDER: readonly number[] = zigzag();

function zigzag(): number[] {
  const order: number[] = [];
  for (let diagonal = 0; diagonal < 15; diagonal++) {
    for (let i = 0; i <= diagonal; i++) {
      const row = diagonal % 2 === 0 ? diagonal - i : i, column = diagonal - row;
      if (row < 8 && column < 8) order.push(row * 8 + column);
    }
  }
  return order;
}

/**
 * An entry of the lookup: bits 0–7 how many bits to take, 8–11 zeros before the coefficient, 12–15 bits of the
 * coefficient that are still to be read, 16–31 the coefficient when it lay in the bits that were looked at.
 */
function entryOf(symbol: number, length: number, following: number): number {
  const size = symbol & 15;
  // A size of 0 ends the block, except after a run of 15, which is 16 zeros.
  const run = size === 0 && symbol !== 0xf0 ? 0 : symbol >> 4;
  const spare = LOOKUP_BITS - length;
  if (size === 0 || size > spare) return (size << 12) | (run << 8) | length;
  const bits = following >> (spare - size);
  const value = bits < 1 << (size - 1) ? bits + 1 - (1 << size) : bits;
  return (value << 16) | (run << 8) | (length + size);
}

/**
 * Fills a table for a kernel from a DHT segment's 16 counts and its symbols; undefined where the counts allow no code
 * (ITU-T T.81, annex C).
 */
export function huffmanTable(counts: Uint8Array, symbols: Uint8Array): Uint8Array | undefined {
  const bytes = new Uint8Array(TABLE_BYTES);
  const lookup = new Int32Array(bytes.buffer, 0, 1 << LOOKUP_BITS);
  const long = new Int32Array(bytes.buffer, LONG_CODES, 16);
  bytes.set(symbols, SYMBOLS);
  for (let length = 1, code = 0, place = 0; length <= 16; length++, code <<= 1) {
    const count = counts[length - 1];
    if (code + count > 1 << length) return undefined;
    if (length > LOOKUP_BITS) {
      const at = (length - LOOKUP_BITS - 1) * 2;
      long[at] = (code + count) << (16 - length);
      long[at + 1] = place - code;
      code += count;
      place += count;
      continue;
    }
    const spare = LOOKUP_BITS - length;
    for (const end = place + count; place < end; place++, code++) {
      for (let following = 0; following < 1 << spare; following++) {
        lookup[(code << spare) | following] = entryOf(symbols[place], length, following);
      }
    }
  }
  return bytes;
}

/** A quantisation table row by row, from its bytes in zigzag order. */
export function quantiser(zigzagBytes: Uint8Array): Uint8Array {
  const values = new Int16Array(64);
  for (let k = 0; k < 64; k++) values[NATURAL_ORDER[k]] = zigzagBytes[k];
  return new Uint8Array(values.buffer);
}
