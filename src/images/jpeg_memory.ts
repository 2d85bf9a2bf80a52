/** Where the JPEG kernels and their caller find things in WebAssembly memory: addresses and offsets in bytes. */

/** 80 bytes: for each place in zigzag order the offset of its coefficient; 16 more for runs that lead out of the block. */
export const ZIGZAG = 0;
/** One block of coefficients: 64 × 16 bits, row by row. It is zero between blocks. */
export const COEFFICIENTS = 128;
/** The region of interest and the size of the scan, {@linkcode RegionField} by field. */
export const REGION = 256;
/** What is known of each block of an MCU: up to 6 entries of {@linkcode BLOCK_BYTES}, {@linkcode BlockField} by field. */
export const BLOCKS = 320;
/** Bytes of an entry. */
export const BLOCK_BYTES = 32;
/** The last direct-current value of each component, 32 bits each. */
export const PREDICTIONS = 576;
/** Where `unstuff` stopped reading. */
export const STOPPED_AT = 600;
/** Four quantisation tables of 64 × 16 bits, row by row. */
export const QUANTISERS = 640;
/** Four Huffman tables of {@linkcode TABLE_BYTES}: direct current 0 and 1, alternating current 0 and 1. */
export const TABLES = 2048;
/** From here on memory is laid out for each image. */
export const FREE = 20_480;

/** Offsets of what is in {@linkcode REGION}: 32 bits each. MCUs are counted from 0; the ends are not part of it. */
export const RegionField = { across: 0, left: 4, right: 8, top: 12, bottom: 16, blocksEnd: 20 } as const;

/** Offsets within an entry of {@linkcode BLOCKS}: addresses, and steps in bytes from MCU to MCU. */
export const BlockField = {
  dcTable: 0,
  acTable: 4,
  quantiser: 8,
  prediction: 12,
  origin: 16,
  stepDown: 20,
  stepAcross: 24,
  stride: 28,
} as const;

/** Codes up to so many bits are found by one look into a table. */
export const LOOKUP_BITS = 10;
/** Within a Huffman table: for each length beyond the lookup the first code too large for it, and what leads to symbols. */
export const LONG_CODES: number = 4 << LOOKUP_BITS;
/** Within a Huffman table: the symbols in the order of their codes. */
export const SYMBOLS: number = LONG_CODES + 64;
/** Bytes of a Huffman table. */
export const TABLE_BYTES: number = SYMBOLS + 256;
