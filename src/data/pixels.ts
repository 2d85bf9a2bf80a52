/** Settling channels and orientation of decoded images. */
import type { Channels, Image, StoredImage } from "./image.ts";

/** Luma as Pillow's `convert("L")` (ITU-R 601 in 16-bit fixed point). */
function luma(red: number, green: number, blue: number): number {
  return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
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

/**
 * The image with the wanted channels: gray is repeated into RGB, RGB becomes luma, alpha is dropped (not blended, as
 * Pillow's `convert("RGB")`) or, where wanted and missing, opaque.
 */
export function withChannels(image: Image, wanted: Channels): Image {
  const { data, height, width, channels } = image;
  if (channels === wanted) return image;
  const count = height * width;
  if (channels === 4 && wanted === 3) {
    return { data: withoutAlpha(data, count), height, width, channels: wanted };
  }
  const out = new Uint8Array(count * wanted);
  const isGray = channels <= 2;
  const hasAlpha = channels === 2 || channels === 4;
  for (let i = 0, from = 0, to = 0; i < count; i++, from += channels, to += wanted) {
    const red = data[from];
    const green = isGray ? red : data[from + 1];
    const blue = isGray ? red : data[from + 2];
    if (wanted === 1) {
      out[to] = isGray ? red : luma(red, green, blue);
      continue;
    }
    out[to] = red;
    out[to + 1] = green;
    out[to + 2] = blue;
    if (wanted === 4) out[to + 3] = hasAlpha ? data[from + channels - 1] : 255;
  }
  return { data: out, height, width, channels: wanted };
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
export function turnUpright(image: StoredImage): Image {
  const { data, height, width, channels, orientation } = image;
  const { swap, down, across } = TURNS[orientation - 1];
  if (orientation === 1) return image;
  const outHeight = swap ? width : height, outWidth = swap ? height : width;
  const stepDown = down ? -width : width, stepAcross = across ? -1 : 1;
  const start = (down ? (height - 1) * width : 0) + (across ? width - 1 : 0);
  const stepY = swap ? stepAcross : stepDown, stepX = swap ? stepDown : stepAcross;
  const out = new Uint8Array(data.length);
  for (let y = 0, to = 0; y < outHeight; y++) {
    for (let x = 0, from = start + y * stepY; x < outWidth; x++, from += stepX) {
      for (let c = 0; c < channels; c++) out[to++] = data[from * channels + c];
    }
  }
  return { data: out, height: outHeight, width: outWidth, channels };
}
