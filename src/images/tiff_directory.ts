/** The header and the first directory of a TIFF (TIFF 6.0 and BigTIFF): what the tags say about one image. */
import { BrokenImageError } from "./image.ts";

/** Tags that are looked at. */
const Tag = {
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  fillOrder: 266,
  stripOffsets: 273,
  orientation: 274,
  samples: 277,
  rowsPerStrip: 278,
  stripBytes: 279,
  planar: 284,
  predictor: 317,
  colorMap: 320,
  tileWidth: 322,
  tileHeight: 323,
  tileOffsets: 324,
  tileBytes: 325,
  extraSamples: 338,
  sampleFormat: 339,
  jpegTables: 347,
} as const;

/** Bytes of a value of each type: 1 byte, 2 text, 3 short, 4 long, 7 anything, 13 directory, 16 long8, 18 directory8. */
const TYPE_BYTES: Readonly<Record<number, number>> = { 1: 1, 2: 1, 3: 2, 4: 4, 7: 1, 13: 4, 16: 8, 18: 8 };

/** Files may list more; they are not looked for any further. */
const MOST_TAGS = 4096;

/** Most values of a tag, which are at most one for each block. */
const MOST_VALUES = 2 ** 24;

/** What the first directory says, with TIFF's defaults. */
export interface TiffLayout {
  /** Whether numbers begin with their low byte. */
  readonly little: boolean;
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
  /** Values of a pixel. */
  readonly samples: number;
  /** Bits of a value. */
  readonly bits: number;
  /** 1 unsigned, 2 signed, 3 float. */
  readonly format: number;
  /** TIFF's number of how blocks are packed. */
  readonly compression: number;
  /** TIFF's number of what values mean: 0 and 1 gray, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr. */
  readonly photometric: number;
  /** What the values after the colours are: 1 and 2 alpha, 0 anything. */
  readonly extraSamples: readonly number[];
  /** Whether each band is stored by itself. */
  readonly planar: boolean;
  /** 1 none, 2 differences, 3 differences of floats' bytes. */
  readonly predictor: number;
  /** EXIF orientation. */
  readonly orientation: number;
  /** Red, then green, then blue of a palette, 16 bits each. */
  readonly colorMap: readonly number[];
  /** Columns of a block: of a tile, or of the image where it is cut into strips. */
  readonly blockWidth: number;
  /** Rows of a block. */
  readonly blockHeight: number;
  /** Whether the blocks are tiles, which are stored whole even where they reach beyond the image. */
  readonly tiled: boolean;
  /** First byte of each block. */
  readonly offsets: readonly number[];
  /** Bytes of each block. */
  readonly byteCounts: readonly number[];
  /** Tables that JPEG blocks share; empty where there are none. */
  readonly jpegTables: Uint8Array;
}

/** A value of a directory: where it lies. */
interface Entry {
  readonly type: number;
  readonly count: number;
  readonly at: number;
}

/** Whether the bytes begin as a TIFF or a BigTIFF does. */
export function isTiff(bytes: Uint8Array): boolean {
  const [a, b, c, d] = bytes;
  return (a === 0x49 && b === 0x49 && (c === 42 || c === 43) && d === 0) ||
    (a === 0x4d && b === 0x4d && c === 0 && (d === 42 || d === 43));
}

/** Reads numbers of a TIFF; past the end of the file they are missing. */
class TiffBytes {
  readonly bytes: Uint8Array;
  readonly little: boolean;
  readonly big: boolean;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.little = bytes[0] === 0x49;
    this.big = bytes[this.little ? 2 : 3] === 43;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The whole number of so many bytes at a place. */
  number(at: number, size: number): number {
    if (at + size > this.bytes.length) {
      throw new BrokenImageError(
        `truncated: the TIFF points to byte ${at + size}, the file has ${this.bytes.length}`,
      );
    }
    if (size === 1) return this.bytes[at];
    if (size === 2) return this.#view.getUint16(at, this.little);
    return size === 4
      ? this.#view.getUint32(at, this.little)
      : Number(this.#view.getBigUint64(at, this.little));
  }

  /** The entries of the first directory by their tags. */
  entries(): Map<number, Entry> {
    const word = this.big ? 8 : 4;
    const directory = this.number(this.big ? 8 : 4, word);
    const countBytes = this.big ? 8 : 2;
    const count = this.number(directory, countBytes);
    const entries = new Map<number, Entry>();
    if (count > MOST_TAGS) throw new BrokenImageError(`damaged TIFF: its directory declares ${count} tags`);
    for (let i = 0; i < count; i++) {
      const at = directory + countBytes + i * (4 + 2 * word);
      const type = this.number(at + 2, 2), values = this.number(at + 4, word);
      const isInside = values * (TYPE_BYTES[type] ?? 1) <= word;
      const tag = this.number(at, 2);
      const place = isInside ? at + 4 + word : this.number(at + 4 + word, word);
      if (!entries.has(tag)) entries.set(tag, { type, count: values, at: place });
    }
    return entries;
  }
}

/** The tags of a directory, by what is expected of them. */
class Tags {
  readonly #file: TiffBytes;
  readonly #entries: Map<number, Entry>;

