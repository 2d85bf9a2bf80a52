/** Pixels in memory, and the error for files that hold none. */

/** Values of pixels, at the depth that a file has. */
export type Samples = Uint8Array | Uint16Array | Float32Array;

/** Pixels, of 8 bits unless said otherwise, `data[(y × width + x) × channels + channel]`. */
export interface Image<D extends Samples = Uint8Array> {
  /** The pixels, row by row. */
  readonly data: D;
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
  /** 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha; or any number of bands. */
  readonly channels: number;
}

/** Pixels that keep their depth. */
export interface DeepImage extends Image<Samples> {
  /** Which values count as 0 and 1. */
  readonly range: readonly [low: number, high: number];
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

/** Pixels that keep their depth, and a box of them. */
export interface DeepWindow {
  /** The pixels. */
  readonly image: DeepImage;
  /** The box. */
  readonly box: Box;
}

/** A file as its decoder gives it, before orientation and channels are settled. */
export interface StoredImage<D extends Samples = Uint8Array> extends Image<D> {
  /** EXIF orientation, 1 (upright) to 8. */
  readonly orientation: number;
  /** The value that counts as 1 where it is not the largest of the values' type (1 for floats). */
  readonly one?: number;
  /**
   * How many of the first channels are gray (1), gray and alpha (2), RGB (3) or RGB and alpha (4), the rest being bands of
   * another kind; 0 where all are. Default: all channels are such.
   */
  readonly colors?: number;
}

/** The bytes are no readable image; the message says why, in words that follow a file's name and a colon. */
export class BrokenImageError extends Error {
  /** The class's name, for error reports. */
  override name = "BrokenImageError";
}

/** The image is whole, but has other bands than those asked for. */
export class UnfitImageError extends BrokenImageError {
  /** The class's name, for error reports. */
  override name = "UnfitImageError";
}

export { MAX_PIXELS } from "../config/types.ts";

/** Throws {@linkcode BrokenImageError} when a header declares an empty image or one of more than `maxPixels`. */
export function checkDeclaredSize(height: number, width: number, maxPixels: number): void {
  if (height <= 0 || width <= 0) throw new BrokenImageError(`declares an empty size of ${width}x${height}`);
  if (height * width > maxPixels) {
    throw new BrokenImageError(
      `declares ${width}x${height} pixels, more than the limit of ${maxPixels} (data.max_pixels)`,
    );
  }
}
