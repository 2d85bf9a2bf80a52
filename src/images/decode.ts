/** From a file's bytes to pixels. What a file holds is read from its first bytes, never from its name. */
import { decodeAvif, isAvif } from "./avif.ts";
import { decodeGif } from "./gif.ts";
import {
  type Box,
  BrokenImageError,
  type DeepImage,
  type DeepWindow,
  type Image,
  type ImageWindow,
  MAX_PIXELS,
  type Samples,
  type StoredImage,
} from "./image.ts";
import { decodeJpeg, type DecoderName, openJpeg } from "./jpeg.ts";
import { turnUpright, unitOf, withBands, withChannels } from "./pixels.ts";
import { decodePng } from "./png.ts";
import { decodeTiff } from "./tiff.ts";
import { isTiff } from "./tiff_directory.ts";
import { decodeWebp } from "./webp.ts";

/** How files are read. */
export interface DecodeOptions {
  /** Channels of the result. */
  readonly channels: number;
  /** Whether an EXIF orientation turns the image. Pillow, as torchvision uses it, ignores it. */
  readonly exif: "apply" | "ignore";
  /** Images that declare more pixels are refused before anything is decoded; default {@linkcode MAX_PIXELS}. */
  readonly maxPixels?: number;
  /**
   * What becomes of more than 8 bits: `uint8` (default) reduces them, `float32` is for {@linkcode decodeDeepImage}, which keeps
   * them, and `auto` refuses such a file, so that nothing is lost unnoticed.
   */
  readonly values?: "auto" | "uint8" | "float32";
  /** Bands to take, counted from 1, in this order; default all. */
  readonly bands?: readonly number[] | null;
  /** Values of the file that count as 0 and 1; by default 0 and an integer type's largest, and 0 and 1 of floats. */
  readonly range?: readonly [low: number, high: number] | null;
  /** What decodes JPEGs: `sandboxed` (default) or `native`, where `checkDecoder` lets it. */
  readonly decoder?: DecoderName;
}

/** Formats that are recognised only to be named: offset and first letters. */
const NAMED_FORMATS: readonly (readonly [name: string, offset: number, letters: string])[] = [
  ["a BMP", 0, "BM"],
  ["a HEIC image or a film", 4, "ftyp"],
  ["a JPEG 2000", 4, "jP  "],
  ["a JPEG XL", 4, "JXL "],
  ["a PDF", 0, "%PDF"],
  ["a ZIP archive", 0, "PK\x03\x04"],
  ["a web page", 0, "<!DOCTYPE"],
  ["a web page", 0, "<html"],
];

/** What can be read, in words. */
export const READABLE = "JPEG, PNG, WebP, AVIF, GIF and TIFF";

function hasLetters(bytes: Uint8Array, offset: number, letters: string): boolean {
  for (let i = 0; i < letters.length; i++) if (bytes[offset + i] !== letters.charCodeAt(i)) return false;
  return true;
}

function isJpeg(bytes: Uint8Array): boolean {
  return hasLetters(bytes, 0, "\xff\xd8\xff");
}

async function decodeStored(
  bytes: Uint8Array,
  maxPixels: number,
  keepDepth: boolean,
  decoder?: DecoderName,
): Promise<StoredImage<Samples>> {
  if (bytes.length === 0) throw new BrokenImageError("the file is empty");
  if (isJpeg(bytes)) return await decodeJpeg(bytes, maxPixels, decoder);
  if (hasLetters(bytes, 0, "\x89PNG\r\n\x1a\n")) return decodePng(bytes, maxPixels);
  if (hasLetters(bytes, 0, "RIFF") && hasLetters(bytes, 8, "WEBP")) return await decodeWebp(bytes, maxPixels);
  if (hasLetters(bytes, 0, "GIF87a") || hasLetters(bytes, 0, "GIF89a")) return decodeGif(bytes, maxPixels);
  if (isAvif(bytes)) return await decodeAvif(bytes, maxPixels, keepDepth);
  if (isTiff(bytes)) return await decodeTiff(bytes, maxPixels);
  const named = NAMED_FORMATS.find(([, offset, letters]) => hasLetters(bytes, offset, letters));
  throw new BrokenImageError(`${named?.[0] ?? "not an image"}; ${READABLE} can be read`);
}

/**
 * Decodes an image file as it stands, all bands at the depth they have, before orientation and channels are settled.
 * Throws {@linkcode BrokenImageError}.
 *
 * @param keepDepth whether AVIF keeps more than 8 bits, as the other formats do
 */
export async function decodeAsStored(
  bytes: Uint8Array,
  { maxPixels = MAX_PIXELS, decoder }: Pick<DecodeOptions, "maxPixels" | "decoder"> = {},
  keepDepth = true,
): Promise<StoredImage<Samples>> {
  const stored = await decodeStored(bytes, maxPixels, keepDepth, decoder);
  if (stored.data instanceof Float32Array && !stored.data.every(Number.isFinite)) {
    throw new BrokenImageError("holds values that are no numbers or infinite");
  }
  return stored;
}

