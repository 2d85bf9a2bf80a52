/** Images for figures and evaluation: no randomness, no workers. */
import { RunError } from "../util/errors.ts";
import type { PixelValues } from "../config/types.ts";
import { transformDeepForEvaluation, transformForEvaluation } from "../augment/augment.ts";
import { BrokenImageError, type Image } from "../images/image.ts";
import type { BrokenFile } from "./broken_samples.ts";
import { type ImageSettings, readDeepImage, readImage } from "../sources/read_image.ts";
import { resizeBicubic } from "../images/resize.ts";
import { resizeDeep } from "../images/resize_float.ts";
import { fileSource, type ImageSource, type SampleLocation } from "../sources/source.ts";

/** What to load, and how. */
export interface EvalOptions extends ImageSettings {
  /** Which samples of a source, in this order; default all. */
  readonly samples?: readonly number[];
  /** Stop after so many readable images; default all. */
  readonly count?: number;
  /** Share of the resized image's sides that the centre crop keeps; default 1. */
  readonly cropShare?: number;
  /** `crop` (default) keeps the image's proportions and crops the centre; `stretch` squeezes the whole image in. */
  readonly fit?: "crop" | "stretch";
}

/** Centre crops of images. */
export interface EvalImages {
  /** Pixels [images, height, width, channels]. */
  readonly pixels: PixelValues;
  /** The files they come from, or what else the source calls them. */
  readonly paths: readonly string[];
  /** Those that were passed over. */
  readonly broken: readonly BrokenFile[];
}

function wholeOf({ height, width }: Pick<Image, "height" | "width">) {
  return { top: 0, left: 0, height, width };
}

async function loadBytes(location: SampleLocation, options: EvalOptions, out: Uint8Array): Promise<void> {
  const image = await readImage(location, options);
  if (options.fit === "stretch") resizeBicubic(image, wholeOf(image), options.imageSize, out);
  else transformForEvaluation(image, options.imageSize, options.cropShare, out);
}

async function loadFloats(location: SampleLocation, options: EvalOptions, out: Float32Array): Promise<void> {
  const image = await readDeepImage(location, options);
  if (options.fit === "stretch") resizeDeep(image, wholeOf(image), options.imageSize, out);
  else transformDeepForEvaluation(image, options.imageSize, options.cropShare, out);
}

/**
 * Loads image files, or samples of a source, by the evaluation transform, in their order, passing over broken ones.
 * Throws `RunError` when none is readable.
 */
export async function loadEvalImages(
  images: readonly string[] | ImageSource,
  options: EvalOptions,
): Promise<EvalImages> {
  const source = "locate" in images ? images : fileSource("", images);
  const samples = options.samples ?? Array.from({ length: source.length }, (_, sample) => sample);
  const { imageSize, channels, values, count = samples.length } = options;
  const length = imageSize[0] * imageSize[1] * channels;
  const all = Math.min(count, samples.length) * length;
  const pixels = values === "float32" ? new Float32Array(all) : new Uint8Array(all);
  const loaded: string[] = [];
  const broken: BrokenFile[] = [];
  for (const sample of samples) {
    if (loaded.length === count) break;
    const path = source.path(sample);
    try {
      const location = await source.locate(sample), from = loaded.length * length;
      if (pixels instanceof Float32Array) {
        await loadFloats(location, options, pixels.subarray(from, from + length));
      } else await loadBytes(location, options, pixels.subarray(from, from + length));
      loaded.push(path);
    } catch (error) {
      if (!(error instanceof BrokenImageError)) throw error;
      broken.push({ path, reason: error.message });
    }
  }
  if (loaded.length === 0 && broken.length > 0) {
    const { path, reason } = broken[0];
    throw new RunError(`None of ${broken.length} images can be read (${path}: ${reason})`);
  }
  return { pixels: pixels.slice(0, loaded.length * length), paths: loaded, broken };
}

/** `count` places spread evenly over 0 … length − 1, each once; all of them where there are no more. */
export function spread(length: number, count: number): number[] {
  const wanted = Math.min(length, count);
  return Array.from({ length: wanted }, (_, i) => Math.floor(i * length / wanted));
}
