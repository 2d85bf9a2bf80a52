/** JPEG files: structure by a walk over their markers, pixels by the program's own decoder or by libjpeg. */
import { decodeFourColorJpeg, embeddedJpegWasm, startJpegDecoder } from "../deps/images.ts";
import { messageOf } from "../util/errors.ts";
import { readOrientation } from "./exif.ts";
import {
  type Box,
  BrokenImageError,
  checkDeclaredSize,
  type Image,
  type ImageWindow,
  type StoredImage,
} from "./image.ts";
import { readBaseline } from "./jpeg_baseline.ts";
import { BaselineDecoder } from "./jpeg_simd.ts";
import { nativeDecoder } from "./native_jpeg.ts";
import { withChannels } from "./pixels.ts";
import { isRefusal, WasmDecoder } from "./wasm_decoder.ts";

const Marker = {
  start: 0xd8,
  end: 0xd9,
  scan: 0xda,
  progressiveFrame: 0xc2,
  app1: 0xe1,
  app14: 0xee,
} as const;

/** Warnings after which libjpeg fills in pixels of its own; odd version numbers and the like are harmless. */
const INVENTED_PIXELS = /premature end|bad huffman|bad arithmetic|instead of rst|inconsistent progression/i;

/**
 * Warning of bytes that no pixel was made of. Some encoders leave a few; after damage, when codes have lost their
 * meaning, there are many.
 */
const STRAY_BYTES = /(\d+) extraneous bytes/;
const MOST_STRAY_BYTES = 16;

const libjpeg = new WasmDecoder("JPEG", startJpegDecoder, embeddedJpegWasm, [false]);

/** What the markers of a JPEG file say. */
interface Layout {
  height: number;
  width: number;
  components: number;
  /** The last byte of the frame's marker. */
  frame: number;
  orientation: number;
  hasAdobeSegment: boolean;
}

/** Whether a marker opens a frame: SOF0 to SOF15, without the table markers between them. */
function opensFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

/** Whether a marker stands alone: restart markers, a repeated start, and TEM. */
function standsAlone(marker: number): boolean {
  return (marker >= 0xd0 && marker <= 0xd8) || marker === 0x01;
}

/** The position after the next marker (not stuffing, fill or restart) at or behind `from`; −1 if there is none. */
function afterNextMarker(bytes: Uint8Array, from: number): number {
  for (
    let at = bytes.indexOf(0xff, from);
    at >= 0 && at + 1 < bytes.length;
    at = bytes.indexOf(0xff, at + 1)
  ) {
    const marker = bytes[at + 1];
    if (marker !== 0x00 && marker !== 0xff && !standsAlone(marker)) return at + 2;
  }
  return -1;
}

