/**
 * Which JPEGs the program decodes itself: baseline, 8 bits, gray or YCbCr in one scan with the usual sampling. Everything
 * else, and everything odd, is libjpeg's.
 */

const Marker = {
  start: 0xd8,
  end: 0xd9,
  scan: 0xda,
  quantisers: 0xdb,
  restart: 0xdd,
  huffman: 0xc4,
} as const;
const BASELINE_FRAME = 0xc0, COMMENT = 0xfe, APP0 = 0xe0, APP14 = 0xee, APP15 = 0xef;
/** libjpeg's limit for a side. */
const MOST_SIDE = 65_500;

/** A component: its samples per MCU, and its tables as the file has them. */
export interface Component {
  /** Blocks of an MCU side by side. */
  readonly across: number;
  /** Blocks of an MCU below each other. */
  readonly down: number;
  /** 64 divisors in zigzag order. */
  readonly quantiser: Uint8Array;
  /** Counts of codes of 1 to 16 bits, then symbols: for direct current. */
  readonly dc: HuffmanCode;
  /** The same for alternating current. */
  readonly ac: HuffmanCode;
}

/** A Huffman table's number, and its 16 counts and its symbols as in the file. */
export interface HuffmanCode {
  /** 0 or 1. */
  readonly slot: number;
  /** Counts and symbols. */
  readonly bytes: Uint8Array;
}

/** What is needed to decode the scan. */
export interface BaselineJpeg {
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
  /** One (gray) or three (Y, Cb, Cr); of three only the first has more than one block per MCU. */
  readonly components: readonly Component[];
  /** MCUs between restart markers; 0 without them. */
  readonly restartInterval: number;
  /** Where the entropy-coded bytes begin. */
  readonly scanStart: number;
}

interface Frame {
  readonly height: number;
  readonly width: number;
  readonly components: readonly { id: number; across: number; down: number; quantiser: number }[];
}

/** What has been read so far. */
class Tables {
  frame: Frame | undefined;
  restartInterval = 0;
  hasJfif = false;
  adobeTransform: number | undefined;
  readonly quantisers = new Map<number, Uint8Array>();
  /** By class (0 direct, 1 alternating current) × 16 + number. */
  readonly codes = new Map<number, HuffmanCode>();
}

function letters(bytes: Uint8Array, count: number): string {
  return String.fromCharCode(...bytes.subarray(0, count));
}

/** Takes in a segment; false when it is one that libjpeg has to see. */
function takeSegment(tables: Tables, marker: number, body: Uint8Array): boolean {
  if (marker === Marker.quantisers) return takeQuantisers(tables, body);
  if (marker === Marker.huffman) return takeCodes(tables, body);
  if (marker === BASELINE_FRAME) return takeFrame(tables, body);
  if (marker === Marker.restart) {
    if (body.length !== 2) return false;
    tables.restartInterval = (body[0] << 8) | body[1];
    return true;
  }
  if (marker === APP0 && body.length >= 14 && letters(body, 5) === "JFIF\0") tables.hasJfif = true;
  if (marker === APP14 && body.length >= 12 && letters(body, 5) === "Adobe") tables.adobeTransform = body[11];
  return (marker >= APP0 && marker <= APP15) || marker === COMMENT;
}

function takeQuantisers(tables: Tables, body: Uint8Array): boolean {
  for (let at = 0; at < body.length; at += 65) {
    if (body[at] > 3 || at + 65 > body.length) return false; // 16-bit divisors have larger numbers
    tables.quantisers.set(body[at], body.subarray(at + 1, at + 65));
  }
  return true;
}

function takeCodes(tables: Tables, body: Uint8Array): boolean {
  let at = 0;
  while (at < body.length) {
    const kind = body[at] >> 4, slot = body[at] & 15;
    if (kind > 1 || slot > 1 || at + 17 > body.length) return false;
    const count = body.subarray(at + 1, at + 17).reduce((sum, codes) => sum + codes, 0);
    const bytes = body.subarray(at + 1, at + 17 + count);
    if (count > 256 || bytes.length !== 16 + count) return false;
    if (kind === 0 && bytes.subarray(16).some((size) => size > 11)) return false;
    tables.codes.set(kind * 16 + slot, { slot, bytes });
    at += 17 + count;
  }
  return true;
}

