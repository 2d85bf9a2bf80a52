/**
 * The 512-byte headers of tar archives and the records of extended ones. Format: POSIX.1-2017, pax, "ustar Interchange
 * Format" and "pax Interchange Format"; GNU tar 1.35 manual, "Basic Tar Format", for long names and base-256 numbers.
 */

/** Bytes of a header, and what every entry's data is filled up to. */
export const TAR_BLOCK = 512;

/** Why a header or its records are not what the format says; whoever reads an archive adds the shard and the place. */
export class TarFormatError extends Error {
  /** The class's name, for printing. */
  override name = "TarFormatError";
}

/** What a header says. */
export interface TarHeader {
  /** The entry's path as it stands there. */
  readonly name: string;
  /** The letter of its kind; `"\0"` in archives older than the letters. */
  readonly type: string;
  /** Bytes of data that follow. */
  readonly size: number;
}

const NAME = 0, NAME_END = 100;
const SIZE = 124, SIZE_END = 136;
const CHECKSUM = 148, CHECKSUM_END = 156;
const TYPE = 156;
const MAGIC = 257;
const PREFIX = 345, PREFIX_END = 500;
/** `ustar` and a zero byte; GNU's older headers have a space there, and other things where the prefix is. */
const USTAR = [0x75, 0x73, 0x74, 0x61, 0x72, 0];
const SPACE = 0x20, ZERO = 0x30, SEVEN = 0x37;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const latin1 = new TextDecoder("latin1");

/** Bytes as text: UTF-8, or where they are none, one character per byte, so that different bytes stay different. */
export function tarText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return latin1.decode(bytes);
  }
}

/** The bytes before the first zero. */
function untilZero(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

function octal(bytes: Uint8Array, what: string): number {
  let at = 0;
  while (at < bytes.length && bytes[at] === SPACE) at++;
  let value = 0;
  for (; at < bytes.length && bytes[at] !== 0 && bytes[at] !== SPACE; at++) {
    if (bytes[at] < ZERO || bytes[at] > SEVEN) throw new TarFormatError(`its ${what} is no number`);
    value = value * 8 + bytes[at] - ZERO;
  }
  return value;
}

/** A size: octal digits, or with the first bit set a big-endian number of two's complement. */
function sizeOf(bytes: Uint8Array): number {
  if (bytes[0] < 0x80) return octal(bytes, "size");
  if ((bytes[0] & 0x40) !== 0) throw new TarFormatError("its size is negative");
  let value = bytes[0] & 0x3f;
  for (const byte of bytes.subarray(1)) value = value * 256 + byte;
  if (!Number.isSafeInteger(value)) throw new TarFormatError("its size is more than 2^53 bytes");
  return value;
}

/** Sums of a header's bytes without and with signs, the checksum counted as spaces: writers do either. */
function sumsOf(block: Uint8Array): [unsigned: number, signed: number] {
  let sum = 0, high = 0;
  for (let i = 0; i < TAR_BLOCK; i++) {
    const byte = i >= CHECKSUM && i < CHECKSUM_END ? SPACE : block[i];
    sum += byte;
    high += byte >> 7;
  }
  return [sum, sum - 256 * high];
}

/** Whether the block holds zeros only, as the two at an archive's end do. */
export function isZeroBlock(block: Uint8Array): boolean {
  if (block[0] !== 0) return false;
  return block.every((byte) => byte === 0);
}

/**
 * Reads a header.
 * @param block 512 bytes
 * @throws {TarFormatError} when its checksum is wrong or its size is none
 */
export function parseTarHeader(block: Uint8Array): TarHeader {
  const sums = sumsOf(block);
  if (!sums.includes(octal(block.subarray(CHECKSUM, CHECKSUM_END), "checksum"))) {
    throw new TarFormatError("its checksum is wrong");
  }
  const name = tarText(untilZero(block.subarray(NAME, NAME_END)));
  const hasPrefix = block[PREFIX] !== 0 && USTAR.every((byte, i) => block[MAGIC + i] === byte);
  const prefix = hasPrefix ? `${tarText(untilZero(block.subarray(PREFIX, PREFIX_END)))}/` : "";
  return {
    name: prefix + name,
    type: String.fromCharCode(block[TYPE]),
    size: sizeOf(block.subarray(SIZE, SIZE_END)),
  };
}

/** What of extended headers counts here. */
export interface PaxValues {
  /** The entry's path. */
  path?: string;
  /** Bytes of its data. */
  size?: number;
}

/** Where a decimal number followed by a space ends, and the number. */
function recordLength(bytes: Uint8Array, start: number): { length: number; next: number } {
  let length = 0, at = start;
  for (; at < bytes.length && at - start < 8 && bytes[at] >= ZERO && bytes[at] <= 0x39; at++) {
    length = length * 10 + bytes[at] - ZERO;
  }
  const isSound = at > start && bytes[at] === SPACE && start + length <= bytes.length &&
    start + length > at + 1 && bytes[start + length - 1] === 0x0a;
  if (!isSound) throw new TarFormatError("its extended header is damaged");
  return { length, next: at + 1 };
}

/**
 * Reads the records `LENGTH KEY=VALUE\n` of an extended header.
 * @throws {TarFormatError} when they are damaged, or make the entry a sparse file
 */
export function parsePax(bytes: Uint8Array): PaxValues {
  const values: PaxValues = {};
  for (let at = 0; at < bytes.length && bytes[at] !== 0;) {
    const { length, next } = recordLength(bytes, at);
    const end = at + length;
    const equals = bytes.subarray(next, end).indexOf(0x3d);
    if (equals < 1) throw new TarFormatError("its extended header is damaged");
    const key = tarText(bytes.subarray(next, next + equals));
    const value = bytes.subarray(next + equals + 1, end - 1);
    if (key === "path") values.path = value.length > 0 ? tarText(value) : undefined;
    if (key === "size") values.size = value.length > 0 ? decimal(tarText(value)) : undefined;
    if (key.startsWith("GNU.sparse.")) throw new TarFormatError("it is a sparse file; pack it without holes");
    at = end;
  }
  return values;
}

function decimal(text: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value)) throw new TarFormatError("the size in its extended header is no number");
  return value;
}

