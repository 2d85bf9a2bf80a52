/**
 * GIF files (GIF89a): the first frame on its canvas, checked to its end. Ours because omggif writes its doubts about damaged
 * files to the console and gives pixels for them.
 */
import { BrokenImageError, checkDeclaredSize, type StoredImage } from "./image.ts";
import { unpackLzw } from "./lzw.ts";

const EXTENSION = 0x21, FRAME = 0x2c, CONTROL = 0xf9;

/** The first frame as it is stored. */
interface Frame {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
  readonly interlaced: boolean;
  /** Red, green and blue of each index. */
  readonly palette: Uint8Array;
  /** The index that is transparent, or −1. */
  readonly transparent: number;
  readonly indices: Uint8Array;
}

/** Reads on from a place; past the end of the bytes the file is cut. */
class Reader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  take(count: number): Uint8Array {
    this.#at += count;
    if (this.#at > this.#bytes.length) throw new BrokenImageError("truncated: the end of the GIF is missing");
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  byte(): number {
    return this.take(1)[0];
  }

  uint16(): number {
    const [low, high] = this.take(2);
    return low | (high << 8);
  }

  /** The table of colours that flags announce, filled up to 256 with a ramp of grays as in Pillow; or `other`. */
  palette(flags: number, other: Uint8Array): Uint8Array {
    if ((flags & 0x80) === 0) return other;
    const palette = grays();
    palette.set(this.take(3 * 2 ** ((flags & 7) + 1)));
    return palette;
  }

  /** The bytes of a run of blocks. */
  blocks(): Uint8Array {
    const start = this.#at;
    let length = 0;
    for (let size = this.byte(); size > 0; size = this.byte()) length += this.take(size).length;
    const whole = new Uint8Array(length);
    for (let from = start, to = 0; to < length;) {
      const size = this.#bytes[from];
      whole.set(this.#bytes.subarray(from + 1, from + 1 + size), to);
      from += 1 + size;
      to += size;
    }
    return whole;
  }
}

function grays(): Uint8Array {
  return Uint8Array.from({ length: 3 * 256 }, (_, i) => Math.floor(i / 3));
}

/** Goes to the first frame and unpacks it; a canvas that is too small for it is stretched, as in Pillow. */
function readFrame(
  reader: Reader,
  canvas: { height: number; width: number },
  colors: Uint8Array,
  maxPixels: number,
): Frame {
  let transparent = -1;
  for (let kind = reader.byte(); kind !== FRAME; kind = reader.byte()) {
    if (kind !== EXTENSION) throw new BrokenImageError("the GIF has no image in it");
    const label = reader.byte();
    const body = reader.blocks();
    if (label === CONTROL && body.length >= 4) transparent = (body[0] & 1) === 1 ? body[3] : -1;
  }
  const left = reader.uint16(), top = reader.uint16(), width = reader.uint16(), height = reader.uint16();
  const flags = reader.byte();
  checkDeclaredSize(height, width, maxPixels);
  checkDeclaredSize(Math.max(canvas.height, top + height), Math.max(canvas.width, left + width), maxPixels);
  const palette = reader.palette(flags, colors);
  const literalBits = reader.byte();
  if (literalBits < 1 || literalBits > 8) {
    throw new BrokenImageError(`damaged GIF: its codes begin with ${literalBits} bits`);
  }
  const indices = new Uint8Array(height * width);
  const count = unpackLzw(reader.blocks(), indices, { literalBits, lowBitFirst: true, early: 0 });
  if (count < indices.length) {
    throw new BrokenImageError("damaged GIF: it holds fewer pixels than it declares");
  }
  return { top, left, height, width, interlaced: (flags & 0x40) !== 0, palette, transparent, indices };
}

/** First row and step of the passes of an interlaced frame. */
const PASSES = [[0, 8], [4, 8], [2, 4], [1, 2]] as const;

/** Where each stored row belongs. */
function rowOrder({ height, interlaced }: Frame): number[] {
  const passes = interlaced ? PASSES : [[0, 1]] as const;
  return passes.flatMap(([first, step]) =>
    Array.from({ length: Math.max(0, Math.ceil((height - first) / step)) }, (_, i) => first + i * step)
  );
}

/**
 * Decodes the first frame of a GIF to RGB, or to RGBA where an index is transparent, bit-equal to Pillow.
 * Throws {@linkcode BrokenImageError}.
 */
export function decodeGif(bytes: Uint8Array, maxPixels: number): StoredImage {
  const reader = new Reader(bytes, 6);
  const screen = { width: reader.uint16(), height: reader.uint16() };
  const flags = reader.byte();
  reader.take(2); // colour behind everything, which viewers ignore, and the pixels' proportions
  const frame = readFrame(reader, screen, reader.palette(flags, grays()), maxPixels);
  const height = Math.max(screen.height, frame.top + frame.height);
  const width = Math.max(screen.width, frame.left + frame.width);
  const { palette, transparent } = frame;
  // What the frame leaves free is transparent, or has the first colour.
  const canvas = new Uint8Array(height * width).fill(Math.max(0, transparent));
  for (const [stored, row] of rowOrder(frame).entries()) {
    const indices = frame.indices.subarray(stored * frame.width, (stored + 1) * frame.width);
    canvas.set(indices, (frame.top + row) * width + frame.left);
  }
  const channels = transparent < 0 ? 3 : 4;
  const data = new Uint8Array(height * width * channels);
  for (let i = 0, to = 0; i < canvas.length; i++, to += channels) {
    const index = canvas[i];
    data[to] = palette[3 * index];
    data[to + 1] = palette[3 * index + 1];
    data[to + 2] = palette[3 * index + 2];
    if (channels === 4) data[to + 3] = index === transparent ? 0 : 255;
  }
  return { data, height, width, channels, orientation: 1 };
}
