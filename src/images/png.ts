/**
 * PNG files (W3C PNG, third edition): every colour type and bit depth, interlaced or not, checked to the last chunk.
 * Ours because fast-png reads interlaced images of fewer than 8 bits wrongly and unpacks without a bound.
 */
import { crc32, inflateSync } from "../deps/zlib.ts";
import { messageOf } from "../util/errors.ts";
import { readOrientation } from "./exif.ts";
import { BrokenImageError, checkDeclaredSize, type Samples, type StoredImage } from "./image.ts";
import { unfilterRow } from "./png_filters.ts";
import { type PngHeader, rowWriter, samplesPerPixel } from "./png_samples.ts";

/** Damage in any other chunk leaves the pixels alone. */
const CHECKED_CHUNKS = new Set(["IHDR", "PLTE", "IDAT", "IEND", "tRNS"]);

/** Unpacked bytes beyond those of the image that are put up with before the file counts as broken. */
const INFLATE_SLACK = 2 ** 16;

/** The chunks that make the picture. */
interface PngChunks {
  readonly header: PngHeader;
  readonly palette: Uint8Array | undefined;
  readonly transparency: Uint8Array | undefined;
  readonly exif: Uint8Array | undefined;
  readonly packed: Uint8Array;
}

const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};

function readHeader(body: Uint8Array, maxPixels: number): PngHeader {
  if (body.length !== 13) throw new BrokenImageError("the PNG's header has a wrong length");
  const view = new DataView(body.buffer, body.byteOffset);
  const header = {
    width: view.getUint32(0),
    height: view.getUint32(4),
    depth: body[8],
    colorType: body[9],
    interlaced: body[12] === 1,
  };
  if (!DEPTHS[header.colorType]?.includes(header.depth) || body[10] !== 0 || body[11] !== 0 || body[12] > 1) {
    throw new BrokenImageError("the PNG's header declares a kind that does not exist");
  }
  checkDeclaredSize(header.height, header.width, maxPixels);
  return header;
}

/** Walks over the chunks to the last; throws when one is damaged or missing. */
function readChunks(bytes: Uint8Array, maxPixels: number): PngChunks {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Map<string, Uint8Array>();
  const data: Uint8Array[] = [];
  let header: PngHeader | undefined;
  for (let at = 8; at + 12 <= bytes.length;) {
    const end = at + 8 + view.getUint32(at);
    if (end + 4 > bytes.length) break;
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const body = bytes.subarray(at + 8, end);
    if (CHECKED_CHUNKS.has(name) && crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end)) {
      throw new BrokenImageError(`damaged PNG: the checksum of its ${name} chunk is wrong`);
    }
    if (header === undefined) {
      if (name !== "IHDR") throw new BrokenImageError("damaged PNG: it does not begin with its header");
      header = readHeader(body, maxPixels);
    } else if (name === "IDAT") {
      data.push(body);
    } else if (name === "IEND") {
      return {
        header,
        palette: found.get("PLTE"),
        transparency: found.get("tRNS"),
        exif: found.get("eXIf"),
        packed: joined(data),
      };
    } else if (!found.has(name)) {
      found.set(name, body);
    }
    at = end + 4;
  }
  throw new BrokenImageError("truncated: the end of the PNG is missing");
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A grid of pixels that is stored by itself: the whole image, or one of the seven of an interlaced one. */
interface Pass {
  readonly top: number;
  readonly left: number;
  readonly down: number;
  readonly across: number;
  readonly rows: number;
  readonly columns: number;
}

/** Top, left, step down and step across of the passes of Adam7. */
const ADAM7 = [[0, 0, 8, 8], [0, 4, 8, 8], [4, 0, 8, 4], [0, 2, 4, 4], [2, 0, 4, 2], [0, 1, 2, 2], [
  1,
  0,
  2,
  1,
]] as const;

function passesOf({ height, width, interlaced }: PngHeader): Pass[] {
  return (interlaced ? ADAM7 : [[0, 0, 1, 1]]).map(([top, left, down, across]) => ({
    top,
    left,
    down,
    across,
    rows: Math.ceil((height - top) / down),
    columns: Math.ceil((width - left) / across),
  })).filter(({ rows, columns }) => rows > 0 && columns > 0);
}

function inflate(packed: Uint8Array, length: number): Uint8Array {
  let raw: Uint8Array;
  try {
    raw = inflateSync(packed, { maxOutputLength: length + INFLATE_SLACK });
  } catch (error) {
    throw new BrokenImageError(`damaged PNG: ${messageOf(error)}`);
  }
  if (raw.length < length) throw new BrokenImageError("damaged PNG: it holds fewer pixels than it declares");
  return raw;
}

/**
 * Decodes a PNG to 8 bits, or 16 where it has so many: gray, gray and alpha, RGB, or RGB and alpha, whichever it holds (a transparent colour or
 * palette entry counts as alpha). Throws {@linkcode BrokenImageError}.
 */
export function decodePng(bytes: Uint8Array, maxPixels: number): StoredImage<Samples> {
  const { header, palette, transparency, exif, packed } = readChunks(bytes, maxPixels);
  const { height, width, depth, colorType } = header;
  const bitsPerPixel = samplesPerPixel(colorType) * depth;
  const passes = passesOf(header).map((pass) => ({
    ...pass,
    rowBytes: Math.ceil(pass.columns * bitsPerPixel / 8),
  }));
  const raw = inflate(packed, passes.reduce((sum, { rows, rowBytes }) => sum + rows * (1 + rowBytes), 0));
  const writer = rowWriter(header, palette, transparency);
  const length = height * width * writer.channels;
  const data = depth === 16 ? new Uint16Array(length) : new Uint8Array(length);
  let at = 0;
  for (const { top, left, down, across, rows, columns, rowBytes } of passes) {
    let above: Uint8Array = new Uint8Array(rowBytes);
    for (let r = 0; r < rows; r++, at += 1 + rowBytes) {
      const row = raw.subarray(at + 1, at + 1 + rowBytes);
      unfilterRow(raw[at], row, above, Math.ceil(bitsPerPixel / 8));
      const to = ((top + r * down) * width + left) * writer.channels;
      writer.write(row, columns, data, to, across * writer.channels);
      above = row;
    }
  }
  const orientation = exif === undefined ? 1 : readOrientation(exif);
  return { data, height, width, channels: writer.channels, orientation };
}
