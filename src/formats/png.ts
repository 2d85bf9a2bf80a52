/** Writing PNG pictures. Format: W3C "Portable Network Graphics (PNG) Specification (Third Edition)". */

import { crc32, deflateSync } from "../deps/zlib.ts";

/** Pixels with 8 bits per channel, row by row, channels fastest. */
export interface Picture {
  /** `height * width * channels` bytes. */
  readonly data: Uint8Array | Uint8ClampedArray;
  /** Columns. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** 1 is gray, 3 is RGB, 4 is RGB and alpha. */
  readonly channels: 1 | 3 | 4;
}

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const COLOR_TYPE = { 1: 0, 3: 2, 4: 6 } as const;
const FILTERS = 5;

function chunk(type: string, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(body, 8);
  view.setUint32(8 + body.length, crc32(bytes.subarray(4, 8 + body.length)));
  return bytes;
}

function headerChunk({ width, height, channels }: Picture): Uint8Array {
  const body = new Uint8Array(13);
  const view = new DataView(body.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  body[8] = 8; // bits per channel
  body[9] = COLOR_TYPE[channels];
  return chunk("IHDR", body);
}

/** An international text chunk: keyword, uncompressed, no language, no translated keyword, UTF-8 text. */
function textChunk(keyword: string, text: string): Uint8Array {
  if (!/^[!-~](?:[ -~]{0,77}[!-~])?$/.test(keyword)) {
    throw new RangeError(`PNG keyword "${keyword}" is not allowed`);
  }
  return chunk("iTXt", new TextEncoder().encode(`${keyword}\0\0\0\0\0${text.replaceAll("\0", "")}`));
}

/** Of left, up and upper left, the one nearest to left + up - upper left (section 9.4). */
function paeth(left: number, up: number, upperLeft: number): number {
  const toLeft = Math.abs(up - upperLeft);
  const toUp = Math.abs(left - upperLeft);
  const toUpperLeft = Math.abs(left + up - 2 * upperLeft);
  if (toLeft <= toUp && toLeft <= toUpperLeft) return left;
  return toUp <= toUpperLeft ? up : upperLeft;
}

/** Filters one row into `out` with all five filters of section 9.2, and returns the one of the smallest sum of sizes. */
function filterRow(row: Uint8Array, above: Uint8Array, step: number, out: Uint8Array[]): number {
  const sums = new Float64Array(FILTERS);
  for (let i = 0; i < row.length; i++) {
    const value = row[i];
    const left = i < step ? 0 : row[i - step];
    const up = above[i];
    const upperLeft = i < step ? 0 : above[i - step];
    out[0][i] = value;
    out[1][i] = value - left;
    out[2][i] = value - up;
    out[3][i] = value - ((left + up) >> 1);
    out[4][i] = value - paeth(left, up, upperLeft);
    for (let f = 0; f < FILTERS; f++) sums[f] += Math.min(out[f][i], 256 - out[f][i]);
  }
  return sums.indexOf(Math.min(...sums));
}

/** All rows, each behind the number of its filter. */
function filtered({ data, width, height, channels }: Picture): Uint8Array {
  const stride = width * channels;
  const pixels = new Uint8Array(data.buffer, data.byteOffset, data.length);
  const candidates = Array.from({ length: FILTERS }, () => new Uint8Array(stride));
  const result = new Uint8Array(height * (stride + 1));
  let above: Uint8Array = new Uint8Array(stride);
  for (let y = 0; y < height; y++) {
    const row = pixels.subarray(y * stride, (y + 1) * stride);
    const best = filterRow(row, above, channels, candidates);
    result[y * (stride + 1)] = best;
    result.set(candidates[best], y * (stride + 1) + 1);
    above = row;
  }
  return result;
}

/**
 * The bytes of a PNG file.
 *
 * @param picture what to write
 * @param text remarks that the file carries, by keyword (`Title`, `Description`, `Software`, …)
 * @throws {RangeError} where the data does not match the size, or a keyword is not printable ASCII of 1 to 79 characters
 */
export function encodePng(
  picture: Picture,
  text: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const { data, width, height, channels } = picture;
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0)) {
    throw new RangeError(`A picture of ${width} x ${height} pixels cannot be written`);
  }
  if (data.length !== width * height * channels) {
    throw new RangeError(`A picture of ${width} x ${height} x ${channels} has ${data.length} bytes`);
  }
  const chunks = [
    SIGNATURE,
    headerChunk(picture),
    ...Object.entries(text).map(([keyword, words]) => textChunk(keyword, words)),
    chunk("IDAT", deflateSync(filtered(picture), { level: 6 })),
    chunk("IEND", new Uint8Array()),
  ];
  const bytes = new Uint8Array(chunks.reduce((size, { length }) => size + length, 0));
  let offset = 0;
  for (const part of chunks) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
