/** Small files as torch.save writes them, made byte by byte so that any of them can be wrong. */

const encoder = new TextEncoder();

/** Bytes, text as UTF-8, or single bytes. */
export type Part = Uint8Array | string | number;

/** The parts, one after the other. */
export function bytesOf(...parts: readonly Part[]): Uint8Array<ArrayBuffer> {
  const pieces = parts.map((part) =>
    typeof part === "string" ? encoder.encode(part) : typeof part === "number" ? Uint8Array.of(part) : part
  );
  const bytes = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    bytes.set(piece, offset);
    offset += piece.length;
  }
  return bytes;
}

/** A number in `width` bytes, the least significant first. */
export function little(value: number | bigint, width: number): Uint8Array {
  return Uint8Array.from({ length: width }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 0xffn));
}

/** Instructions of pickles. */
export const op = {
  text: (text: string) => bytesOf("X", little(encoder.encode(text).length, 4), text),
  number: (value: number) => bytesOf(0x8a, 8, little(value, 8)),
  global: (module: string, name: string) => bytesOf("c", module, "\n", name, "\n"),
  tuple: (...parts: readonly Part[]) => bytesOf("(", ...parts, "t"),
  numbers: (values: readonly number[]) => bytesOf("(", ...values.map((value) => op.number(value)), "t"),
  /** A call of a function with arguments. */
  call: (module: string, name: string, ...args: readonly Part[]) =>
    bytesOf(op.global(module, name), op.tuple(...args), "R"),
  /** A dictionary from keys and values in turn. */
  dict: (...parts: readonly Part[]) => bytesOf("}(", ...parts, "u"),
};

/** A whole pickle. */
export const pickle = (...parts: readonly Part[]): Uint8Array<ArrayBuffer> => bytesOf(0x80, 2, ...parts, ".");

/** A reference to a storage; with a view it is as in the old container. */
export const storage = (
  key: string,
  count: number,
  type = "FloatStorage",
  ...view: readonly Part[]
): Uint8Array =>
  bytesOf(
    op.tuple(
      op.text("storage"),
      op.global("torch", type),
      op.text(key),
      op.text("cpu"),
      op.number(count),
      ...view,
    ),
    "Q",
  );

/** A tensor; without strides it lies row by row. */
export function tensor(
  from: Uint8Array,
  shape: readonly number[],
  strides: readonly number[] = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1)),
  offset = 0,
): Uint8Array {
  const numbers = [op.number(offset), op.numbers(shape), op.numbers(strides)];
  return op.call("torch._utils", "_rebuild_tensor_v2", from, ...numbers, 0x89, "}");
}

/** An entry of a zip archive; what is not given is as it should be. */
export interface Entry {
  readonly name: string;
  /** Its bytes, or how many zeros. */
  readonly content: Uint8Array | number;
  /** What its local header says. */
  readonly local?: { name?: string; method?: number; flags?: number; size?: number; crc?: number };
  /** What the directory says. */
  readonly central?: { method?: number; flags?: number; size?: number; storedSize?: number; offset?: number };
}

/** What the records at the end of a zip archive say, where it is not the truth. */
export interface ZipEnd {
  readonly count?: number;
  readonly size?: number;
  readonly offset?: number;
  readonly count64?: number;
  readonly parts?: number;
  readonly without64?: boolean;
}

/** Bytes at their places in a file; what lies between is zero. */
export type Segments = [offset: number, bytes: Uint8Array][];

const NARROW = 0xffffffff;

/** The segments of a zip archive of stored entries. */
export function zipSegments(entries: readonly Entry[], end: ZipEnd = {}): Segments {
  const segments: Segments = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const { name, content, local = {}, central = {} } of entries) {
    const size = typeof content === "number" ? content : content.length;
    const localName = encoder.encode(local.name ?? name);
    const narrow = Math.min(local.size ?? size, NARROW);
    const header = bytesOf(
      "PK\x03\x04",
      little(0, 2),
      little(local.flags ?? 0, 2),
      little(local.method ?? 0, 2),
      little(0, 4),
      little(local.crc ?? 0, 4),
      little(narrow, 4),
      little(narrow, 4),
      little(localName.length, 2),
      little(0, 2),
      localName,
    );
    segments.push([at, header]);
    if (typeof content !== "number") segments.push([at + header.length, content]);
    const wide = [central.size ?? size, central.storedSize ?? central.size ?? size, central.offset ?? at];
    const extra = bytesOf(...wide.filter((value) => value >= NARROW).map((value) => little(value, 8)));
    const [full, stored, offset] = wide.map((value) => little(Math.min(value, NARROW), 4));
    directory.push(bytesOf(
      "PK\x01\x02",
      little(0, 4),
      little(central.flags ?? local.flags ?? 0, 2),
      little(central.method ?? local.method ?? 0, 2),
      little(0, 4),
      little(0, 4),
      stored,
      full,
      little(encoder.encode(name).length, 2),
      little(extra.length > 0 ? extra.length + 4 : 0, 2),
      little(0, 10),
      offset,
      name,
      ...(extra.length > 0 ? [little(1, 2), little(extra.length, 2), extra] : []),
    ));
    at += header.length + size;
  }
  const central = bytesOf(...directory);
  segments.push([at, central], [at + central.length, endOf(entries.length, central.length, at, end)]);
  return segments;
}

function endOf(entries: number, length: number, at: number, end: ZipEnd): Uint8Array {
  const count = end.count ?? entries;
  const size = end.size ?? length;
  const offset = end.offset ?? at;
  const count64 = little(end.count64 ?? count, 8);
  const end64 = end.without64 ? [] : [
    bytesOf("PK\x06\x06", little(44, 8), little(45, 4), little(0, 8), count64, count64),
    bytesOf(little(size, 8), little(offset, 8)),
    bytesOf("PK\x06\x07", little(0, 4), little(at + length, 8), little(1, 4)),
  ];
  const parts = little(end.parts ?? 0, 2);
  const counts = little(Math.min(count, 0xffff), 2);
  const narrow = [size, offset].map((value) => little(Math.min(value, NARROW), 4));
  return bytesOf(...end64, "PK\x05\x06", parts, parts, counts, counts, ...narrow, little(0, 2));
}

/** The bytes of segments. */
export function joined(segments: Segments): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.max(...segments.map(([offset, part]) => offset + part.length)));
  for (const [offset, part] of segments) bytes.set(part, offset);
  return bytes;
}

/** A zip container around a pickle, with storages by their keys. */
export function torchZip(
  data: Uint8Array,
  storages: Readonly<Record<string, Uint8Array | number>> = {},
  more: readonly Entry[] = [],
  end: ZipEnd = {},
): Segments {
  const entries = Object.entries(storages).map(([key, content]) => ({ name: `x/data/${key}`, content }));
  return zipSegments([{ name: "x/data.pkl", content: data }, ...more, ...entries], end);
}

/** An old container around a pickle, with storages by their keys. */
export function torchOld(
  data: Uint8Array,
  storages: readonly [key: string, count: number | bigint, content: Uint8Array][] = [],
): Uint8Array<ArrayBuffer> {
  const magic = bytesOf(0x8a, 10, little(0x1950a86a20f9469cfc6cn, 10));
  const keys = bytesOf("](", ...storages.map(([key]) => op.text(key)), "e");
  return bytesOf(
    pickle(magic),
    pickle(op.number(1001)),
    pickle("}"),
    data,
    pickle(keys),
    ...storages.flatMap(([, count, content]) => [little(count, 8), content]),
  );
}
