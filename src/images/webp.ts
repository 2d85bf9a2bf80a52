/** WebP files: structure by their RIFF chunks, pixels by libwebp. */
import { embeddedWebpWasm, startWebpDecoder } from "../deps/images.ts";
import { readOrientation } from "./exif.ts";
import { BrokenImageError, checkDeclaredSize, type Image, type StoredImage } from "./image.ts";
import { WasmDecoder } from "./wasm_decoder.ts";

const libwebp = new WasmDecoder("WebP", startWebpDecoder, embeddedWebpWasm);

interface Chunk {
  readonly name: string;
  /** The chunk with its 8 bytes of header and its padding. */
  readonly whole: Uint8Array;
  readonly body: Uint8Array;
}

/** A picture inside the file: all of a still one, or the first frame of an animation with its place on the canvas. */
interface Frame {
  readonly top: number;
  readonly left: number;
  readonly file: Uint8Array;
}

function uint24(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
}

function uint32(bytes: Uint8Array, at: number): number {
  return uint24(bytes, at) + bytes[at + 3] * 2 ** 24;
}

/** The chunks in a run of bytes; throws when one reaches beyond its end. */
function readChunks(bytes: Uint8Array): Chunk[] {
  const chunks: Chunk[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 8 + uint32(bytes, at + 4);
    if (at + 8 > bytes.length || end > bytes.length) throw new BrokenImageError("truncated WebP chunk");
    const padded = Math.min(bytes.length, end + end % 2);
    const name = String.fromCharCode(...bytes.subarray(at, at + 4));
    chunks.push({ name, whole: bytes.subarray(at, padded), body: bytes.subarray(at + 8, end) });
    at = padded;
  }
  return chunks;
}

/** The size that the first image chunk, or the canvas, declares. */
function declaredSize(chunks: readonly Chunk[]): { height: number; width: number } {
  for (const { name, body } of chunks) {
    if (name === "VP8X" && body.length >= 10) {
      return { width: uint24(body, 4) + 1, height: uint24(body, 7) + 1 };
    }
    if (name === "VP8L" && body.length >= 5 && body[0] === 0x2f) {
      const bits = uint32(body, 1);
      return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    if (name === "VP8 " && body.length >= 10) {
      return { width: (body[6] | (body[7] << 8)) & 0x3fff, height: (body[8] | (body[9] << 8)) & 0x3fff };
    }
  }
  throw new BrokenImageError("the WebP has no image in it");
}

/** A still WebP file made of the picture chunks of an animation's frame. */
function stillFile(chunks: readonly Chunk[], height: number, width: number): Uint8Array {
  const pictures = chunks.filter(({ name }) => name === "ALPH" || name === "VP8 " || name === "VP8L");
  const length = pictures.reduce((sum, { whole }) => sum + whole.length, 30);
  const file = new Uint8Array(length);
  const view = new DataView(file.buffer);
  file.set(new TextEncoder().encode("RIFF....WEBPVP8X"));
  view.setUint32(4, length - 8, true);
  view.setUint32(16, 10, true);
  file[20] = 0x10; // may have alpha
  view.setUint32(24, width - 1, true); // three bytes each; the fourth of the width is overwritten by the height
  view.setUint16(27, (height - 1) & 0xffff, true);
  file[29] = (height - 1) >> 16;
  let at = 30;
  for (const { whole } of pictures) {
    file.set(whole, at);
    at += whole.length;
  }
  return file;
}

/** What is to be decoded: the file, or the first frame of an animation. */
function firstFrame(
  bytes: Uint8Array,
  chunks: readonly Chunk[],
  canvas: { height: number; width: number },
): Frame {
  const frame = chunks.find(({ name }) => name === "ANMF");
  if (frame === undefined) return { top: 0, left: 0, file: bytes };
  if (frame.body.length < 16) throw new BrokenImageError("truncated WebP frame");
  const left = 2 * uint24(frame.body, 0), top = 2 * uint24(frame.body, 3);
  const width = uint24(frame.body, 6) + 1, height = uint24(frame.body, 9) + 1;
  if (left + width > canvas.width || top + height > canvas.height) {
    throw new BrokenImageError("a WebP frame lies outside its canvas");
  }
  return { top, left, file: stillFile(readChunks(frame.body.subarray(16)), height, width) };
}

/** Lays a frame on a transparent black canvas, as Pillow does. */
function onCanvas(frame: Image, top: number, left: number, canvas: { height: number; width: number }): Image {
  if (frame.height === canvas.height && frame.width === canvas.width) return frame;
  const data = new Uint8Array(canvas.height * canvas.width * 4);
  for (let y = 0; y < frame.height; y++) {
    const row = frame.data.subarray(y * frame.width * 4, (y + 1) * frame.width * 4);
    data.set(row, ((top + y) * canvas.width + left) * 4);
  }
  return { data, ...canvas, channels: 4 };
}

/**
 * Decodes a WebP to RGBA, bit-equal to Pillow; of an animation its first frame.
 * Throws {@linkcode BrokenImageError}.
 */
export async function decodeWebp(bytes: Uint8Array, maxPixels: number): Promise<StoredImage> {
  const end = 8 + uint32(bytes, 4);
  if (end > bytes.length) {
    throw new BrokenImageError(`truncated: the WebP declares ${end} bytes, the file has ${bytes.length}`);
  }
  const file = bytes.subarray(0, end);
  const chunks = readChunks(file.subarray(12));
  const canvas = declaredSize(chunks);
  checkDeclaredSize(canvas.height, canvas.width, maxPixels);
  const frame = firstFrame(file, chunks, canvas);
  const { image } = await libwebp.decode(frame.file);
  if (image === null) throw new BrokenImageError("damaged WebP");
  const data = new Uint8Array(image.data.buffer, image.data.byteOffset, image.data.byteLength);
  const picture = onCanvas(
    { data, height: image.height, width: image.width, channels: 4 },
    frame.top,
    frame.left,
    canvas,
  );
  if (picture.height !== canvas.height || picture.width !== canvas.width) {
    throw new BrokenImageError("damaged WebP");
  }
  const exif = chunks.find(({ name }) => name === "EXIF");
  return { ...picture, orientation: exif === undefined ? 1 : readOrientation(exif.body) };
}
