/** Reconstructions of whole pictures: what figures and pages of them show. */
import { tf } from "../../deps/tfjs.ts";
import type { MaskConfig, PixelValues, Size } from "../../config/types.ts";
import { readTensors } from "../../gpu/tensors.ts";
import type { Mae } from "../../models/mae.ts";
import { sampleNoise } from "../../models/mask_sampling.ts";
import { normalizePixels } from "../../ops/pixels/normalize_pixels.ts";
import { patchify, unpatchify } from "../../ops/pixels/patchify.ts";
import { maskedPixelLoss, patchStatistics } from "../../ops/loss/pixel_loss.ts";
import { maskedPicture, pastePicture } from "../../report/patches.ts";
import type { ReconstructedView } from "../../report/reconstructions.ts";
import { Random, Stream } from "../../util/random.ts";

/** One picture through the model. Pictures are [H, W, C] bytes to look at. */
export interface Reconstruction {
  /** The picture as it was given. */
  readonly original: Uint8Array;
  /** The model's picture of every patch, visible ones included. */
  readonly reconstruction: Uint8Array;
  /** [L], 1 where removed */
  readonly mask: Float32Array;
  /** Mean squared error on the removed patches, in the scale of the model's target. */
  readonly loss: number;
  /** Peak signal-to-noise ratio of the removed patches' bytes, in dB; null where none differs. */
  readonly psnr: number | null;
}

/** Settings of `reconstruct`. */
export interface ReconstructOptions {
  /** Which patches are removed. */
  readonly mask: MaskConfig;
  /** Seed of the masks. */
  readonly seed: number;
  /** Per-channel mean of pixels in [0, 1]. */
  readonly mean: readonly number[];
  /** Per-channel standard deviation of pixels in [0, 1]. */
  readonly std: readonly number[];
  /** The model predicts normalised patches: undo that with each patch's true mean and deviation. */
  readonly normalizedTarget: boolean;
  /** Hears of each picture that is done, by its place. */
  readonly onPicture?: (index: number) => void;
}

/**
 * Masks pictures at random (seeded, so always alike) and lets the model fill them in.
 * @param pictures each [H, W, C] bytes or floats of the model's image size
 */
export async function reconstruct(
  model: Mae,
  pictures: readonly PixelValues[],
  options: ReconstructOptions,
): Promise<Reconstruction[]> {
  const results: Reconstruction[] = [];
  for (const [index, picture] of pictures.entries()) {
    const noise = sampleNoise(options.mask, model.grid, 1, new Random(options.seed, Stream.figure, index));
    const tensors = tf.tidy(() => predictPixels(model, picture, noise, options));
    const [values, mask, [loss]] = await readTensors(tensors);
    tf.dispose(tensors);
    const original = shownBytes(picture, options);
    const reconstruction = toBytes(values, options, picture instanceof Float32Array);
    const psnr = maskedPsnr(original, reconstruction, mask, model);
    results.push({ original, reconstruction, mask, loss, psnr });
    options.onPicture?.(index);
  }
  return results;
}

/** One picture's prediction as a picture in the normalised scale, [1, H, W, C], its mask and its loss. */
function predictPixels(
  model: Mae,
  picture: PixelValues,
  noise: Float32Array,
  options: ReconstructOptions,
): [pixels: tf.Tensor, mask: tf.Tensor, loss: tf.Tensor] {
  const shape: [number, number, number, number] = [1, ...model.imageSize as [number, number], model.channels];
  const images = normalizePixels(picture, shape, options.mean, options.std);
  const patches = patchify(images, model.patchSize);
  const { prediction, mask } = model.forward(images, { maskRatio: options.mask.ratio, noise });
  const loss = maskedPixelLoss(prediction, patches, mask, options.normalizedTarget);
  if (!options.normalizedTarget) {
    return [unpatchify(prediction, model.imageSize, model.patchSize), mask, loss];
  }
  const { mean, deviation } = patchStatistics(patches);
  const pixels = tf.add(tf.mul(prediction, deviation), mean);
  return [unpatchify(pixels, model.imageSize, model.patchSize), mask, loss];
}

/** 20 log10(255) − 10 log10(mean squared difference of the removed patches' bytes). */
function maskedPsnr(
  original: Uint8Array,
  reconstruction: Uint8Array,
  mask: Float32Array,
  { imageSize: [, width], patchSize: [patchHeight, patchWidth], grid, channels }: Mae,
): number | null {
  let [squares, count] = [0, 0];
  for (let i = 0; i < original.length; i++) {
    const pixel = Math.floor(i / channels);
    const row = Math.floor(Math.floor(pixel / width) / patchHeight);
    const column = Math.floor(pixel % width / patchWidth);
    if (mask[row * grid[1] + column] === 0) continue;
    squares += (original[i] - reconstruction[i]) ** 2;
    count++;
  }
  return squares === 0 ? null : 20 * Math.log10(255) - 10 * Math.log10(squares / count);
}

/** A reconstruction as pictures to look at: masked, as predicted, and with the visible patches pasted. */
export function viewOf(
  { original, reconstruction, mask, loss, psnr }: Reconstruction,
  model: Mae,
): ReconstructedView {
  const { imageSize, patchSize, channels } = model;
  const [truth, predicted] = [original, reconstruction].map((picture) => toRgb(picture, imageSize, channels));
  return {
    masked: maskedPicture(truth, mask, imageSize, patchSize),
    reconstruction: predicted,
    pasted: pastePicture(truth, predicted, mask, imageSize, patchSize),
    loss,
    psnr,
  };
}

/** Mean and deviation of each channel. */
export type Statistics = Pick<ReconstructOptions, "mean" | "std">;

/** Undoes the normalisation of pixels; those of a deep picture are shown as {@linkcode shownBytes} does. */
function toBytes(values: Float32Array, { mean, std }: Statistics, deep: boolean): Uint8Array {
  const channels = mean.length;
  const bytes = new Uint8ClampedArray(values.length);
  for (let i = 0; i < values.length; i++) {
    const channel = i % channels;
    bytes[i] = Math.round((deep ? shownShare(values[i]) : values[i] * std[channel] + mean[channel]) * 255);
  }
  return new Uint8Array(bytes.buffer);
}

/** Where a normalised value lies between black and white: three deviations below the mean and three above. */
function shownShare(value: number): number {
  return 0.5 + value / 6;
}

/**
 * A picture as bytes to look at. Bytes are what they are; floats, which may lie anywhere, go from black at three deviations below
 * their channel's mean to white at three above it.
 */
export function shownBytes(picture: PixelValues, { mean, std }: Statistics): Uint8Array {
  if (picture instanceof Uint8Array) return picture;
  const normalized = picture.map((value, i) => (value - mean[i % mean.length]) / std[i % mean.length]);
  return toBytes(normalized, { mean, std }, true);
}

/** A picture as RGB for looking at: gray repeated, alpha and further channels left out. */
export function toRgb(picture: Uint8Array, [height, width]: Size, channels: number): Uint8Array {
  if (channels === 3) return picture;
  const rgb = new Uint8Array(height * width * 3);
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let c = 0; c < 3; c++) rgb[3 * pixel + c] = picture[channels * pixel + (channels < 3 ? 0 : c)];
  }
  return rgb;
}

/** How the pictures of a model's predictions were made, for a caption. */
export function targetSentence(normalizedTarget: boolean): string {
  return normalizedTarget
    ? "The model predicts normalised patches; each is denormalised with the true mean and deviation of its patch."
    : "The model predicts pixels: nothing is denormalised.";
}