  constructor(file: TiffBytes) {
    this.#file = file;
    this.#entries = file.entries();
  }

  has(tag: number): boolean {
    return this.#entries.has(tag);
  }

  /** All values of a tag; none where it is missing. */
  list(tag: number): number[] {
    const entry = this.#entries.get(tag);
    if (entry === undefined) return [];
    const size = TYPE_BYTES[entry.type];
    if (size === undefined) throw new BrokenImageError(`damaged TIFF: tag ${tag} is of type ${entry.type}`);
    this.#check(entry, size);
    if (entry.count > MOST_VALUES) {
      throw new BrokenImageError(`damaged TIFF: tag ${tag} has ${entry.count} values`);
    }
    return Array.from({ length: entry.count }, (_, i) => this.#file.number(entry.at + i * size, size));
  }

  /** The bytes of a tag. */
  bytes(tag: number): Uint8Array {
    const entry = this.#entries.get(tag);
    if (entry === undefined) return new Uint8Array(0);
    this.#check(entry, 1);
    return this.#file.bytes.subarray(entry.at, entry.at + entry.count);
  }

  /** The first value of a tag. */
  first(tag: number, fallback?: number): number {
    const entry = this.#entries.get(tag);
    const size = TYPE_BYTES[entry?.type ?? 0];
    const value = entry !== undefined && size !== undefined && entry.count > 0
      ? this.#file.number(entry.at, size)
      : fallback;
    if (value === undefined) throw new BrokenImageError(`damaged TIFF: tag ${tag} is missing`);
    return value;
  }

  /** The value of a tag that may stand once for each sample, where all of them agree. */
  common(tag: number, fallback: number, what: string): number {
    const values = this.list(tag);
    if (values.some((value) => value !== values[0])) {
      throw new BrokenImageError(`the TIFF's bands differ in ${what} (${values.slice(0, 8).join(", ")})`);
    }
    return values[0] ?? fallback;
  }

  /** Before anything is made for them, that so many values fit into the file. */
  #check({ count, at }: Entry, size: number): void {
    const end = at + count * size;
    if (end > this.#file.bytes.length) {
      throw new BrokenImageError(
        `truncated: the TIFF points to byte ${end}, the file has ${this.#file.bytes.length}`,
      );
    }
  }
}

/** Reads the first directory. Throws {@linkcode BrokenImageError}. */
export function readTiffLayout(bytes: Uint8Array): TiffLayout {
  const file = new TiffBytes(bytes);
  const tags = new Tags(file);
  if (tags.first(Tag.fillOrder, 1) !== 1) {
    throw new BrokenImageError("the TIFF's bits are in reverse order, which is not read");
  }
  const width = tags.first(Tag.width), height = tags.first(Tag.height);
  const tiled = tags.has(Tag.tileOffsets);
  const orientation = tags.first(Tag.orientation, 1);
  return {
    little: file.little,
    height,
    width,
    samples: tags.first(Tag.samples, 1),
    bits: tags.common(Tag.bits, 1, "bits"),
    format: tags.common(Tag.sampleFormat, 1, "the kind of number"),
    compression: tags.first(Tag.compression, 1),
    photometric: tags.first(Tag.photometric, 1),
    extraSamples: tags.list(Tag.extraSamples),
    planar: tags.first(Tag.planar, 1) === 2,
    predictor: tags.first(Tag.predictor, 1),
    orientation: orientation >= 1 && orientation <= 8 ? orientation : 1,
    colorMap: tags.list(Tag.colorMap),
    blockWidth: tiled ? tags.first(Tag.tileWidth) : width,
    blockHeight: tiled ? tags.first(Tag.tileHeight) : Math.min(height, tags.first(Tag.rowsPerStrip, height)),
    tiled,
    offsets: tags.list(tiled ? Tag.tileOffsets : Tag.stripOffsets),
    byteCounts: tags.list(tiled ? Tag.tileBytes : Tag.stripBytes),
    jpegTables: tags.bytes(Tag.jpegTables),
  };
}
