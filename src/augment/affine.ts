/**
 * Rotating, shearing and moving images, bit-exact with Pillow's `Image.transform(AFFINE)` and `Image.rotate` for gray and
 * RGB: coordinates and sums in float64, the result cut to whole levels. Other channels are treated alike.
 */
import type { Image } from "../images/image.ts";

/** How values between pixels are found. */
export type Interpolation = "bilinear" | "bicubic";

/** `[a, b, c, d, e, f]`: the point (x, y) of the result shows the point (a x + b y + c, d x + e y + f) of the image. */
export type AffineMatrix = readonly [number, number, number, number, number, number];

/** The cubic through four neighbours, `offset` beyond the second. */
function cubic(before: number, at: number, next: number, afterNext: number, offset: number): number {
  const second = -before + next;
  const third = 2 * (before - at) + next - afterNext;
  const fourth = -before + at - next + afterNext;
  return at + offset * (second + offset * (third + offset * fourth));
}

/** Places to read in, along one axis: the pixels around a coordinate, cut to the image. */
interface Neighbours {
  /** Pixels before, at, after, and one beyond. */
  readonly at: Int32Array;
  /** How far the coordinate lies beyond the second, in [0, 1). */
  offset: number;
}

function findNeighbours(neighbours: Neighbours, coordinate: number, size: number, stride: number): void {
  const position = coordinate - 0.5;
  const whole = Math.floor(position);
  neighbours.offset = position - whole;
  for (let i = 0; i < 4; i++) {
    neighbours.at[i] = Math.max(0, Math.min(size - 1, whole - 1 + i)) * stride;
  }
}

/** A value from the four places of a row. Where the offset is 0 the cubic is the pixel itself. */
function cubicInRow(data: Uint8Array, row: number, { at, offset }: Neighbours): number {
  if (offset === 0) return data[row + at[1]];
  return cubic(data[row + at[0]], data[row + at[1]], data[row + at[2]], data[row + at[3]], offset);
}

function linearInRow(data: Uint8Array, row: number, { at, offset }: Neighbours): number {
  const left = data[row + at[1]];
  return left + (data[row + at[2]] - left) * offset;
}

function bicubicValue(data: Uint8Array, channel: number, across: Neighbours, down: Neighbours): number {
  const { at, offset } = down;
  const value = cubicInRow(data, at[1] + channel, across);
  if (offset === 0) return value;
  return cubic(
    cubicInRow(data, at[0] + channel, across),
    value,
    cubicInRow(data, at[2] + channel, across),
    cubicInRow(data, at[3] + channel, across),
    offset,
  );
}

function bilinearValue(data: Uint8Array, channel: number, across: Neighbours, down: Neighbours): number {
  const upper = linearInRow(data, down.at[1] + channel, across);
  return upper + (linearInRow(data, down.at[2] + channel, across) - upper) * down.offset;
}

/** The image seen through a matrix, in its own size; what lies outside it is `fill`, one value per channel. */
export function transformAffine(
  image: Image,
  [a, b, c, d, e, f]: AffineMatrix,
  interpolation: Interpolation,
  fill: readonly number[],
): Image {
  const { data: from, height, width, channels } = image;
  const data = new Uint8Array(from.length);
  const across: Neighbours = { at: new Int32Array(4), offset: 0 };
  const down: Neighbours = { at: new Int32Array(4), offset: 0 };
  const valueAt = interpolation === "bicubic" ? bicubicValue : bilinearValue;
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += channels) {
      const u = a * (x + 0.5) + b * (y + 0.5) + c;
      const v = d * (x + 0.5) + e * (y + 0.5) + f;
      if (!(u >= 0 && u < width && v >= 0 && v < height)) {
        for (let channel = 0; channel < channels; channel++) data[to + channel] = fill[channel];
        continue;
      }
      findNeighbours(across, u, width, channels);
      findNeighbours(down, v, height, width * channels);
      for (let channel = 0; channel < channels; channel++) {
        const value = valueAt(from, channel, across, down);
        data[to + channel] = value <= 0 ? 0 : value >= 255 ? 255 : value;
      }
    }
  }
  return { ...image, data };
}

/** Python's `round(value, 15)`. */
function roundTo15(value: number): number {
  return Number(value.toFixed(15));
}

/**
 * Turns the image counter-clockwise about its centre. Pillow turns by 90, 180 and 270 degrees without resampling, this
 * function does not.
 */
export function rotate(
  image: Image,
  degrees: number,
  interpolation: Interpolation,
  fill: readonly number[],
): Image {
  const rest = degrees % 360;
  const positive = rest < 0 ? rest + 360 : rest;
  if (positive === 0) return { ...image, data: image.data.slice() };
  const angle = -(positive * (Math.PI / 180));
  const cos = roundTo15(Math.cos(angle)), sin = roundTo15(Math.sin(angle));
  const centerX = image.width / 2, centerY = image.height / 2;
  const shiftX = cos * -centerX + sin * -centerY + centerX;
  const shiftY = -sin * -centerX + cos * -centerY + centerY;
  return transformAffine(image, [cos, sin, shiftX, -sin, cos, shiftY], interpolation, fill);
}
