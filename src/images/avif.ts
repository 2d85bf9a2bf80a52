/** AVIF files: declared size and orientation by their boxes (ISO/IEC 14496-12), pixels by libavif. */
import { embeddedAvifWasm, startAvifDecoder } from "../deps/images.ts";
import { av1FrameSize } from "./av1.ts";
import { BrokenImageError, checkDeclaredSize, type Samples, type StoredImage } from "./image.ts";
import { WasmDecoder } from "./wasm_decoder.ts";

const libavif = new WasmDecoder("AVIF", startAvifDecoder, embeddedAvifWasm, [8]);
const libavif16 = new WasmDecoder("AVIF", startAvifDecoder, embeddedAvifWasm, [16]);

/** Boxes that hold boxes, and the bytes of their own in front of them. */
const CONTAINERS: Readonly<Record<string, number>> = {
  meta: 4,
  iprp: 0,
  ipco: 0,
  moov: 0,
  trak: 0,
  mdia: 0,
  minf: 0,
  stbl: 0,
};

/** Boxes in boxes: a sequence has six of them in each other. */
const MOST_DEPTH = 10;

/** Items of an image, which may be tiles and what is said of it, and boxes side by side. */
const MOST_ITEMS = 2 ** 16;

/** Bytes in which a sequence header must be found. */
const STREAM_HEAD = 1024;

interface Box {
  readonly name: string;
  readonly body: Uint8Array;
}

