/**
 * Decoding the pages of a column of bytes or whole numbers. Format: https://parquet.apache.org/docs/file-format/data-pages and
 * https://parquet.apache.org/docs/file-format/data-pages/encodings. Values are views of the pages wherever that can be.
 */
import { brotliDecompressSync, crc32, gunzipSync, zstdDecompressSync } from "../deps/zlib.ts";
import { messageOf } from "../util/errors.ts";
import type { ColumnChunk, ParquetColumn } from "./parquet_footer.ts";
import { decompressSnappy, SnappyError } from "./snappy.ts";
import { countIn, readThrift, structIn, ThriftError, type ThriftStruct } from "./thrift_compact.ts";

/** Why a column cannot be decoded; whoever reads the file adds its name and the row group. */
export class ParquetPageError extends Error {
  /** The class's name, for printing. */
  override name = "ParquetPageError";
}

/** Most rows of a row group. */
export const MAX_ROWS = 10_000_000;
/** Longest page. */
const MAX_PAGE = 2 ** 31 - 1;
/** A Snappy copy of 64 bytes takes three. */
const SNAPPY_RATIO = 22;

const DATA = 0, DICTIONARY = 2, DATA_V2 = 3;
const PLAIN = 0, PLAIN_DICTIONARY = 2, RLE = 3, RLE_DICTIONARY = 8;
const ENCODINGS = [
  "PLAIN",
  "",
  "PLAIN_DICTIONARY",
  "RLE",
  "BIT_PACKED",
  "DELTA_BINARY_PACKED",
  "DELTA_LENGTH_BYTE_ARRAY",
  "DELTA_BYTE_ARRAY",
  "RLE_DICTIONARY",
  "BYTE_STREAM_SPLIT",
];
const CODECS = ["none", "Snappy", "gzip", "LZO", "Brotli", "LZ4", "Zstandard", "LZ4"];

/** One page of values. */
interface Page {
  /** Values, those that are missing included. */
  readonly count: number;
  /** Definition levels, or null where nothing is missing. */
  readonly levels: Uint32Array | null;
  /** Number of the encoding of `data`. */
  readonly encoding: number;
  /** The values that are there. */
  readonly data: Uint8Array;
}

/** Without Node's own methods, which copy where views are meant. */
const plain = ({ buffer, byteOffset, length }: Uint8Array) => new Uint8Array(buffer, byteOffset, length);

function decompress(codec: number, input: Uint8Array, length: number): Uint8Array {
  const limit = { maxOutputLength: Math.max(1, length) };
  try {
    switch (codec) {
      case 0:
        return input;
      case 1:
        if (length > SNAPPY_RATIO * (input.length + 1)) throw new SnappyError("it ends too early");
        return decompressSnappy(input, length);
      case 2:
        return plain(gunzipSync(input, limit));
      case 4:
        return plain(brotliDecompressSync(input, limit));
      case 6:
        return plain(zstdDecompressSync(input, limit));
    }
  } catch (error) {
    throw new ParquetPageError(`a page cannot be decompressed (${CODECS[codec]}): ${messageOf(error)}`);
  }
  throw new ParquetPageError(
    `it is compressed by ${
      CODECS[codec] ?? `method ${codec}`
    }, which is not supported; write it with Snappy or Zstandard`,
  );
}

/** Whole numbers below 2^bits, in runs of one value or packed bit by bit. */
function runs(bytes: Uint8Array, bits: number, count: number): Uint32Array {
  const values = new Uint32Array(count);
  if (bits === 0) return values;
  if (bits > 32) throw new ParquetPageError("a page is damaged");
  const width = Math.ceil(bits / 8);
  const factor = 2 ** bits;
  let at = 0, done = 0;
  while (done < count) {
    let head = 0, scale = 1;
    for (let byte = 0x80; byte >= 0x80; scale *= 128) {
      if (at >= bytes.length || scale > 2 ** 42) throw new ParquetPageError("a page ends too early");
      byte = bytes[at++];
      head += (byte & 0x7f) * scale;
    }
    const length = Math.floor(head / 2);
    if (length === 0) continue;
    if (head % 2 === 0) {
      let value = 0;
      for (let i = 0; i < width; i++) value += (bytes[at + i] ?? 0) * 2 ** (8 * i);
      at += width;
      const end = Math.min(count, done + length);
      values.fill(value, done, end);
      done = end;
      continue;
    }
    const end = Math.min(count, done + 8 * length);
    for (let held = 0, have = 0; done < end; done++) {
      for (; have < bits; have += 8) held += (bytes[at++] ?? 0) * 2 ** have;
      values[done] = held % factor;
      held = Math.floor(held / factor);
      have -= bits;
    }
  }
  return values;
}