/** The bands asked for of a file as it stands there, and which values count as 0 and 1. */
async function decodeBands(
  bytes: Uint8Array,
  options: DecodeOptions,
): Promise<StoredImage<Samples> & Pick<DeepImage, "range">> {
  const { bands, values, range } = options;
  const stored = await decodeAsStored(bytes, options, values === "float32");
  return { ...bands ? withBands(stored, bands) : stored, range: range ?? [0, unitOf(stored)] };
}

/**
 * Decodes an image file with the bands or channels asked for, at the depth it has. `docs/data.md` says how each odd kind of image
 * is treated. Throws {@linkcode BrokenImageError}, whose message is the reason, for everything that is no whole image.
 */
export async function decodeDeepImage(bytes: Uint8Array, options: DecodeOptions): Promise<DeepImage> {
  const stored = await decodeBands(bytes, options);
  const image = withChannels(stored, options.channels);
  const { orientation, range } = stored;
  return { ...options.exif === "apply" ? turnUpright({ ...image, orientation }) : image, range };
}

/**
 * Decodes an image file to 8-bit pixels; where values are no bytes, or count otherwise, to the nearest of 255 steps.
 * Throws {@linkcode BrokenImageError} as {@linkcode decodeDeepImage}, and for more than 8 bits with `values: "auto"`.
 */
export async function decodeImage(bytes: Uint8Array, options: DecodeOptions): Promise<Image> {
  const { data, range, height, width, channels, colors, orientation } = await decodeBands(bytes, options);
  if (options.values === "auto" && !(data instanceof Uint8Array)) {
    throw new BrokenImageError(
      `holds ${data instanceof Uint16Array ? "values of 16 bits" : "floats or large integers"}; ` +
        "data.values must say whether they are kept (float32) or reduced to 8 bits (uint8)",
    );
  }
  const isBytes = data instanceof Uint8Array && range[0] === 0 && range[1] === 255;
  const pixels = { data: isBytes ? data : toBytes(data, range), height, width, channels, colors };
  const image = withChannels(pixels, options.channels);
  return options.exif === "apply" ? turnUpright({ ...image, orientation }) : image;
}

/** Channels that a model for such files usually has: 3 for gray and colours, else as many as there are bands. */
export async function usualChannels(bytes: Uint8Array): Promise<number> {
  const { channels, colors = channels } = await decodeStored(bytes, MAX_PIXELS, false);
  return colors > 0 ? 3 : channels;
}

/** The nearest of 255 steps between the values that count as 0 and 1. */
function toBytes(data: Samples, [low, high]: readonly [number, number]): Uint8Array {
  const out = new Uint8ClampedArray(data.length);
  for (let i = 0; i < data.length; i++) out[i] = Math.floor((data[i] - low) / (high - low) * 255 + 0.5);
  return new Uint8Array(out.buffer);
}

/** As {@linkcode decodeBox} says, where the file is a JPEG whose bands, colours and orientation need nothing done before. */
async function decodeJpegBox(
  bytes: Uint8Array,
  options: DecodeOptions,
  choose: (height: number, width: number) => Box,
): Promise<ImageWindow | undefined> {
  if (!isJpeg(bytes) || options.bands) return undefined;
  const file = openJpeg(bytes, options.maxPixels ?? MAX_PIXELS);
  if (options.exif === "apply" && file.orientation !== 1) return undefined;
  const { image, box } = await file.decode(choose(file.height, file.width));
  return { image: withChannels(image, options.channels), box };
}

/**
 * Decodes no more of an image than a box of it needs, where the format allows; `choose` is given the image's height and
 * width as `options` turn it. Throws as {@linkcode decodeImage}, for damage outside of the box too.
 */
export async function decodeBox(
  bytes: Uint8Array,
  options: DecodeOptions,
  choose: (height: number, width: number) => Box,
): Promise<ImageWindow> {
  const window = options.range ? undefined : await decodeJpegBox(bytes, options, choose);
  if (window !== undefined) return window;
  const image = await decodeImage(bytes, options);
  return { image, box: choose(image.height, image.width) };
}

/** {@linkcode decodeBox} at the depth that the file has. */
export async function decodeDeepBox(
  bytes: Uint8Array,
  options: DecodeOptions,
  choose: (height: number, width: number) => Box,
): Promise<DeepWindow> {
  const window = await decodeJpegBox(bytes, options, choose);
  if (window !== undefined) {
    return { image: { ...window.image, range: options.range ?? [0, 255] }, box: window.box };
  }
  const image = await decodeDeepImage(bytes, options);
  return { image, box: choose(image.height, image.width) };
}
