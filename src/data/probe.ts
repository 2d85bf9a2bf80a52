/** One file to one record of what it is: what a data worker does when a data set is checked. */
import { createHash } from "../deps/node.ts";
import { decodeAsStored } from "../images/decode.ts";
import { COLORS, type Colors, FORMATS, type ImageFormat, readFacts } from "../images/image_facts.ts";
import { BrokenImageError, type Samples, type StoredImage } from "../images/image.ts";
import { unitOf } from "../images/pixels.ts";
import type { Item, ItemFailure } from "./render.ts";
import { readSampleSync } from "../sources/sample_bytes.ts";

/** Settings of workers that look at images instead of making examples. */
export interface ProbeSettings {
  /** Tells them from other settings. */
  readonly probe: true;
}

/** What is known of an image. */
export interface ProbeRecord {
  /** Whether it could be decoded; where not, nothing else is known. */
  readonly readable: boolean;
  /** Columns, as a viewer shows it. */
  readonly width: number;
  /** Rows, as a viewer shows it. */
  readonly height: number;
  /** Bytes of the file. */
  readonly bytes: number;
  /** The largest standard deviation of a colour from its mean, in levels of 255. */
  readonly deviation: number;
  /** Values of a pixel. */
  readonly channels: number;
  /** The format. */
  readonly format: ImageFormat;
  /** What the values mean. */
  readonly colors: Colors;
  /** Bits of a value. */
  readonly depth: number;
  /** Whether there are further frames. */
  readonly animated: boolean;
  /** Whether an orientation turns or mirrors it. */
  readonly turned: boolean;
}

/** Bytes of a record: numbers in little-endian order, the first 16 bytes of the file's SHA-256 among them. */
export const RECORD_BYTES = 40;
/** Where the hash stands in a record, and its length. */
export const HASH_AT = 16, HASH_BYTES = 16;

const Flag = { readable: 1, animated: 2, turned: 4 } as const;

/** Puts an image's record into `out`. */
function writeRecord(out: DataView, record: ProbeRecord): void {
  out.setUint32(0, record.width, true);
  out.setUint32(4, record.height, true);
  out.setUint32(8, record.bytes, true);
  out.setFloat32(12, record.deviation, true);
  out.setUint16(32, Math.min(0xffff, record.channels), true);
  out.setUint8(34, FORMATS.indexOf(record.format));
  out.setUint8(35, COLORS.indexOf(record.colors));
  out.setUint8(36, record.depth);
  const flags = (record.readable ? Flag.readable : 0) | (record.animated ? Flag.animated : 0) |
    (record.turned ? Flag.turned : 0);
  out.setUint8(37, flags);
}

/** The record at a place. */
export function readRecord(view: DataView, at: number): ProbeRecord {
  const flags = view.getUint8(at + 37);
  return {
    readable: (flags & Flag.readable) !== 0,
    width: view.getUint32(at, true),
    height: view.getUint32(at + 4, true),
    bytes: view.getUint32(at + 8, true),
    deviation: view.getFloat32(at + 12, true),
    channels: view.getUint16(at + 32, true),
    format: FORMATS[view.getUint8(at + 34)] ?? FORMATS[0],
    colors: COLORS[view.getUint8(at + 35)] ?? COLORS[0],
    depth: view.getUint8(at + 36),
    animated: (flags & Flag.animated) !== 0,
    turned: (flags & Flag.turned) !== 0,
  };
}

/** Pixels that deviations are measured on, in a grid over the whole image. */
const MEASURED_PIXELS = 2 ** 16;

/** The largest standard deviation of a colour, in levels of 255; floats beyond 1 count in shares of their largest. */
export function largestDeviation(image: StoredImage<Samples>): number {
  const { data, height, width, channels } = image;
  const colors = image.colors ?? channels;
  const measured = colors === 0 ? channels : colors === 2 || colors === 4 ? colors - 1 : colors; // alpha is not seen
  const step = Math.max(1, Math.ceil(Math.sqrt(height * width / MEASURED_PIXELS)));
  let largest = 0, unit = unitOf(image);
  for (let c = 0; c < measured; c++) {
    let count = 0, mean = 0, squares = 0;
    for (let y = 0; y < height; y += step) {
      for (let x = 0; x < width; x += step) {
        const value = data[(y * width + x) * channels + c];
        const away = value - mean;
        mean += away / ++count;
        squares += away * (value - mean);
        if (value > unit) unit = value;
      }
    }
    largest = Math.max(largest, Math.sqrt(squares / count));
  }
  return largest / unit * 255;
}

async function probe(item: Item, out: Uint8Array): Promise<void> {
  const bytes = readSampleSync(item.location);
  const image = await decodeAsStored(bytes);
  const facts = readFacts(bytes);
  if (facts === undefined) throw new BrokenImageError("not an image");
  const isOnItsSide = image.orientation >= 5;
  const [width, height] = isOnItsSide ? [image.height, image.width] : [image.width, image.height];
  writeRecord(new DataView(out.buffer, out.byteOffset, RECORD_BYTES), {
    ...facts,
    readable: true,
    width,
    height,
    bytes: bytes.length,
    deviation: largestDeviation(image),
    turned: image.orientation > 1,
  });
  out.set(createHash("sha256").update(bytes).digest().subarray(0, HASH_BYTES), HASH_AT);
}

/** Looks at an image and puts its record into its slot of `records`; undefined, or why the file is broken. */
export async function probeItem(item: Item, records: Uint8Array): Promise<ItemFailure | undefined> {
  const out = records.subarray(item.slot * RECORD_BYTES, (item.slot + 1) * RECORD_BYTES).fill(0);
  try {
    await probe(item, out);
  } catch (error) {
    if (error instanceof BrokenImageError) return { slot: item.slot, reason: error.message };
    throw error;
  }
}
