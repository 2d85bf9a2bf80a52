/** Images for figures and evaluation: no randomness, no workers. */
import { RunError } from "../util/errors.ts";
import { transformForEvaluation } from "./augment.ts";
import { BrokenImageError } from "./image.ts";
import type { BrokenFile } from "./loader.ts";
import { type ImageSettings, readImage } from "./render.ts";
import { resizeBicubic } from "./resize.ts";
import { fileSource, type ImageSource } from "./source.ts";

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
  readonly pixels: Uint8Array;
  /** The files they come from, or what else the source calls them. */
  readonly paths: readonly string[];
  /** Those that were passed over. */
  readonly broken: readonly BrokenFile[];
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
  const { imageSize, channels, count = samples.length, cropShare, fit = "crop" } = options;
  const length = imageSize[0] * imageSize[1] * channels;
  const pixels = new Uint8Array(Math.min(count, samples.length) * length);
  const loaded: string[] = [];
  const broken: BrokenFile[] = [];
  for (const sample of samples) {
    if (loaded.length === count) break;
    const path = source.path(sample);
    try {
      const image = await readImage(await source.locate(sample), options);
      const out = pixels.subarray(loaded.length * length, (loaded.length + 1) * length);
      if (fit === "crop") transformForEvaluation(image, imageSize, cropShare, out);
      else {resizeBicubic(
          image,
          { top: 0, left: 0, height: image.height, width: image.width },
          imageSize,
          out,
        );}
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
