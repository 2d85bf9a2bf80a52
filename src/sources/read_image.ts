/** From a file or a sample, wherever it lies, to pixels. */
import type { ReadingOptions, Size } from "../config/types.ts";
import { decodeDeepImage, decodeImage } from "../images/decode.ts";
import type { DeepImage, Image } from "../images/image.ts";
import { readSampleSync } from "./sample_bytes.ts";
import type { SampleLocation } from "./source.ts";

/** How files become pixels: `values` is `uint8` unless given. */
export interface ImageSettings extends ReadingOptions {
  /** Height and width of the result. */
  readonly imageSize: Size;
  /** Channels of the result. */
  readonly channels: number;
}

/** Bytes of a file or sample that this thread can read. Throws {@linkcode BrokenImageError} when they are gone. */
export function bytesAt(place: string | SampleLocation): Uint8Array {
  return readSampleSync(typeof place === "string" ? { kind: "file", path: place } : place);
}

/**
 * Reads and decodes a file, or a sample wherever it lies, to 8 bits. Throws {@linkcode BrokenImageError} when it is gone,
 * unreadable or no whole image.
 */
export async function readImage(place: string | SampleLocation, settings: ImageSettings): Promise<Image> {
  return await decodeImage(bytesAt(place), settings);
}

/** {@linkcode readImage} at the depth that the file has. */
export async function readDeepImage(
  place: string | SampleLocation,
  settings: ImageSettings,
): Promise<DeepImage> {
  return await decodeDeepImage(bytesAt(place), settings);
}
