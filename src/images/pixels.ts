/** Settling bands, channels and orientation of decoded images. */
import { type Image, type Samples, type StoredImage, UnfitImageError } from "./image.ts";

/** Memory for so many values of the same kind. */
function samplesLike(data: Samples, length: number): Samples {
  if (data instanceof Uint8Array) return new Uint8Array(length);
  return data instanceof Uint16Array ? new Uint16Array(length) : new Float32Array(length);
}

/** The value that counts as 1. */
export function unitOf({ data, one }: Pick<StoredImage<Samples>, "data" | "one">): number {
  return one ?? (data instanceof Uint8Array ? 255 : data instanceof Uint16Array ? 65535 : 1);
}

/** Luma as Pillow's `convert("L")` (ITU-R 601 in 16-bit fixed point); of floats without rounding. */
function luma(red: number, green: number, blue: number, isFloat: boolean): number {
  const sum = red * 19595 + green * 38470 + blue * 7471;
  return isFloat ? sum / 0x10000 : Math.floor((sum + 0x8000) / 0x10000);
}

/** RGB of RGBA, the way every JPEG goes. */
function withoutAlpha(data: Uint8Array, count: number): Uint8Array {
  const out = new Uint8Array(count * 3);
  for (let from = 0, to = 0; to < out.length; from += 4, to += 3) {
    out[to] = data[from];
    out[to + 1] = data[from + 1];
    out[to + 2] = data[from + 2];
  }
  return out;
}

/** Refuses to make `wanted` channels of bands that are no colours. */
function checkColors(channels: number, colors: number, wanted: number): void {
  const possible = colors > 0 && (wanted === 1 || wanted === 3 || (wanted === 4 && channels === colors));
  if (possible) return;
  const has = channels === 1 ? "one band" : `${channels} bands`;
  throw new UnfitImageError(
    `has ${has}, and the model takes ${wanted}${channels > wanted ? "; data.bands chooses among them" : ""}`,
  );
}

/**
 * The image with the wanted channels: gray is repeated into RGB, RGB becomes luma, alpha is dropped (not blended, as
 * Pillow's `convert("RGB")`) or, where wanted and missing, opaque; bands that are no colours stand after those, and are dropped
 * with alpha. An image that has as many channels as wanted stays as it is.
 * Throws {@linkcode UnfitImageError} where bands that are no colours, or other numbers of channels, would have to be made.
 */
export function withChannels(image: Image & Pick<StoredImage, "colors">, wanted: number): Image;
/** The same at any depth. */
export function withChannels(image: StoredImage<Samples>, wanted: number): Image<Samples>;
export function withChannels(
  image: Image<Samples> & Pick<StoredImage<Samples>, "one" | "colors">,
  wanted: number,
): Image<Samples> {
  const { data, height, width, channels } = image;
  if (channels === wanted) return image;
  const colors = image.colors ?? channels;
  checkColors(channels, colors, wanted);
  const count = height * width;
  if (channels === 4 && wanted === 3 && data instanceof Uint8Array) {
    return { data: withoutAlpha(data, count), height, width, channels: wanted };
  }
  const out = samplesLike(data, count * wanted);
  const isGray = colors <= 2;
  const hasAlpha = colors === 2 || colors === 4;
  const isFloat = data instanceof Float32Array, opaque = unitOf(image);
  for (let i = 0, from = 0, to = 0; i < count; i++, from += channels, to += wanted) {
    const red = data[from];
    const green = isGray ? red : data[from + 1];
    const blue = isGray ? red : data[from + 2];
    if (wanted === 1) {
      out[to] = isGray ? red : luma(red, green, blue, isFloat);
      continue;
    }
    out[to] = red;
    out[to + 1] = green;
    out[to + 2] = blue;
    if (wanted === 4) out[to + 3] = hasAlpha ? data[from + colors - 1] : opaque;
  }
  return { data: out, height, width, channels: wanted };
}

/**
 * Some bands of an image in the order given, counted from 1; they are no longer colours.
 * Throws {@linkcode UnfitImageError} when the image has not so many.
 */
export function withBands(image: StoredImage<Samples>, bands: readonly number[]): StoredImage<Samples> {
  const { data, height, width, channels } = image;
  const most = Math.max(...bands);
  if (most > channels) {
    throw new UnfitImageError(
      `has ${channels === 1 ? "one band" : `${channels} bands`}, and data.bands asks for ${most}`,
    );
  }
  const out = samplesLike(data, height * width * bands.length);
  for (let from = 0, to = 0; to < out.length; from += channels) {
    for (const band of bands) out[to++] = data[from + band - 1];
  }
  return { ...image, one: unitOf(image), data: out, channels: bands.length, colors: 0 };
}

/** For each EXIF orientation: whether rows and columns swap, and whether the source is read backwards down and across. */
const TURNS: readonly { swap: boolean; down: boolean; across: boolean }[] = [
  { swap: false, down: false, across: false }, // 1: upright
  { swap: false, down: false, across: true }, // 2: mirrored
  { swap: false, down: true, across: true }, // 3: upside down
  { swap: false, down: true, across: false }, // 4: mirrored upside down
  { swap: true, down: false, across: false }, // 5: transposed
  { swap: true, down: true, across: false }, // 6: to be turned clockwise
  { swap: true, down: true, across: true }, // 7: transposed over the other diagonal
  { swap: true, down: false, across: true }, // 8: to be turned counter-clockwise
];

/** The image turned upright according to its EXIF orientation. */
export function turnUpright(image: StoredImage): Image;
/** The same at any depth. */
export function turnUpright(image: StoredImage<Samples>): Image<Samples>;
export function turnUpright(image: StoredImage<Samples>): Image<Samples> {
  const { data, height, width, channels, orientation } = image;
  const { swap, down, across } = TURNS[orientation - 1];
  if (orientation === 1) return image;
  const outHeight = swap ? width : height, outWidth = swap ? height : width;
  const stepDown = down ? -width : width, stepAcross = across ? -1 : 1;
  const start = (down ? (height - 1) * width : 0) + (across ? width - 1 : 0);
  const stepY = swap ? stepAcross : stepDown, stepX = swap ? stepDown : stepAcross;
  const out = samplesLike(data, data.length);
  for (let y = 0, to = 0; y < outHeight; y++) {
    for (let x = 0, from = start + y * stepY; x < outWidth; x++, from += stepX) {
      for (let c = 0; c < channels; c++) out[to++] = data[from * channels + c];
    }
  }
  return { data: out, height: outHeight, width: outWidth, channels };
}
