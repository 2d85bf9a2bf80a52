/**
 * What fine-tuning does to a batch of normalised images: rectangles of noise (random erasing), then each image mixed with
 * its mirror in the batch (mixup, CutMix). Here stands the definition, on arrays; `mixed_patches.ts` does it on the device.
 */
import { mix32 } from "../../util/random.ts";

/** [N, H, W, C] of a batch. */
export type BatchShape = readonly [images: number, height: number, width: number, channels: number];

/** A rectangle of pixels; it may be empty. */
export interface PixelBox {
  /** First row. */
  readonly top: number;
  /** First column. */
  readonly left: number;
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
}

/** A rectangle of an image that becomes noise. */
export interface Erasure {
  /** Where. */
  readonly box: PixelBox;
  /** 32 bits that name the noise. */
  readonly key: number;
}

/**
 * How image n of N is mixed with its partner, image N − 1 − n. With a box (CutMix) the partner's pixels replace those inside;
 * without (mixup) all pixels become `share · own + (1 − share) · partner's`. A share of 1 without a box changes nothing.
 */
export interface Mix {
  /** How much of the label stays the image's own, in [0, 1]. */
  readonly share: number;
  /** CutMix's rectangle, the same in every image. */
  readonly box: PixelBox | null;
}

/** Leaves a batch as it is. */
export const noMix: Mix = { share: 1, box: null };

/** Whether pixel (y, x) lies in the box. */
export function isInside({ top, left, height, width }: PixelBox, y: number, x: number): boolean {
  return y >= top && y < top + height && x >= left && x < left + width;
}

/** Uniform on [0, 1), named by a key and a counter. */
function uniformAt(key: number, counter: number): number {
  return (mix32(mix32(counter + 0x9e3779b9) ^ key) >>> 8) / 2 ** 24;
}

/**
 * A standard normal value named by a key and an index (Box and Muller over hashed counters), so that every value of an erased
 * rectangle can be made on its own.
 */
export function noiseAt(key: number, index: number): number {
  const radius = Math.sqrt(-2 * Math.log(1 - uniformAt(key, 2 * index)));
  return radius * Math.cos(2 * Math.PI * (uniformAt(key, 2 * index + 1) - 0.5));
}

/** Erases rectangles in place. A value's noise depends on the key and its index within the image alone. */
export function eraseOnHost(
  images: Float32Array,
  [, height, width, channels]: BatchShape,
  erasures: readonly (Erasure | null)[],
): void {
  const length = height * width * channels;
  for (const [n, erasure] of erasures.entries()) {
    if (erasure === null) continue;
    const { box, key } = erasure;
    for (let y = box.top; y < box.top + box.height; y++) {
      const from = (y * width + box.left) * channels;
      for (let i = from; i < from + box.width * channels; i++) images[n * length + i] = noiseAt(key, i);
    }
  }
}

/** Mixes a batch in float32, in timm's order of operations; a new array. */
export function mixOnHost(images: Float32Array, shape: BatchShape, { share, box }: Mix): Float32Array {
  const [count, height, width, channels] = shape;
  const length = height * width * channels;
  const own = Math.fround(share), others = Math.fround(1 - share);
  const mixed = images.slice();
  for (let n = 0; n < count; n++) {
    const to = n * length, from = (count - 1 - n) * length;
    if (box !== null) {
      for (let y = box.top; y < box.top + box.height; y++) {
        const start = (y * width + box.left) * channels;
        const end = start + box.width * channels;
        mixed.set(images.subarray(from + start, from + end), to + start);
      }
    } else if (share < 1) {
      for (let i = 0; i < length; i++) {
        mixed[to + i] = Math.fround(images[to + i] * own) + Math.fround(images[from + i] * others);
      }
    }
  }
  return mixed;
}
