/** Numbers about an image: what a data worker makes of it where statistics are asked for, and putting them together. */
import type { DeepImage } from "../images/image.ts";

/** Rows, columns, bits of a value. */
const HEAD = 3;
/** Mean, sum of squared deviations from it, least and largest value of a channel. */
const PER_CHANNEL = 4;

/** Numbers of an image's record. */
export function recordLength(channels: number): number {
  return HEAD + PER_CHANNEL * channels;
}

/** Writes an image's record, in the unit that its range makes. Sums of integers are exact; the others are in double precision. */
export function measureImage(
  { data, height, width, channels, range: [low, high] }: DeepImage,
  record: Float64Array,
): void {
  record.set([height, width, 8 * data.BYTES_PER_ELEMENT]);
  const count = height * width, unit = high - low;
  for (let c = 0; c < channels; c++) {
    let sum = 0, least = Infinity, largest = -Infinity;
    for (let i = c; i < data.length; i += channels) {
      const value = data[i];
      sum += value;
      if (value < least) least = value;
      if (value > largest) largest = value;
    }
    const mean = sum / count;
    let squares = 0;
    for (let i = c; i < data.length; i += channels) squares += (data[i] - mean) ** 2;
    const ends = [(least - low) / unit, (largest - low) / unit];
    record.set([(mean - low) / unit, squares / unit ** 2, ...ends], HEAD + PER_CHANNEL * c);
  }
}

/** Mean, deviation and ends of one channel over all images so far. */
export class ChannelMoments {
  /** Pixels. */
  count = 0;
  /** Their mean. */
  mean = 0;
  /** The least of them. */
  least: number = Infinity;
  /** The largest of them. */
  largest: number = -Infinity;
  #squares = 0;

  /** Adds `count` pixels with this mean and this sum of squared deviations from it (Chan, Golub and LeVeque 1979). */
  add(count: number, mean: number, squares: number): void {
    const all = this.count + count, step = mean - this.mean;
    this.#squares += squares + step ** 2 * this.count * count / all;
    this.mean += step * count / all;
    this.count = all;
  }

  /** Standard deviation of all pixels as a population. */
  get deviation(): number {
    return Math.sqrt(this.#squares / this.count);
  }
}

/** What is known of many images. */
export class Measurements {
  /** Images measured. */
  images = 0;
  /** Images of each size, `WIDTHxHEIGHT`. */
  readonly sizes: Map<string, number> = new Map();
  /** Images of each depth in bits; 32 stands for floats and large integers. */
  readonly depths: Map<number, number> = new Map();
  /** Each channel's moments. */
  readonly moments: readonly ChannelMoments[];

  /** Of nothing yet. */
  constructor(channels: number) {
    this.moments = Array.from({ length: channels }, () => new ChannelMoments());
  }

  /** Adds an image's record. The order of records decides the last bits. */
  add(record: Float64Array): void {
    const [height, width, bits] = record;
    const size = `${width}x${height}`;
    this.images++;
    this.sizes.set(size, (this.sizes.get(size) ?? 0) + 1);
    this.depths.set(bits, (this.depths.get(bits) ?? 0) + 1);
    for (const [c, channel] of this.moments.entries()) {
      const [mean, squares, least, largest] = record.subarray(HEAD + PER_CHANNEL * c);
      channel.add(height * width, mean, squares);
      channel.least = Math.min(channel.least, least);
      channel.largest = Math.max(channel.largest, largest);
    }
  }
}
