/**
 * Reading tar archives by offset: ustar, PAX and GNU headers. An archive is a stranger's: every header's checksum is
 * verified, nothing is larger than the archive, and no path leads out of a folder.
 */
import { InputError } from "../util/errors.ts";
import { quoted } from "../util/quoted.ts";
import type { ByteSource } from "./byte_source.ts";
import {
  isZeroBlock,
  parsePax,
  parseTarHeader,
  type PaxValues,
  TAR_BLOCK,
  TarFormatError,
  type TarHeader,
  tarPadding,
  tarText,
} from "./tar_header.ts";

/** A file in an archive. */
export interface TarEntry {
  /** Its path, without a leading `./`. */
  readonly name: string;
  /** First byte of its data in the archive. */
  readonly offset: number;
  /** Bytes of its data. */
  readonly size: number;
}

/** Longest extended header or long name that is read, in bytes. */
const MAX_EXTENSION = 2 ** 20;
/** Extension headers that may stand before one entry. */
const MAX_EXTENSIONS = 16;
/** Bytes that are read at once by who reads on and on. */
const WINDOW = 2 ** 20;
/** Kinds of entries that are files; zero is the oldest form. */
const FILES = "0\0" + "7";
/** Links, devices, folders and pipes: they have no data, whatever their size says. */
const WITHOUT_DATA = "123456";

/** What compressed archives begin with, and what unpacks them. */
const COMPRESSIONS: readonly { name: string; magic: readonly number[]; unpack: string }[] = [
  { name: "gzip", magic: [0x1f, 0x8b], unpack: "gunzip" },
  { name: "zstd", magic: [0x28, 0xb5, 0x2f, 0xfd], unpack: "zstd -d" },
  { name: "xz", magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], unpack: "unxz" },
  { name: "bzip2", magic: [0x42, 0x5a, 0x68], unpack: "bunzip2" },
];

/** Bytes read ahead, so that neighbours do not cost a read each. */
class Window {
  #bytes: Uint8Array = new Uint8Array();
  #start = 0;

  constructor(private readonly source: ByteSource, private readonly length: number) {}

  /** A view of the bytes, where all of them are here. */
  at(offset: number, length: number): Uint8Array | undefined {
    const from = offset - this.#start;
    if (from < 0 || from + length > this.#bytes.length) return undefined;
    return this.#bytes.subarray(from, from + length);
  }

  /** Reads on from `offset`; a view of as many bytes as there are, up to `length`. */
  async load(offset: number, length: number): Promise<Uint8Array> {
    this.#bytes = await this.source.read(offset, Math.max(length, this.length));
    this.#start = offset;
    return this.#bytes.subarray(0, length);
  }
}

/** The path without `./` in front. Throws `TarFormatError` where it leads out of its folder or is none. */
function safePath(name: string): string {
  const path = name.replace(/^(\.\/+)+/, "");
  const climbs = /^[\\/]|^[a-zA-Z]:[\\/]/.test(path) || path.split(/[\\/]/).includes("..");
  if (climbs) throw new TarFormatError("its path leads out of its folder");
  if (path === "" || path.includes("\0")) throw new TarFormatError("it has no name");
  return path;
}

/** Goes through an archive from its start to its end. */
export class TarReader {
  readonly #source: ByteSource;
  readonly #shard: string;
  readonly #window: Window;
  #position = 0;
  #global: PaxValues = {};
  #ended = false;
  /** Entries passed over because they are no files: links, devices, folders. */
  passedOver = 0;

  /**
   * Starts before the first entry.
   * @param shard what the archive is called in refusals
   * @param options `windowBytes` are read at a time: many to read everything, few to see the headers only
   */
  constructor(source: ByteSource, shard: string, { windowBytes = WINDOW } = {}) {
    this.#source = source;
    this.#shard = shard;
    this.#window = new Window(source, windowBytes);
  }

  /**
   * The next file, or null at the end.
   * @throws {InputError} one sentence with archive, entry and offset where it is cut, damaged, compressed or hostile
   */
  async next(): Promise<TarEntry | null> {
    let own: PaxValues = {};
    let extensions = 0;
    while (!this.#ended) {
      const start = this.#position;
      const block = this.#window.at(start, TAR_BLOCK) ?? await this.#load(start, TAR_BLOCK, undefined);
      if (isZeroBlock(block)) {
        if (extensions > 0) throw this.#refusal(start, undefined, "an extended header stands before nothing");
        this.#ended = true;
        break;
      }
      const header = this.#header(block, start);
      const { type } = header;
      if (type === "x" || type === "g" || type === "L" || type === "K") {
        if (++extensions > MAX_EXTENSIONS) {
          throw this.#refusal(start, undefined, `more than ${MAX_EXTENSIONS} extended headers in a row`);
        }
        const data = await this.#extension(header, start);
        own = this.#guard(start, header.name, () => this.#extended(type, data, own));
        continue;
      }
      extensions = 0;
      const entry = this.#entry(header, start, { ...this.#global, ...own });
      own = {};
      if (entry) return entry;
      this.passedOver++;
    }
    return null;
  }