/** What the boxes say. */
interface Layout {
  height: number;
  width: number;
  /** Whether values have 10 or 12 bits. */
  deep: boolean;
  /** Where streams begin, from the file's start, or from the start of `data`. */
  readonly streams: { readonly at: number; readonly inside: boolean }[];
  /** Streams that lie among the boxes. */
  data: Uint8Array;
  /** Quarter turns, counter-clockwise. */
  turns: number;
  /** Whether the upper and lower half change places after turning, or left and right, or nothing does. */
  mirror: "rows" | "columns" | null;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The boxes side by side in a run of bytes; throws when one reaches beyond its end. */
function readBoxes(bytes: Uint8Array): Box[] {
  const view = viewOf(bytes);
  const boxes: Box[] = [];
  for (let at = 0; at < bytes.length;) {
    if (at + 8 > bytes.length) throw new BrokenImageError("truncated AVIF box");
    const short = view.getUint32(at);
    const isLong = short === 1 && at + 16 <= bytes.length;
    const size = short === 0 ? bytes.length - at : isLong ? Number(view.getBigUint64(at + 8)) : short;
    const head = isLong ? 16 : 8;
    if (size < head || at + size > bytes.length) throw new BrokenImageError("truncated AVIF box");
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    boxes.push({ name, body: bytes.subarray(at + head, at + size) });
    if (boxes.length > MOST_ITEMS) throw new BrokenImageError("damaged AVIF: it has too many boxes");
    at += size;
  }
  return boxes;
}

/** Whether the first box says that the file is AVIF and not another kind of this container (HEIC, MP4). */
export function isAvif(bytes: Uint8Array): boolean {
  if (bytes.length < 16 || viewOf(bytes).getUint32(4) !== 0x66747970) return false; // "ftyp"
  const end = Math.min(bytes.length, viewOf(bytes).getUint32(0));
  for (let at = 8; at + 4 <= end; at += 4) {
    const brand = String.fromCharCode(...bytes.subarray(at, at + 4));
    if (brand === "avif" || brand === "avis") return true;
  }
  return false;
}

/** Notes what a box says, and the boxes in it. The largest size counts: an image may be put together of tiles. */
function note(layout: Layout, { name, body }: Box, depth = 0): void {
  if (depth > MOST_DEPTH) throw new BrokenImageError("damaged AVIF: its boxes lie in each other without end");
  if (Object.hasOwn(CONTAINERS, name)) {
    for (const inner of readBoxes(body.subarray(CONTAINERS[name]))) note(layout, inner, depth + 1);
  } else if (name === "ispe" && body.length >= 12) {
    noteSize(layout, viewOf(body).getUint32(8), viewOf(body).getUint32(4));
  } else if (name === "tkhd" && body.length >= 84) {
    noteSize(layout, viewOf(body).getUint16(body.length - 4), viewOf(body).getUint16(body.length - 8));
  } else if (name === "iloc") {
    layout.streams.push(...readLocations(body));
  } else if ((name === "stco" || name === "co64") && body.length >= 16) {
    const at = name === "stco" ? viewOf(body).getUint32(8) : Number(viewOf(body).getBigUint64(8));
    layout.streams.push({ at, inside: false });
  } else if (name === "idat") {
    layout.data = body;
  } else if (name === "av1C" && body.length >= 3) {
    layout.deep ||= (body[2] & 0x40) !== 0;
  } else if (name === "irot" && body.length >= 1) {
    layout.turns = body[0] & 3;
  } else if (name === "imir" && body.length >= 1) {
    layout.mirror = (body[0] & 1) === 0 ? "rows" : "columns";
  }
}

/** Where the first bytes of each item lie (ISO/IEC 14496-12, section 8.11.3). */
function readLocations(body: Uint8Array): { at: number; inside: boolean }[] {
  const view = viewOf(body);
  const version = body[0], isNew = version > 0;
  let next = 6;
  const take = (bytes: number): number => {
    if (next + bytes > body.length) throw new BrokenImageError("truncated AVIF box");
    let value = 0;
    for (let i = 0; i < bytes; i++) value = value * 256 + view.getUint8(next++);
    return value;
  };
  const offsetBytes = body[4] >> 4, lengthBytes = body[4] & 15, baseBytes = body[5] >> 4;
  const indexBytes = isNew ? body[5] & 15 : 0;
  const streams: { at: number; inside: boolean }[] = [];
  for (let items = take(version < 2 ? 2 : 4); items > 0; items--) {
    take(version < 2 ? 2 : 4);
    const inside = isNew && (take(2) & 15) === 1;
    take(2);
    const base = take(baseBytes);
    const extents = take(2), extentBytes = indexBytes + offsetBytes + lengthBytes;
    if (extents === 0) continue;
    take(indexBytes);
    streams.push({ at: base + take(offsetBytes), inside });
    next += lengthBytes + (extents - 1) * extentBytes;
    if (streams.length > MOST_ITEMS) throw new BrokenImageError("damaged AVIF: it has too many items");
  }
  return streams;
}

/**
 * Refuses streams whose frames are larger than what is declared: they are decoded before anybody compares. Items that are no
 * pictures (EXIF data) are looked at too, and are no streams.
 */
function checkStreams(bytes: Uint8Array, { streams, data, height, width }: Layout): void {
  let found = 0;
  for (const { at, inside } of streams) {
    const frame = av1FrameSize((inside ? data : bytes).subarray(at, at + STREAM_HEAD));
    if (frame === undefined) continue;
    found++;
    if (frame.height > height || frame.width > width) {
      throw new BrokenImageError(
        `the AVIF declares ${width}x${height}, holds ${frame.width}x${frame.height}`,
      );
    }
  }
  if (found === 0) throw new BrokenImageError("the AVIF has no image in it");
}

function noteSize(layout: Layout, height: number, width: number): void {
  layout.height = Math.max(layout.height, height);
  layout.width = Math.max(layout.width, width);
}

/** For each number of quarter turns the EXIF orientation: not mirrored, rows mirrored, columns mirrored. */
const ORIENTATIONS = [[1, 4, 2], [8, 5, 7], [3, 2, 4], [6, 7, 5]] as const;

function orientationOf({ turns, mirror }: Layout): number {
  return ORIENTATIONS[turns][mirror === null ? 0 : mirror === "rows" ? 1 : 2];
}

/**
 * Decodes an AVIF to RGBA, of a sequence its first frame. The turn and the mirror that it asks for become the orientation; what
 * EXIF data it carries says nothing, as the format has it. With `keepDepth`, 10 and 12 bits are spread over 16 and otherwise
 * rounded to 8. Throws {@linkcode BrokenImageError}.
 */
export async function decodeAvif(
  bytes: Uint8Array,
  maxPixels: number,
  keepDepth = false,
): Promise<StoredImage<Samples>> {
  const layout: Layout = {
    height: 0,
    width: 0,
    deep: false,
    streams: [],
    data: new Uint8Array(0),
    turns: 0,
    mirror: null,
  };
  for (const box of readBoxes(bytes)) note(layout, box);
  if (layout.height === 0 && layout.width === 0) throw new BrokenImageError("the AVIF declares no size");
  checkDeclaredSize(layout.height, layout.width, maxPixels);
  checkStreams(bytes, layout);
  const { image, lines } = await (layout.deep && keepDepth ? libavif16 : libavif).decode(bytes);
  if (image === null) {
    throw new BrokenImageError(`damaged AVIF${lines.length > 0 ? `: ${lines.at(-1)}` : ""}`);
  }
  const { height, width, data: { buffer, byteOffset, byteLength } } = image;
  checkDeclaredSize(height, width, maxPixels);
  const data = image.data instanceof Uint16Array
    ? image.data
    : new Uint8Array(buffer, byteOffset, byteLength);
  return { data, height, width, channels: 4, orientation: orientationOf(layout) };
}
