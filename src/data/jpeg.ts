/** JPEG files: structure by a walk over their markers, pixels by libjpeg. */
import { decodeFourColorJpeg, embeddedJpegWasm, startJpegDecoder } from "../deps/images.ts";
import { messageOf } from "../util/errors.ts";
import { readOrientation } from "./exif.ts";
import { BrokenImageError, checkDeclaredSize, type StoredImage } from "./image.ts";
import { WasmDecoder } from "./wasm_decoder.ts";

const Marker = { start: 0xd8, end: 0xd9, scan: 0xda, app1: 0xe1, app14: 0xee } as const;

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
  const layout: Layout = { height: 0, width: 0, components: 0, orientation: 1, hasAdobeSegment: false };
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
  } else if (marker === Marker.app1 && startsWith(body, "Exif\0\0")) {
    layout.orientation = readOrientation(body);
  } else if (marker === Marker.app14 && startsWith(body, "Adobe")) {
    layout.hasAdobeSegment = true;
  }
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  return bytes.length >= text.length && [...text].every((letter, i) => bytes[i] === letter.charCodeAt(0));
}

/**
 * Decodes a JPEG, bit-equal to Pillow for one and three components (RGBA is returned, alpha 255); four components
 * (CMYK, YCCK) become RGB. Throws {@linkcode BrokenImageError}.
 */
export async function decodeJpeg(bytes: Uint8Array, maxPixels: number): Promise<StoredImage> {
  const layout = readLayout(bytes);
  if (layout.components === 0) throw new BrokenImageError("the JPEG has no frame header");
  checkDeclaredSize(layout.height, layout.width, maxPixels);
  const image = layout.components === 4 ? decodeFourColors(bytes, layout) : await decodeByLibjpeg(bytes);
  if (image.height !== layout.height || image.width !== layout.width) {
    throw new BrokenImageError(
      `the JPEG declares ${layout.width}x${layout.height}, holds ${image.width}x${image.height}`,
    );
  }
  return { ...image, orientation: layout.orientation };
}

async function decodeByLibjpeg(bytes: Uint8Array): Promise<Omit<StoredImage, "orientation">> {
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
function decodeFourColors(bytes: Uint8Array, layout: Layout): Omit<StoredImage, "orientation"> {
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