  /** The data of an entry that `next` gave last; a view that stays as it is. */
  async read(entry: TarEntry): Promise<Uint8Array> {
    return this.#window.at(entry.offset, entry.size) ??
      await this.#load(entry.offset, entry.size, entry.name);
  }

  #refusal(offset: number, entry: string | undefined, what: string): InputError {
    const place = entry === undefined ? `at byte ${offset}` : `entry ${quoted(entry)} at byte ${offset}`;
    return new InputError(`"${this.#shard}" is not a sound tar file: ${place}: ${what}`);
  }

  #guard<T>(offset: number, entry: string | undefined, action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw error instanceof TarFormatError ? this.#refusal(offset, entry, error.message) : error;
    }
  }

  async #load(offset: number, length: number, entry: string | undefined): Promise<Uint8Array> {
    const bytes = await this.#window.load(offset, length);
    if (bytes.length === length) return bytes;
    const what = offset === 0 && bytes.length === 0
      ? "it is empty"
      : entry === undefined && bytes.length === 0
      ? "it ends without the two blocks of zeros that a whole one ends with; it may be cut short"
      : `it ends after ${offset + bytes.length} bytes, in the middle; it may be cut short`;
    throw this.#compressed(offset, bytes) ?? this.#refusal(offset, entry, what);
  }

  /** The refusal of a compressed archive by its first bytes. */
  #compressed(start: number, bytes: Uint8Array): InputError | undefined {
    if (start > 0) return undefined;
    const found = COMPRESSIONS.find(({ magic }) => magic.every((byte, i) => bytes[i] === byte));
    return found && new InputError(
      `"${this.#shard}" is compressed (${found.name}), but images are read from shards by offset; ` +
        `unpack it with "${found.unpack}", it will hardly grow`,
    );
  }

  #header(block: Uint8Array, start: number): TarHeader {
    return this.#guard(start, undefined, () => {
      try {
        return parseTarHeader(block);
      } catch (error) {
        throw this.#compressed(start, block) ?? error;
      }
    });
  }

  async #extension({ name, size }: TarHeader, start: number): Promise<Uint8Array> {
    if (size > MAX_EXTENSION) {
      throw this.#refusal(
        start,
        name,
        `its extended header has ${size} bytes, and ${MAX_EXTENSION} are the most`,
      );
    }
    const offset = start + TAR_BLOCK;
    this.#position = offset + size + tarPadding(size);
    return this.#window.at(offset, size) ?? await this.#load(offset, size, name);
  }

  #extended(type: string, data: Uint8Array, own: PaxValues): PaxValues {
    if (type === "K") return own; // the long target of a link
    if (type === "L") {
      const end = data.indexOf(0);
      return { ...own, path: tarText(end < 0 ? data : data.subarray(0, end)) };
    }
    const values = parsePax(data);
    if (type === "x") return { ...own, ...values };
    this.#global = { ...this.#global, ...values };
    return own;
  }

  /** The file that a header stands for, or undefined where it is none; goes on behind it. */
  #entry(header: TarHeader, start: number, pax: PaxValues): TarEntry | undefined {
    const { type } = header;
    const name = pax.path ?? header.name;
    return this.#guard(start, name, () => {
      if (type === "S") throw new TarFormatError("it is a sparse file; pack it without holes");
      if (type === "M") throw new TarFormatError("it is the rest of a file in another archive");
      const size = WITHOUT_DATA.includes(type) ? 0 : pax.size ?? header.size;
      const offset = start + TAR_BLOCK;
      this.#position = offset + size + tarPadding(size);
      if (offset + size > this.#source.size) {
        throw new TarFormatError(
          `it ends at byte ${offset + size}, but the archive has ${this.#source.size}; it may be cut short`,
        );
      }
      if (!FILES.includes(type) || name.endsWith("/")) return undefined; // "/": a folder in the oldest form
      return { name: safePath(name), offset, size };
    });
  }
}

/** Every file of an archive, in its order. Throws as `TarReader.next` does. */
export async function listTar(
  source: ByteSource,
  shard: string,
  options: { readonly windowBytes?: number } = {},
): Promise<TarEntry[]> {
  const reader = new TarReader(source, shard, options);
  const entries: TarEntry[] = [];
  for (let entry = await reader.next(); entry; entry = await reader.next()) entries.push(entry);
  return entries;
}
