/**
 * The table of contents of a zip archive whose entries are stored as they are. Format: PKWARE's APPNOTE.TXT 6.3, sections
 * 4.3 and 4.5.3. A central directory is untrusted: every entry must agree with its local header, lie inside the file and
 * overlap no other one.
 */

import type { ByteSource } from "./byte_source.ts";
import { quoted, type TorchErrors } from "./torch_errors.ts";

/** Where an entry's bytes lie. */
export interface ZipEntry {
  /** First byte in the file. */
  readonly offset: number;
  /** Length in bytes. */
  readonly size: number;
}

/** What the central directory says of an entry. */
interface CentralEntry {
  readonly name: string;
  readonly nameBytes: Uint8Array;
  readonly flags: number;
  readonly size: number;
  readonly crc: number;
  readonly headerOffset: number;
}

const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END = 0x06054b50;
const END_64 = 0x06064b50;
const END_64_LOCATOR = 0x07064b50;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
const END_64_BYTES = 56;
const LOCATOR_BYTES = 20;
const IN_16 = 0xffff;
const IN_32 = 0xffffffff;
const ENCRYPTED = 1;
const SIZES_FOLLOW = 8;

/** Most bytes that a central directory may take: some 500,000 entries. */
const MAX_DIRECTORY_BYTES = 64 * 2 ** 20;

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The number, where it is one that JavaScript can count to. */
function safe(value: bigint, errors: TorchErrors): number {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw errors.malformed(`its zip directory has the impossible number ${value}`);
}

/** Where the central directory lies, from the records at the end of the file. */
async function findDirectory(
  source: ByteSource,
  errors: TorchErrors,
): Promise<{ offset: number; size: number; count: number; end: number }> {
  const tailStart = Math.max(0, source.size - END_BYTES - IN_16);
  const tail = await source.read(tailStart, source.size - tailStart);
  const view = viewOf(tail);
  let at = tail.length - END_BYTES;
  const isEnd = () =>
    view.getUint32(at, true) === END && view.getUint16(at + 20, true) === tail.length - at - 22;
  while (at >= 0 && !isEnd()) at--;
  if (at < 0) throw errors.malformed("its zip archive has no end; the file may be cut short");
  const found = {
    offset: view.getUint32(at + 16, true),
    size: view.getUint32(at + 12, true),
    count: view.getUint16(at + 10, true),
    end: tailStart + at,
  };
  if (view.getUint16(at + 4, true) % IN_16 !== 0 || view.getUint16(at + 8, true) !== found.count) {
    throw errors.malformed("its zip archive is one of several parts");
  }
  const locatorAt = at - LOCATOR_BYTES;
  const has64 = locatorAt >= 0 && view.getUint32(locatorAt, true) === END_64_LOCATOR;
  if (!has64) return found;
  const at64 = safe(view.getBigUint64(locatorAt + 8, true), errors);
  if (at64 + END_64_BYTES > found.end - LOCATOR_BYTES) {
    throw errors.malformed("the second end record of its zip archive lies outside the file");
  }
  const view64 = viewOf(await source.read(at64, END_64_BYTES));
  if (view64.byteLength < END_64_BYTES || view64.getUint32(0, true) !== END_64) {
    throw errors.malformed("its zip archive has no second end record where the first says");
  }
  const wide = {
    offset: safe(view64.getBigUint64(48, true), errors),
    size: safe(view64.getBigUint64(40, true), errors),
    count: safe(view64.getBigUint64(32, true), errors),
    end: at64,
  };
  const agrees = (narrow: number, limit: number, value: number) => narrow === limit || narrow === value;
  if (
    !agrees(found.offset, IN_32, wide.offset) || !agrees(found.size, IN_32, wide.size) ||
    !agrees(found.count, IN_16, wide.count)
  ) {
    throw errors.malformed("the two end records of its zip archive disagree");
  }
  return wide;
}

/** The 64-bit numbers of an extra field that stand for those which do not fit into 32 bits, in the format's order. */
function wideNumbers(extra: Uint8Array, count: number, errors: TorchErrors): number[] {
  const view = viewOf(extra);
  for (let at = 0; at + 4 <= extra.length;) {
    const size = view.getUint16(at + 2, true);
    if (view.getUint16(at, true) === 1) {
      if (size < 8 * count || at + 4 + size > extra.length) break;
      return Array.from({ length: count }, (_, i) => safe(view.getBigUint64(at + 4 + 8 * i, true), errors));
    }
    at += 4 + size;
  }
  throw errors.malformed("an entry of its zip archive lacks its 64-bit sizes");
}

function decodeName(bytes: Uint8Array, errors: TorchErrors): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw errors.malformed("a name in its zip archive is not UTF-8 text");
  }
}

