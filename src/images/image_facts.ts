/** What the header of an image file says besides its size: for reports, not for decoding. */
import { isAvif } from "./avif.ts";
import { isTiff, readTiffLayout } from "./tiff_directory.ts";

/** The formats that are read. */
export const FORMATS = ["JPEG", "PNG", "WebP", "AVIF", "GIF", "TIFF"] as const;

/** A format that is read. */
export type ImageFormat = typeof FORMATS[number];

/** What the values of a pixel mean. */
export const COLORS = [
  "gray",
  "gray and alpha",
  "RGB",
  "RGB and alpha",
  "palette",
  "CMYK",
  "bands",
] as const;

/** What the values of a pixel mean; `bands` are no colours. */
export type Colors = typeof COLORS[number];

/** What a header says. */
export interface ImageFacts {
  /** The format. */
  readonly format: ImageFormat;
  /** What the values mean. */
  readonly colors: Colors;
  /** Values of a pixel; 3 for a palette's colours. */
  readonly channels: number;
  /** Bits of a value, or of an index into a palette. */
  readonly depth: number;
  /** Whether there are further frames. */
  readonly animated: boolean;
}

const COLOR_CHANNELS: Readonly<Record<Exclude<Colors, "bands">, number>> = {
  gray: 1,
  "gray and alpha": 2,
  RGB: 3,
  "RGB and alpha": 4,
  palette: 3,
  CMYK: 4,
};

type Header = Pick<ImageFacts, "format" | "depth" | "animated"> & {
  readonly colors: Exclude<Colors, "bands">;
};

/** The format by the file's first bytes; undefined where it is none that is read. */
export function formatOf(bytes: Uint8Array): ImageFormat | undefined {
  if (letters(bytes, 0, 3) === "\xff\xd8\xff") return "JPEG";
  if (letters(bytes, 0, 8) === "\x89PNG\r\n\x1a\n") return "PNG";
  if (letters(bytes, 0, 4) === "RIFF" && letters(bytes, 8, 4) === "WEBP") return "WebP";
  if (letters(bytes, 0, 4) === "GIF8") return "GIF";
  if (isAvif(bytes)) return "AVIF";
  return isTiff(bytes) ? "TIFF" : undefined;
}

/** The facts of a file that could be decoded; undefined where it is of no format that is read. */
export function readFacts(bytes: Uint8Array): ImageFacts | undefined {
  switch (formatOf(bytes)) {
    case "JPEG":
      return withChannels(jpegHeader(bytes));
    case "PNG":
      return withChannels(pngHeader(bytes));
    case "WebP":
      return withChannels(webpHeader(bytes));
    case "GIF":
      return withChannels({ format: "GIF", colors: "palette", depth: 8, animated: gifFrames(bytes) > 1 });
    case "AVIF":
      return withChannels(avifHeader(bytes));
    case "TIFF":
      return tiffFacts(bytes);
  }
}

function withChannels(header: Header): ImageFacts {
  return { ...header, channels: COLOR_CHANNELS[header.colors] };
}

function letters(bytes: Uint8Array, at: number, count: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + count));
}

/** By the first frame header (ISO/IEC 10918-1 B.2.2). */
function jpegHeader(bytes: Uint8Array): Header {
  let at = 2;
  while (at + 9 < bytes.length) {
    if (bytes[at] !== 0xff || bytes[at + 1] === 0xff || bytes[at + 1] === 0) {
      at++;
      continue;
    }
    const marker = bytes[at + 1];
    const isTable = marker === 0xc4 || marker === 0xc8 || marker === 0xcc;
    if (marker >= 0xc0 && marker <= 0xcf && !isTable) {
      const components = bytes[at + 9];
      const colors = components === 1 ? "gray" : components === 4 ? "CMYK" : "RGB";
      return { format: "JPEG", colors, depth: bytes[at + 4], animated: false };
    }
    const standsAlone = marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
    at += standsAlone ? 2 : 2 + ((bytes[at + 2] << 8) | bytes[at + 3]);
  }
  return { format: "JPEG", colors: "RGB", depth: 8, animated: false };
}