const encoder = new TextEncoder();

/** Bytes up to the next multiple of 512. */
export function tarPadding(size: number): number {
  return (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
}

function putOctal(block: Uint8Array, start: number, end: number, value: number): void {
  encoder.encodeInto(value.toString(8).padStart(end - start - 1, "0"), block.subarray(start, end));
}

/** One block. Owner, group and time are zero, so that equal files give equal bytes. */
function plainHeader(name: Uint8Array, type: string, size: number): Uint8Array {
  const block = new Uint8Array(TAR_BLOCK);
  block.set(name.subarray(0, NAME_END));
  putOctal(block, 100, 108, 0o644);
  for (const field of [108, 116]) putOctal(block, field, field + 8, 0);
  putOctal(block, SIZE, SIZE_END, size);
  putOctal(block, 136, 148, 0);
  block[TYPE] = type.charCodeAt(0);
  block.set([...USTAR, ZERO, ZERO], MAGIC);
  putOctal(block, CHECKSUM, CHECKSUM_END - 1, sumsOf(block)[0]);
  block[CHECKSUM_END - 1] = SPACE;
  return block;
}

/** `LENGTH KEY=VALUE\n`, where the length counts its own digits. */
function paxRecord(key: string, value: string): Uint8Array {
  const rest = encoder.encode(` ${key}=${value}\n`);
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return encoder.encode(`${length} ${key}=${value}\n`);
}

/** Largest size that eleven octal digits hold. */
const MAX_OCTAL = 8 ** 11 - 1;

/**
 * The header of a file, with an extended one before it where the path is longer than 100 bytes or no ASCII, or the file
 * has 8 GiB or more. Equal arguments give equal bytes.
 */
export function encodeTarHeader(path: string, size: number): Uint8Array {
  const name = encoder.encode(path);
  const isPlain = name.length <= NAME_END && /^[\x20-\x7e]+$/.test(path);
  const records = [
    ...(isPlain ? [] : [paxRecord("path", path)]),
    ...(size > MAX_OCTAL ? [paxRecord("size", String(size))] : []),
  ];
  const header = plainHeader(isPlain ? name : shortName(path), "0", size > MAX_OCTAL ? 0 : size);
  if (records.length === 0) return header;
  const recordBytes = records.reduce((sum, { length }) => sum + length, 0);
  const dataStart = TAR_BLOCK, headerStart = dataStart + recordBytes + tarPadding(recordBytes);
  const bytes = new Uint8Array(headerStart + TAR_BLOCK);
  bytes.set(plainHeader(encoder.encode("PaxHeader"), "x", recordBytes));
  let at = dataStart;
  for (const record of records) {
    bytes.set(record, at);
    at += record.length;
  }
  bytes.set(header, headerStart);
  return bytes;
}

/** What readers without extended headers see of a long path. */
function shortName(path: string): Uint8Array {
  return encoder.encode(path.replace(/[^\x20-\x7e]/gu, "_").slice(-NAME_END));
}
