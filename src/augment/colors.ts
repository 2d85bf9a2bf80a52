/**
 * Operations on colours, bit-exact with Pillow's `ImageOps` and `ImageEnhance` for gray and RGB. Alpha, where there is one,
 * is left alone. Each gives a new image.
 */
import type { Image } from "../images/image.ts";
import { withChannels } from "../images/pixels.ts";

/** Channels that are colour: all but alpha. */
function colorChannels({ channels }: Image): number {
  return channels <= 2 ? 1 : 3;
}

/** One table of 256 values for each colour channel, or one for all. */
function lookUp(image: Image, ...tables: readonly ArrayLike<number>[]): Image {
  const { channels } = image;
  const data = image.data.slice();
  for (let c = 0; c < colorChannels(image); c++) {
    const table = tables[c % tables.length];
    for (let i = c; i < data.length; i += channels) data[i] = table[data[i]];
  }
  return { ...image, data };
}

function tableOf(valueOf: (value: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, value) => valueOf(value));
}

/** How often each value occurs in a channel. */
function histogram({ data, channels }: Image, channel: number): Uint32Array {
  const counts = new Uint32Array(256);
  for (let i = channel; i < data.length; i += channels) counts[data[i]]++;
  return counts;
}

function forEachChannel(image: Image, make: (counts: Uint32Array) => Uint8Array): Image {
  const tables = Array.from({ length: colorChannels(image) }, (_, c) => make(histogram(image, c)));
  return lookUp(image, ...tables);
}

/** Stretches each channel so that its values reach from 0 to 255 (`ImageOps.autocontrast`). */
export function autoContrast(image: Image): Image {
  return forEachChannel(image, (counts) => {
    const low = counts.findIndex((count) => count > 0);
    const high = counts.findLastIndex((count) => count > 0);
    if (high <= low) return tableOf((value) => value);
    const scale = 255 / (high - low);
    return tableOf((value) => Math.max(0, Math.min(255, Math.trunc(value * scale - low * scale))));
  });
}

/** Evens out each channel's histogram (`ImageOps.equalize`). */
export function equalize(image: Image): Image {
  const pixels = image.height * image.width;
  return forEachChannel(image, (counts) => {
    const highest = counts.findLastIndex((count) => count > 0);
    const step = Math.floor((pixels - counts[highest]) / 255);
    if (step === 0) return tableOf((value) => value);
    let below = Math.floor(step / 2);
    return tableOf((value) => {
      const level = Math.min(255, Math.floor(below / step));
      below += counts[value];
      return level;
    });
  });
}

/** The negative (`ImageOps.invert`). */
export function invert(image: Image): Image {
  return lookUp(image, tableOf((value) => 255 - value));
}

/** Keeps the highest `bits` bits, 0 to 8, of each value (`ImageOps.posterize`). */
export function posterize(image: Image, bits: number): Image {
  const mask = 256 - 2 ** (8 - bits);
  return lookUp(image, tableOf((value) => value & mask));
}

/** Inverts values from `threshold` up (`ImageOps.solarize`). */
export function solarize(image: Image, threshold: number): Image {
  return lookUp(image, tableOf((value) => value < threshold ? value : 255 - value));
}

/** Adds to values below 128 (timm's `solarize_add`). */
export function solarizeAdd(image: Image, add: number): Image {
  return lookUp(image, tableOf((value) => value < 128 ? Math.min(255, value + add) : value));
}

/** `Image.blend` for one value, in float32: `from` at factor 0, `to` at 1, beyond them at other factors. */
function blend(from: number, to: number, factor: number): number {
  const value = Math.fround(from + Math.fround(factor * (to - from)));
  return value <= 0 ? 0 : value >= 255 ? 255 : Math.trunc(value);
}

/** Scales all values: black at 0, the image at 1 (`ImageEnhance.Brightness`). */
export function adjustBrightness(image: Image, factor: number): Image {
  const rounded = Math.fround(factor);
  return lookUp(image, tableOf((value) => blend(0, value, rounded)));
}

/** Moves all values away from the mean luma: plain gray at 0, the image at 1 (`ImageEnhance.Contrast`). */
export function adjustContrast(image: Image, factor: number): Image {
  const counts = histogram(withChannels(image, 1), 0);
  let sum = 0;
  for (let value = 0; value < 256; value++) sum += value * counts[value];
  const mean = Math.trunc(sum / (image.height * image.width) + 0.5);
  const rounded = Math.fround(factor);
  return lookUp(image, tableOf((value) => blend(mean, value, rounded)));
}

/** Moves colours away from their luma: gray at 0, the image at 1 (`ImageEnhance.Color`). Gray images stay as they are. */
export function adjustSaturation(image: Image, factor: number): Image {
  const data = image.data.slice();
  const { channels } = image;
  if (channels <= 2) return { ...image, data };
  const luma = withChannels(image, 1).data;
  const rounded = Math.fround(factor);
  for (let pixel = 0, i = 0; pixel < luma.length; pixel++, i += channels) {
    for (let c = 0; c < 3; c++) data[i + c] = blend(luma[pixel], data[i + c], rounded);
  }
  return { ...image, data };
}

/** The weights of `ImageFilter.SMOOTH`: five for the pixel itself, one for each of its eight neighbours. */
const BESIDE = Math.fround(1 / 13), MIDDLE = Math.fround(5 / 13);

/** Moves values away from their smoothed ones: blurred at 0, the image at 1 (`ImageEnhance.Sharpness`). */
export function adjustSharpness(image: Image, factor: number): Image {
  const { data: from, height, width, channels } = image;
  const data = from.slice();
  const row = width * channels;
  // Pillow leaves the outermost pixels as they are, and with them images of fewer than three rows or columns.
  if (height < 3 || width < 3) return { ...image, data };
  const { fround } = Math;
  const rounded = fround(factor);
  /** Three pixels of a row added up in float32, in Pillow's order; rows above and below weigh the same. */
  const outer = new Float32Array(from.length);
  const last = from.length - channels;
  for (let i = channels; i < last; i++) {
    outer[i] = fround(fround(from[i - channels] * BESIDE) + fround(from[i] * BESIDE)) +
      fround(from[i + channels] * BESIDE);
  }
  const colors = colorChannels(image);
  for (let y = 1; y < height - 1; y++) {
    for (let i = y * row + channels; i < (y + 1) * row - channels; i++) {
      if (channels !== colors && i % channels === colors) continue; // alpha
      const inner = fround(
        fround(fround(from[i - channels] * BESIDE) + fround(from[i] * MIDDLE)) +
          fround(from[i + channels] * BESIDE),
      );
      const smoothed = fround(fround(fround(0.5 + outer[i + row]) + inner) + outer[i - row]);
      data[i] = blend(Math.min(255, Math.trunc(smoothed)), from[i], rounded);
    }
  }
  return { ...image, data };
}