const PNG_COLORS: Readonly<Record<number, Header["colors"]>> = {
  0: "gray",
  2: "RGB",
  3: "palette",
  4: "gray and alpha",
  6: "RGB and alpha",
};

/** By the header and the chunks before the pixels; a transparent colour counts as alpha, as it does where pixels are made. */
function pngHeader(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let colors = PNG_COLORS[bytes[25]] ?? "RGB", animated = false;
  for (let at = 8; at + 12 <= bytes.length;) {
    const name = letters(bytes, at + 4, 4);
    if (name === "IDAT") break;
    if (name === "acTL") animated = true;
    if (name === "tRNS" && (colors === "gray" || colors === "RGB")) {
      colors = `${colors} and alpha` as const;
    }
    at += 12 + view.getUint32(at);
  }
  return { format: "PNG", colors, depth: bytes[24], animated };
}

/** By the first chunk. */
function webpHeader(bytes: Uint8Array): Header {
  const chunk = letters(bytes, 12, 4);
  const alpha = chunk === "VP8X" ? (bytes[20] & 0x10) !== 0 : chunk === "VP8L" && (bytes[24] & 0x10) !== 0;
  const animated = chunk === "VP8X" && (bytes[20] & 0x02) !== 0;
  return { format: "WebP", colors: alpha ? "RGB and alpha" : "RGB", depth: 8, animated };
}

/** Frames of a GIF, at most 2: no more are counted. */
function gifFrames(bytes: Uint8Array): number {
  const tableBytes = (flags: number) => (flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1);
  let frames = 0;
  let at = 13 + tableBytes(bytes[10]);
  while (at < bytes.length && frames < 2) {
    const kind = bytes[at];
    if (kind === 0x2c) {
      frames++;
      at += 11 + tableBytes(bytes[at + 9]);
    } else if (kind === 0x21) at += 2;
    else break;
    while (bytes[at] > 0) at += 1 + bytes[at];
    at++;
  }
  return frames;
}

/** Largest part of an AVIF that is looked at: its boxes of metadata stand at its beginning. */
const AVIF_METADATA = 2 ** 16;

/** By the codec's configurations, of which alpha has one of its own. */
function avifHeader(bytes: Uint8Array): Header {
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, AVIF_METADATA));
  let depth = 8, isColored = false;
  for (let at = text.indexOf("av1C"); at >= 0; at = text.indexOf("av1C", at + 4)) {
    const flags = bytes[at + 6];
    depth = Math.max(depth, (flags & 0x40) === 0 ? 8 : (flags & 0x20) === 0 ? 10 : 12);
    isColored ||= (flags & 0x10) === 0;
  }
  const base = isColored ? "RGB" : "gray";
  const colors = text.includes("auxiliary:alpha") ? `${base} and alpha` as const : base;
  return { format: "AVIF", colors, depth, animated: letters(bytes, 8, 4) === "avis" };
}

const TIFF_COLORS: Readonly<Record<number, Header["colors"]>> = {
  0: "gray",
  1: "gray",
  2: "RGB",
  3: "palette",
  5: "CMYK",
  6: "RGB",
};

/** By the first directory; whatever stands beside the colours and is no alpha makes bands of them all. */
function tiffFacts(bytes: Uint8Array): ImageFacts {
  const { photometric, samples, extraSamples, bits } = readTiffLayout(bytes);
  const base = TIFF_COLORS[photometric];
  const extra = samples - (base === "palette" ? 1 : base ? COLOR_CHANNELS[base] : 0);
  const hasAlpha = extra === 1 && (extraSamples[0] === 1 || extraSamples[0] === 2);
  const common = { format: "TIFF", depth: bits, animated: false } as const;
  if (base !== undefined && extra === 0) return withChannels({ ...common, colors: base });
  if (hasAlpha && (base === "gray" || base === "RGB")) {
    return withChannels({ ...common, colors: `${base} and alpha` });
  }
  return { ...common, colors: "bands", channels: samples };
}
