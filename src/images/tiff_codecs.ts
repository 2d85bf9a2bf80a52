/** Unpacking the blocks (strips or tiles) of a TIFF, each bounded by the bytes that it must come to. */
import { inflateSync, zstdDecompressSync } from "../deps/zlib.ts";
import { messageOf } from "../util/errors.ts";
import { BrokenImageError } from "./image.ts";
import { decodeJpeg } from "./jpeg.ts";
import { unpackLzw } from "./lzw.ts";
import type { TiffLayout } from "./tiff_directory.ts";

/** Unpacked bytes beyond those of a block that are put up with. */
const SLACK = 2 ** 16;

const YCBCR = 6;

/** A block of a TIFF. */
export interface PackedBlock {
  /** As it lies in the file. */
  readonly bytes: Uint8Array;
  /** Columns stored. */
  readonly width: number;
  /** Rows stored. */
  readonly height: number;
  /** Values of a pixel in it. */
  readonly samples: number;
}

type Unpack = (bytes: Uint8Array, length: number) => Uint8Array;

/** TIFF's numbers of what is read. */
const CODECS: Readonly<Record<number, Unpack>> = {
  1: (bytes) => bytes.slice(),
  5: unpackTiffLzw,
  8: inflate,
  32946: inflate,
  32773: unpackBits,
  50000: (bytes, length) => unpackedBy(() => zstdDecompressSync(bytes, { maxOutputLength: length + SLACK })),
};

const JPEG = 7;

/** What is recognised only to be named. */
const NAMES: Readonly<Record<number, string>> = {
  2: "CCITT fax codes",
  3: "CCITT fax codes",
  4: "CCITT fax codes",
  6: "the old kind of JPEG",
  34712: "JPEG 2000",
  34887: "LERC",
  34925: "LZMA",
  50001: "WebP",
  50002: "JPEG XL",
};

/** Refuses what cannot be unpacked. Throws {@linkcode BrokenImageError}. */
export function checkCompression({ compression }: TiffLayout): void {
  if (compression in CODECS || compression === JPEG) return;
  const name = NAMES[compression] ?? `a method of number ${compression}`;
  throw new BrokenImageError(
    `the TIFF is packed by ${name}; no packing, LZW, deflate, zstd, PackBits and JPEG can be read`,
  );
}

/** Unpacks a block to `length` bytes in memory of its own. Throws {@linkcode BrokenImageError}. */
export async function unpackBlock(
  layout: TiffLayout,
  block: PackedBlock,
  length: number,
): Promise<Uint8Array> {
  const raw = layout.compression === JPEG
    ? await unpackJpeg(layout, block)
    : CODECS[layout.compression](block.bytes, length);
  if (raw.length < length) throw new BrokenImageError("damaged TIFF: it holds fewer pixels than it declares");
  return raw.length === length && length === raw.buffer.byteLength
    ? raw
    : Uint8Array.from(raw.subarray(0, length));
}

function unpackTiffLzw(bytes: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  return out.subarray(0, unpackLzw(bytes, out, { literalBits: 8, lowBitFirst: false, early: 1 }));
}

function unpackedBy(unpack: () => Uint8Array): Uint8Array {
  try {
    return unpack();
  } catch (error) {
    throw new BrokenImageError(`damaged TIFF: ${messageOf(error)}`);
  }
}

function inflate(bytes: Uint8Array, length: number): Uint8Array {
  return unpackedBy(() => inflateSync(bytes, { maxOutputLength: length + SLACK }));
}

/** Runs of literal bytes, and of one byte repeated (TIFF 6.0, section 9). */
function unpackBits(bytes: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  let to = 0;
  for (let at = 0; at < bytes.length && to < length;) {
    const head = bytes[at++];
    if (head < 128) {
      const run = bytes.subarray(at, at + Math.min(head + 1, length - to));
      out.set(run, to);
      to += run.length;
      at += head + 1;
    } else if (head > 128) {
      const end = Math.min(length, to + 257 - head);
      if (at === bytes.length) break;
      out.fill(bytes[at++], to, end);
      to = end;
    }
  }
  return out.subarray(0, to);
}

/** A JPEG stream whose tables may stand elsewhere in the file; how its colours are meant the TIFF says, and not the stream. */
async function unpackJpeg({ jpegTables, photometric }: TiffLayout, block: PackedBlock): Promise<Uint8Array> {
  const { bytes, width, height, samples } = block;
  if (samples !== 1 && samples !== 3) {
    throw new BrokenImageError(
      `the TIFF's JPEG blocks hold ${samples} values per pixel; 1 and 3 can be read`,
    );
  }
  const tables = jpegTables.subarray(2, jpegTables.length - 2);
  const colors = samples === 3 ? adobeSegment(photometric === YCBCR ? 1 : 0) : [];
  const stream = new Uint8Array([0xff, 0xd8, ...colors, ...tables]);
  const whole = new Uint8Array(stream.length + Math.max(0, bytes.length - 2));
  whole.set(stream);
  whole.set(bytes.subarray(2), stream.length);
  const image = await decodeJpeg(whole, width * height);
  if (image.width !== width || image.height !== height) {
    throw new BrokenImageError(
      `a JPEG block of the TIFF is ${image.width}x${image.height}, not ${width}x${height}`,
    );
  }
  const out = new Uint8Array(width * height * samples);
  for (let from = 0, to = 0; to < out.length; from += image.channels) {
    for (let c = 0; c < samples; c++) out[to++] = image.data[from + c];
  }
  return out;
}

/** Adobe's segment, which says whether three components are YCbCr (1) or RGB (0). */
function adobeSegment(transform: 0 | 1): number[] {
  return [0xff, 0xee, 0, 14, 0x41, 0x64, 0x6f, 0x62, 0x65, 0, 100, 0, 0, 0, 0, transform];
}
