/** Pixels in memory, and the error for files that hold none. */

/** Channels that image files are read as: grayscale, RGB, or RGB and alpha. */
export type Channels = 1 | 3 | 4;

/** 8-bit pixels, `data[(y × width + x) × channels + channel]`. */
export interface Image {
  /** The pixels, row by row. */
  readonly data: Uint8Array;
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
  /** 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha. */
  readonly channels: number;
}

/** A rectangle of pixels. */
export interface Box {
  /** First row. */
  readonly top: number;
  /** First column. */
  readonly left: number;
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
}

/** Part of an image, and where a box of the image lies in it. */
export interface ImageWindow {
  /** The pixels. */
  readonly image: Image;
  /** The box, counted from the first of these pixels. */
  readonly box: Box;
}

/** A file as its decoder gives it, before orientation and channels are settled. */
export interface StoredImage extends Image {
  /** EXIF orientation, 1 (upright) to 8. */
  readonly orientation: number;
}

/** The bytes are no readable image; the message says why, in words that follow a file's name and a colon. */
export class BrokenImageError extends Error {
  /** The class's name, for error reports. */
  override name = "BrokenImageError";
}

/** Most pixels that are decoded unless told otherwise: Pillow's limit against decompression bombs (twice 2^28 / 3). */
export const MAX_PIXELS = 178_956_970;

/** Throws {@linkcode BrokenImageError} when a header declares an empty image or one of more than `maxPixels`. */
export function checkDeclaredSize(height: number, width: number, maxPixels: number): void {
  if (height <= 0 || width <= 0) throw new BrokenImageError(`declares an empty size of ${width}x${height}`);
  if (height * width > maxPixels) {
    throw new BrokenImageError(`declares ${width}x${height} pixels, more than the limit of ${maxPixels}`);
  }
}
