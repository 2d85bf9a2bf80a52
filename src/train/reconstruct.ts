/** Reconstructions of whole pictures: what the figure at the end of a run shows. */
import { tf } from "../deps/tfjs.ts";
import type { MaskConfig, Size } from "../config/types.ts";
import { readTensors } from "../gpu/tensors.ts";
import type { Mae } from "../models/mae.ts";
import { sampleNoise } from "../models/mask_sampling.ts";
import { normalizePixels } from "../ops/normalize_pixels.ts";
import { patchify, unpatchify } from "../ops/patchify.ts";
import { patchStatistics } from "../ops/pixel_loss.ts";
import { Random, Stream } from "../util/random.ts";

/** One picture through the model. Pictures are [H, W, C] bytes. */
export interface Reconstruction {
  /** The picture as it was given. */
  readonly original: Uint8Array;
  /** The model's picture of every patch, visible ones included. */
  readonly reconstruction: Uint8Array;
  /** [L], 1 where removed */
  readonly mask: Float32Array;
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
}

/**
 * Masks pictures at random (seeded, so always alike) and lets the model fill them in.
 * @param pictures each [H, W, C] bytes of the model's image size
 */
export async function reconstruct(
  model: Mae,
  pictures: readonly Uint8Array[],
  options: ReconstructOptions,
): Promise<Reconstruction[]> {
  const results: Reconstruction[] = [];
  for (const [index, original] of pictures.entries()) {
    const noise = sampleNoise(options.mask, model.grid, 1, new Random(options.seed, Stream.figure, index));
    const [predicted, mask] = tf.tidy(() => predictPixels(model, original, noise, options));
    const [values, maskValues] = await readTensors([predicted, mask]);
    tf.dispose([predicted, mask]);
    results.push({ original, reconstruction: toBytes(values, options), mask: maskValues });
  }
  return results;
}

/** One picture's prediction as a picture in the normalised scale, [1, H, W, C], and its mask. */
function predictPixels(
  model: Mae,
  picture: Uint8Array,
  noise: Float32Array,
  options: ReconstructOptions,
): [tf.Tensor, tf.Tensor] {
  const shape: [number, number, number, number] = [1, ...model.imageSize as [number, number], model.channels];
  const images = normalizePixels(picture, shape, options.mean, options.std);
  const { prediction, mask } = model.forward(images, { maskRatio: options.mask.ratio, noise });
  if (!options.normalizedTarget) return [unpatchify(prediction, model.imageSize, model.patchSize), mask];
  const { mean, deviation } = patchStatistics(patchify(images, model.patchSize));
  return [unpatchify(tf.add(tf.mul(prediction, deviation), mean), model.imageSize, model.patchSize), mask];
}

/** Undoes the normalisation of pixels. */
function toBytes(values: Float32Array, { mean, std }: ReconstructOptions): Uint8Array {
  const channels = mean.length;
  const bytes = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const channel = i % channels;
    const value = Math.round((values[i] * std[channel] + mean[channel]) * 255);
    bytes[i] = Math.min(255, Math.max(0, value));
  }
  return bytes;
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