/** Takes one entry of the central directory, and says where the next one starts. */
function centralEntry(
  bytes: Uint8Array,
  at: number,
  errors: TorchErrors,
): { entry: CentralEntry; next: number } {
  const view = viewOf(bytes);
  if (at + CENTRAL_BYTES > bytes.length || view.getUint32(at, true) !== CENTRAL_HEADER) {
    throw errors.malformed("its zip directory is damaged");
  }
  const nameEnd = at + CENTRAL_BYTES + view.getUint16(at + 28, true);
  const extraEnd = nameEnd + view.getUint16(at + 30, true);
  const next = extraEnd + view.getUint16(at + 32, true);
  if (next > bytes.length) throw errors.malformed("its zip directory is damaged");
  const nameBytes = bytes.subarray(at + CENTRAL_BYTES, nameEnd);
  const name = decodeName(nameBytes, errors);
  // uncompressed size, compressed size, place of the local header: the order of the wide numbers
  const numbers = [24, 20, 42].map((offset) => view.getUint32(at + offset, true));
  const isWide = numbers.map((number) => number === IN_32);
  const wideCount = isWide.filter(Boolean).length;
  if (wideCount > 0) {
    const wide = wideNumbers(bytes.subarray(nameEnd, extraEnd), wideCount, errors);
    isWide.forEach((yes, i) => {
      if (yes) numbers[i] = wide.shift() ?? 0;
    });
  }
  const [size, storedSize, headerOffset] = numbers;
  const flags = view.getUint16(at + 8, true);
  const method = view.getUint16(at + 10, true);
  if ((flags & ENCRYPTED) !== 0) throw errors.malformed(`its entry ${quoted(name)} is encrypted`);
  if (method !== 0) {
    throw errors.malformed(
      `its entry ${
        quoted(name)
      } is compressed, which torch.save never does; unpack and pack it without compression`,
    );
  }
  if (size !== storedSize) throw errors.malformed(`its entry ${quoted(name)} has two sizes`);
  const crc = view.getUint32(at + 16, true);
  return { entry: { name, nameBytes, flags, size, crc, headerOffset }, next };
}

/** Where the entry's bytes start, after its local header, which must say the same as the directory. */
async function dataOffset(source: ByteSource, entry: CentralEntry, errors: TorchErrors): Promise<number> {
  const { name, nameBytes, flags, size, crc, headerOffset } = entry;
  const header = await source.read(headerOffset, LOCAL_BYTES + nameBytes.length);
  const view = viewOf(header);
  const differs = () => errors.malformed(`its entry ${quoted(name)} is not where its zip directory says`);
  if (header.length < LOCAL_BYTES + nameBytes.length || view.getUint32(0, true) !== LOCAL_HEADER) {
    throw differs();
  }
  const localName = header.subarray(LOCAL_BYTES);
  if (
    view.getUint16(6, true) !== flags || view.getUint16(8, true) !== 0 ||
    view.getUint16(26, true) !== nameBytes.length || localName.some((byte, i) => byte !== nameBytes[i])
  ) {
    throw differs();
  }
  // A writer that did not know them yet leaves them zero, and says so in the flags.
  const allowed = (value: number, truth: number) =>
    value === truth || value === IN_32 || ((flags & SIZES_FOLLOW) !== 0 && value === 0);
  if (
    !allowed(view.getUint32(14, true), crc) || !allowed(view.getUint32(18, true), size) ||
    !allowed(view.getUint32(22, true), size)
  ) {
    throw differs();
  }
  return headerOffset + LOCAL_BYTES + nameBytes.length + view.getUint16(28, true);
}

/** Refuses entries that overlap each other or the directory. */
function checkLayout(
  spans: { name: string; start: number; end: number }[],
  limit: number,
  errors: TorchErrors,
): void {
  spans.sort((a, b) => a.start - b.start || a.end - b.end);
  let end = 0;
  for (const span of spans) {
    if (span.start < end) throw errors.malformed(`its entry ${quoted(span.name)} overlaps the one before it`);
    if (span.end > limit) {
      throw errors.malformed(
        `its entry ${quoted(span.name)} ends at byte ${span.end}, beyond its zip directory`,
      );
    }
    end = span.end;
  }
}

/**
 * The entries of a zip archive by name, in the directory's order.
 *
 * @throws {InputError} with one sentence where anything is not as the format says, or an entry is compressed or encrypted
 */
export async function readZipEntries(
  source: ByteSource,
  errors: TorchErrors,
): Promise<ReadonlyMap<string, ZipEntry>> {
  const directory = await findDirectory(source, errors);
  if (directory.size > MAX_DIRECTORY_BYTES) {
    throw errors.malformed(
      `its zip directory takes ${directory.size} bytes, more than ${MAX_DIRECTORY_BYTES}`,
    );
  }
  if (directory.offset + directory.size !== directory.end) {
    throw errors.malformed("its zip directory is not where its end record says; the file may be cut short");
  }
  const bytes = await source.read(directory.offset, directory.size);
  const entries = new Map<string, ZipEntry>();
  const spans: { name: string; start: number; end: number }[] = [];
  for (let at = 0, count = 0; count < directory.count || at < bytes.length; count++) {
    const { entry, next } = centralEntry(bytes, at, errors);
    at = next;
    const { name, size, headerOffset } = entry;
    if (entries.has(name)) throw errors.malformed(`its zip archive has ${quoted(name)} twice`);
    if (headerOffset + LOCAL_BYTES > directory.offset) {
      throw errors.malformed(`its entry ${quoted(name)} starts beyond its zip directory`);
    }
    const offset = await dataOffset(source, entry, errors);
    entries.set(name, { offset, size });
    spans.push({ name, start: headerOffset, end: offset + size });
    if (count >= directory.count) throw errors.malformed("its zip directory has more entries than it says");
  }
  checkLayout(spans, directory.offset, errors);
  return entries;
}
