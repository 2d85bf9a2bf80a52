/** From a file's bytes to pixels. What a file holds is read from its first bytes, never from its name. */
import { decodeAvif, isAvif } from "./avif.ts";
import { decodeGif } from "./gif.ts";
import {
  type Box,
  BrokenImageError,
  type Channels,
  type Image,
  type ImageWindow,
  MAX_PIXELS,
  type StoredImage,
} from "./image.ts";
import { openJpeg } from "./jpeg.ts";
import { turnUpright, withChannels } from "./pixels.ts";
import { decodePng } from "./png.ts";
import { decodeWebp } from "./webp.ts";

/** How files are read. */
export interface DecodeOptions {
  /** Channels of the result. */
  readonly channels: Channels;
  /** Whether an EXIF orientation turns the image. Pillow, as torchvision uses it, ignores it. */
  readonly exif: "apply" | "ignore";
  /** Images that declare more pixels are refused before anything is decoded; default {@linkcode MAX_PIXELS}. */
  readonly maxPixels?: number;
}

/** Formats that are recognised only to be named: offset and first letters. */
const NAMED_FORMATS: readonly (readonly [name: string, offset: number, letters: string])[] = [
  ["a BMP", 0, "BM"],
  ["a TIFF", 0, "II*\0"],
  ["a TIFF", 0, "MM\0*"],
  ["a HEIC image or a film", 4, "ftyp"],
  ["a JPEG 2000", 4, "jP  "],
  ["a JPEG XL", 4, "JXL "],
  ["a PDF", 0, "%PDF"],
  ["a ZIP archive", 0, "PK\x03\x04"],
  ["a web page", 0, "<!DOCTYPE"],
  ["a web page", 0, "<html"],
];

/** What can be read, in words. */
export const READABLE = "JPEG, PNG, WebP, AVIF and GIF";

function hasLetters(bytes: Uint8Array, offset: number, letters: string): boolean {
  for (let i = 0; i < letters.length; i++) if (bytes[offset + i] !== letters.charCodeAt(i)) return false;
  return true;
}

function isJpeg(bytes: Uint8Array): boolean {
  return hasLetters(bytes, 0, "\xff\xd8\xff");
}

async function decodeJpeg(bytes: Uint8Array, maxPixels: number): Promise<StoredImage> {
  const { height, width, orientation, decode } = openJpeg(bytes, maxPixels);
  const { image } = await decode({ top: 0, left: 0, height, width });
  return { ...image, orientation };
}

async function decodeStored(bytes: Uint8Array, maxPixels: number): Promise<StoredImage> {
  if (bytes.length === 0) throw new BrokenImageError("the file is empty");
  if (isJpeg(bytes)) return await decodeJpeg(bytes, maxPixels);
  if (hasLetters(bytes, 0, "\x89PNG\r\n\x1a\n")) return decodePng(bytes, maxPixels);
  if (hasLetters(bytes, 0, "RIFF") && hasLetters(bytes, 8, "WEBP")) return await decodeWebp(bytes, maxPixels);
  if (hasLetters(bytes, 0, "GIF87a") || hasLetters(bytes, 0, "GIF89a")) return decodeGif(bytes, maxPixels);
  if (isAvif(bytes)) return await decodeAvif(bytes, maxPixels);
  const named = NAMED_FORMATS.find(([, offset, letters]) => hasLetters(bytes, offset, letters));
  throw new BrokenImageError(`${named?.[0] ?? "not an image"}; ${READABLE} can be read`);
}

/**
 * Decodes an image file to 8-bit pixels with the channels asked for. `docs/data.md` says how each odd kind
 * of image is treated. Throws {@linkcode BrokenImageError}, whose message is the reason, for everything that is no
 * whole image.
 */
export async function decodeImage(bytes: Uint8Array, options: DecodeOptions): Promise<Image> {
  const stored = await decodeStored(bytes, options.maxPixels ?? MAX_PIXELS);
  const image = withChannels(stored, options.channels);
  return options.exif === "apply" ? turnUpright({ ...image, orientation: stored.orientation }) : image;
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
  if (isJpeg(bytes)) {
    const file = openJpeg(bytes, options.maxPixels ?? MAX_PIXELS);
    if (options.exif === "ignore" || file.orientation === 1) {
      const { image, box } = await file.decode(choose(file.height, file.width));
      return { image: withChannels(image, options.channels), box };
    }
  }
  const image = await decodeImage(bytes, options);
  return { image, box: choose(image.height, image.width) };
}