function takeFrame(tables: Tables, body: Uint8Array): boolean {
  const count = body[5];
  if (tables.frame !== undefined || body[0] !== 8 || body.length !== 6 + 3 * count) return false;
  const components = Array.from({ length: count }, (_, i) => {
    const [id, sampling, quantiser] = body.subarray(6 + 3 * i);
    return { id, across: sampling >> 4, down: sampling & 15, quantiser };
  });
  const height = (body[1] << 8) | body[2], width = (body[3] << 8) | body[4];
  tables.frame = { height, width, components };
  return true;
}

/** Whether three components are YCbCr by libjpeg's rules, with nothing for it to warn of. */
function isYcbcr({ hasJfif, adobeTransform }: Tables, { components }: Frame): boolean {
  if (hasJfif) return true;
  if (adobeTransform !== undefined) return adobeTransform === 1;
  return components.every(({ id }, i) => id === i + 1);
}

/** Whether the samples lie in one of the ways that the kernels know. */
function hasKnownSampling({ components, width }: Frame): boolean {
  const sampling = components.map(({ across, down }) => `${across}x${down}`).join(" ");
  if (components.length === 1) return /^[1-4]x[1-4]$/.test(sampling);
  // libjpeg repeats samples where halved colour has no more than two columns.
  return sampling === "1x1 1x1 1x1" || (/^2x[12] 1x1 1x1$/.test(sampling) && width > 4);
}

/** The components of a scan header that takes all of the frame's, in its order and whole. */
function takeScan(tables: Tables, frame: Frame, body: Uint8Array): Component[] | undefined {
  const count = frame.components.length;
  if (body.length !== 4 + 2 * count || body[0] !== count) return undefined;
  if (body[1 + 2 * count] !== 0 || body[2 + 2 * count] !== 63 || body[3 + 2 * count] !== 0) return undefined;
  const components: Component[] = [];
  for (const [i, { id, across, down, quantiser: number }] of frame.components.entries()) {
    const quantiser = tables.quantisers.get(number);
    const dc = tables.codes.get(body[2 + 2 * i] >> 4), ac = tables.codes.get(16 + (body[2 + 2 * i] & 15));
    if (body[1 + 2 * i] !== id || quantiser === undefined || dc === undefined || ac === undefined) {
      return undefined;
    }
    const isAlone = count === 1; // then an MCU is one block, whatever the frame says
    components.push({ across: isAlone ? 1 : across, down: isAlone ? 1 : down, quantiser, dc, ac });
  }
  return components;
}

/** Reads a file up to its scan; undefined when it is none of the kind or anything about it is odd. */
export function readBaseline(bytes: Uint8Array): BaselineJpeg | undefined {
  const tables = new Tables();
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff;) {
    const marker = bytes[at + 1], end = at + 2 + ((bytes[at + 2] << 8) | bytes[at + 3]);
    const body = bytes.subarray(at + 4, end);
    if (end < at + 4 || end > bytes.length) return undefined;
    if (marker !== Marker.scan) {
      if (!takeSegment(tables, marker, body)) return undefined;
      at = end;
      continue;
    }
    const { frame, restartInterval } = tables;
    if (frame === undefined || !hasKnownSampling(frame)) return undefined;
    if (frame.components.length === 3 && !isYcbcr(tables, frame)) return undefined;
    const components = takeScan(tables, frame, body);
    const { height, width } = frame;
    if (components === undefined || Math.max(height, width) > MOST_SIDE || height * width === 0) {
      return undefined;
    }
    return { height, width, components, restartInterval, scanStart: end };
  }
  return undefined;
}