/** Levels as they stand, or null where all are the highest. */
function levelsIn(bytes: Uint8Array, highest: number, count: number): Uint32Array | null {
  const levels = runs(bytes, 32 - Math.clz32(highest), count);
  return levels.every((level) => level === highest) ? null : levels;
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A data page of the first version: levels, with their length before them, and values are compressed together. */
function pageOf(header: ThriftStruct, data: Uint8Array, column: ParquetColumn): Page {
  const fields = structIn(header, 5);
  const [count, encoding, levelEncoding] = [1, 2, 3].map((field) => countIn(fields, field));
  if (count === undefined || encoding === undefined || count > MAX_ROWS) {
    throw new ParquetPageError("a page is damaged");
  }
  if (column.maxDefinition === 0) return { count, levels: null, encoding, data };
  if (levelEncoding !== RLE) {
    throw new ParquetPageError("its levels are packed in a way that is no longer written");
  }
  const length = data.length < 4 ? Infinity : viewOf(data).getUint32(0, true);
  if (4 + length > data.length) throw new ParquetPageError("a page ends too early");
  const levels = levelsIn(data.subarray(4, 4 + length), column.maxDefinition, count);
  return { count, levels, encoding, data: data.subarray(4 + length) };
}

/** A data page of the second version: levels are not compressed. */
function pageV2Of(
  header: ThriftStruct,
  stored: Uint8Array,
  length: number,
  codec: number,
  column: ParquetColumn,
): Page {
  const fields = structIn(header, 8);
  const [count, encoding, definitionBytes, repetitionBytes] = [1, 4, 5, 6].map((field) =>
    countIn(fields, field)
  );
  if (
    count === undefined || encoding === undefined || definitionBytes === undefined ||
    repetitionBytes === undefined ||
    count > MAX_ROWS || definitionBytes + repetitionBytes > Math.min(stored.length, length)
  ) {
    throw new ParquetPageError("a page is damaged");
  }
  const levelBytes = definitionBytes + repetitionBytes;
  const levels = column.maxDefinition === 0
    ? null
    : levelsIn(stored.subarray(repetitionBytes, levelBytes), column.maxDefinition, count);
  const values = stored.subarray(levelBytes);
  const isCompressed = fields.get(7) !== false && values.length > 0;
  const data = isCompressed ? decompress(codec, values, length - levelBytes) : values;
  return { count, levels, encoding, data };
}

/** The pages of a chunk; those of dictionaries go to `onDictionary`. */
function* pagesIn(
  bytes: Uint8Array,
  chunk: ColumnChunk,
  column: ParquetColumn,
  onDictionary: (data: Uint8Array, count: number) => void,
): Generator<Page> {
  for (let at = 0, done = 0; done < chunk.values;) {
    const { fields, end } = headerAt(bytes, at);
    const [type, length, storedLength, sum] = [
      countIn(fields, 1),
      countIn(fields, 2),
      countIn(fields, 3),
      fields.get(4),
    ];
    if (type === undefined || length === undefined || storedLength === undefined || length > MAX_PAGE) {
      throw new ParquetPageError("the header of a page is damaged");
    }
    if (end + storedLength > bytes.length) throw new ParquetPageError("a page ends behind its column");
    const stored = bytes.subarray(end, at = end + storedLength);
    if (typeof sum === "number" && crc32(stored) !== sum >>> 0) {
      throw new ParquetPageError("the checksum of a page is wrong");
    }
    if (type === DICTIONARY) {
      const data = decompress(chunk.codec, stored, length);
      onDictionary(data, countIn(structIn(fields, 7), 1) ?? 0);
    } else if (type === DATA || type === DATA_V2) {
      const page = type === DATA
        ? pageOf(fields, decompress(chunk.codec, stored, length), column)
        : pageV2Of(fields, stored, length, chunk.codec, column);
      done += page.count;
      if (done > chunk.values) throw new ParquetPageError("its pages have more values than it says");
      yield page;
    }
  }
}

function headerAt(bytes: Uint8Array, at: number): { fields: ThriftStruct; end: number } {
  if (at >= bytes.length) throw new ParquetPageError("its pages have fewer values than it says");
  try {
    return readThrift(bytes, at);
  } catch (error) {
    if (error instanceof ThriftError) throw new ParquetPageError("the header of a page is damaged");
    throw error;
  }
}

/** Reads `count` values that stand one after the other. */
type ReadPlain<T> = (data: Uint8Array, count: number) => T[];

function* plainBytes(data: Uint8Array): Generator<Uint8Array> {
  const view = viewOf(data);
  for (let at = 0; at < data.length;) {
    const start = at + 4;
    const length = start > data.length ? Infinity : view.getUint32(at, true);
    if (start + length > data.length) throw new ParquetPageError("a value ends behind its page");
    at = start + length;
    yield data.subarray(start, at);
  }
}

function readBytes(data: Uint8Array, count: number): Uint8Array[] {
  const values: Uint8Array[] = [];
  if (count === 0) return values;
  for (const value of plainBytes(data)) if (values.push(value) === count) return values;
  throw new ParquetPageError("a page ends too early");
}

function readNumbers(type: ParquetColumn["type"]): ReadPlain<number> {
  const size = type === "INT64" ? 8 : 4;
  return (data, count) => {
    if (count * size > data.length) throw new ParquetPageError("a page ends too early");
    const view = viewOf(data);
    return Array.from(
      { length: count },
      (_, i) => size === 8 ? Number(view.getBigInt64(8 * i, true)) : view.getInt32(4 * i, true),
    );
  };
}

/** The values of a chunk, undefined where one is missing. */
function decode<T>(
  bytes: Uint8Array,
  chunk: ColumnChunk,
  column: ParquetColumn,
  readPlain: ReadPlain<T>,
): (T | undefined)[] {
  if (column.maxRepetition > 0) throw new ParquetPageError("its rows hold several values each");
  if (chunk.values > MAX_ROWS) {
    throw new ParquetPageError(`it has ${chunk.values} rows, and ${MAX_ROWS} are the most`);
  }
  const values: (T | undefined)[] = [];
  let dictionary: T[] = [];
  for (const page of pagesIn(bytes, chunk, column, (data, count) => dictionary = readPlain(data, count))) {
    const { count, levels, encoding, data } = page;
    const there = levels === null
      ? count
      : levels.reduce((sum, level) => sum + (level === column.maxDefinition ? 1 : 0), 0);
    const own = decodeValues(encoding, data, there, dictionary, readPlain);
    let next = 0;
    for (let i = 0; i < count; i++) {
      values.push(levels === null || levels[i] === column.maxDefinition ? own[next++] : undefined);
    }
  }
  return values;
}

function decodeValues<T>(
  encoding: number,
  data: Uint8Array,
  count: number,
  dictionary: readonly T[],
  readPlain: ReadPlain<T>,
): T[] {
  if (encoding === PLAIN) return readPlain(data, count);
  if (encoding !== PLAIN_DICTIONARY && encoding !== RLE_DICTIONARY) {
    throw new ParquetPageError(
      `it is encoded as ${
        ENCODINGS[encoding] ?? encoding
      }, which is not supported; write it with PLAIN or a dictionary`,
    );
  }
  if (count === 0) return [];
  if (data.length === 0) throw new ParquetPageError("a page ends too early");
  return Array.from(runs(data.subarray(1), data[0], count), (place) => {
    if (place < dictionary.length) return dictionary[place];
    throw new ParquetPageError("a page refers to what its dictionary lacks");
  });
}

/**
 * The values of a column of bytes, undefined where one is missing.
 * @param bytes the chunk's pages, as its place in the footer says
 * @throws {ParquetPageError} where they are damaged, or stored in a way that is not supported
 */
export function decodeByteColumn(
  bytes: Uint8Array,
  chunk: ColumnChunk,
  column: ParquetColumn,
): (Uint8Array | undefined)[] {
  if (column.type !== "BYTE_ARRAY") throw new ParquetPageError(`it holds ${column.type} and no bytes`);
  return decode(bytes, chunk, column, readBytes);
}

/** The values of a column of whole numbers of 32 or 64 bits; see {@linkcode decodeByteColumn}. */
export function decodeNumberColumn(
  bytes: Uint8Array,
  chunk: ColumnChunk,
  column: ParquetColumn,
): (number | undefined)[] {
  if (column.type !== "INT32" && column.type !== "INT64") {
    throw new ParquetPageError(`it holds ${column.type} and no whole numbers`);
  }
  return decode(bytes, chunk, column, readNumbers(column.type));
}