/** Walks over all segments and scans up to the end marker; throws when the file ends before it. */
function readLayout(bytes: Uint8Array): Layout {
  const layout: Layout = {
    height: 0,
    width: 0,
    components: 0,
    frame: 0,
    orientation: 1,
    hasAdobeSegment: false,
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = afterNextMarker(bytes, 2);
  while (at > 0 && bytes[at - 1] !== Marker.end && at + 2 <= bytes.length) {
    const end = at + view.getUint16(at);
    if (end > bytes.length) break;
    noteSegment(layout, bytes[at - 1], bytes.subarray(at + 2, end));
    at = afterNextMarker(bytes, end);
  }
  if (at < 0 || bytes[at - 1] !== Marker.end) {
    throw new BrokenImageError("truncated: the end marker of the JPEG is missing");
  }
  return layout;
}

function noteSegment(layout: Layout, marker: number, body: Uint8Array): void {
  if (opensFrame(marker) && body.length >= 6) {
    layout.height = (body[1] << 8) | body[2];
    layout.width = (body[3] << 8) | body[4];
    layout.components = body[5];
    layout.frame = marker;
  } else if (marker === Marker.app1 && startsWith(body, "Exif\0\0")) {
    layout.orientation = readOrientation(body);
  } else if (marker === Marker.app14 && startsWith(body, "Adobe")) {
    layout.hasAdobeSegment = true;
  }
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  return bytes.length >= text.length && [...text].every((letter, i) => bytes[i] === letter.charCodeAt(0));
}

/** A JPEG file whose structure is whole; its pixels have not been looked at. */
export interface JpegFile {
  /** Rows as stored. */
  readonly height: number;
  /** Columns as stored. */
  readonly width: number;
  /** EXIF orientation, 1 (upright) to 8. */
  readonly orientation: number;
  /**
   * Decodes the file, bit-equal to Pillow for one and three components, making pixels of no more than the box needs where
   * that saves work: gray or RGB. All of the file is read, so damage anywhere in it throws
   * {@linkcode BrokenImageError}.
   */
  decode(box: Box): Promise<ImageWindow>;
}

/** What decodes: WebAssembly, or the system's library. */
export type DecoderName = "sandboxed" | "native";

/** Opens a JPEG. Throws {@linkcode BrokenImageError} when it has no end or declares a size that is none or too large. */
export function openJpeg(bytes: Uint8Array, maxPixels: number, decoder?: DecoderName): JpegFile {
  const layout = readLayout(bytes);
  if (layout.components === 0) throw new BrokenImageError("the JPEG has no frame header");
  checkDeclaredSize(layout.height, layout.width, maxPixels);
  const { height, width, orientation } = layout;
  return {
    height,
    width,
    orientation,
    decode: async (box) => {
      // What the native library complains of, or reads where the sandboxed one does not, is decoded as if it were not there.
      const isNative = decoder === "native" && layout.frame <= Marker.progressiveFrame;
      const image = isNative ? nativeDecoder().decode(bytes, height, width) : undefined;
      if (image !== undefined) return { image, box };
      return decodeBaseline(bytes, layout, box) ?? { image: await decodeOther(bytes, layout), box };
    },
  };
}

/** All of a JPEG, as it is stored. Throws as {@linkcode openJpeg}, and for damage anywhere in the file. */
export async function decodeJpeg(
  bytes: Uint8Array,
  maxPixels: number,
  decoder?: DecoderName,
): Promise<StoredImage> {
  const { height, width, orientation, decode } = openJpeg(bytes, maxPixels, decoder);
  const { image } = await decode({ top: 0, left: 0, height, width });
  return { ...image, orientation };
}

/** A heap that one large image has grown beyond this is given back. */
const KEPT_BYTES = 2 ** 27;

let own: BaselineDecoder | undefined;

/** By the program's own decoder; undefined when libjpeg has to look at the file. */
function decodeBaseline(bytes: Uint8Array, layout: Layout, box: Box): ImageWindow | undefined {
  const jpeg = readBaseline(bytes);
  if (jpeg === undefined || jpeg.height !== layout.height || jpeg.width !== layout.width) return undefined;
  own ??= new BaselineDecoder();
  const decoder = own;
  try {
    return decoder.decode(bytes, jpeg, box);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    own = undefined;
    return undefined;
  } finally {
    if (decoder.memoryBytes > KEPT_BYTES) own = undefined;
  }
}

async function decodeOther(bytes: Uint8Array, layout: Layout): Promise<Image> {
  const image = layout.components === 4
    ? decodeFourColors(bytes, layout)
    : withChannels(await decodeByLibjpeg(bytes), layout.components === 1 ? 1 : 3);
  if (image.height !== layout.height || image.width !== layout.width) {
    throw new BrokenImageError(
      `the JPEG declares ${layout.width}x${layout.height}, holds ${image.width}x${image.height}`,
    );
  }
  return image;
}

/** RGBA, whatever the file holds. */
async function decodeByLibjpeg(bytes: Uint8Array): Promise<Image> {
  const { image, lines } = await libjpeg.decode(bytes);
  if (image === null) throw new BrokenImageError(`JPEG: ${lines.at(-1) ?? "cannot be decoded"}`);
  const damage = lines.find((line) =>
    INVENTED_PIXELS.test(line) || Number(STRAY_BYTES.exec(line)?.[1] ?? 0) > MOST_STRAY_BYTES
  );
  if (damage !== undefined) throw new BrokenImageError(`damaged JPEG: ${damage}`);
  const data = new Uint8Array(image.data.buffer, image.data.byteOffset, image.data.byteLength);
  return { data, height: image.height, width: image.width, channels: 4 };
}

/**
 * CMYK and YCCK by jpeg-js, inverted as Adobe writes them; Pillow takes every such file so. It insists on an Adobe
 * segment, so a file without one gets the neutral one (no colour transform).
 */
function decodeFourColors(bytes: Uint8Array, layout: Layout): Image {
  try {
    const { data, height, width } = decodeFourColorJpeg(
      layout.hasAdobeSegment ? bytes : withAdobeSegment(bytes),
      {
        useTArray: true,
        formatAsRGBA: false,
        tolerantDecoding: false,
        maxResolutionInMP: Infinity, // checked before
        maxMemoryUsageInMB: 2048,
      },
    );
    return { data, height, width, channels: 3 };
  } catch (error) {
    throw new BrokenImageError(`four-colour JPEG: ${messageOf(error)}`);
  }
}

function withAdobeSegment(bytes: Uint8Array): Uint8Array {
  const segment = [
    0xff,
    Marker.app14,
    0,
    14,
    ...[..."Adobe"].map((letter) => letter.charCodeAt(0)),
    0,
    100,
    0,
    0,
    0,
    0,
    0,
  ];
  const out = new Uint8Array(bytes.length + segment.length);
  out.set([0xff, Marker.start, ...segment]);
  out.set(bytes.subarray(2), 2 + segment.length);
  return out;
}
