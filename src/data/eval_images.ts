/** Images for figures and evaluation: no randomness, no workers. */
import { RunError } from "../util/errors.ts";
import { transformForEvaluation } from "./augment.ts";
import { BrokenImageError } from "./image.ts";
import type { BrokenFile } from "./loader.ts";
import { type ImageSettings, readImage } from "./render.ts";

/** What to load, and how. */
export interface EvalOptions extends ImageSettings {
  /** Stop after so many readable images; default all. */
  readonly count?: number;
  /** Share of the resized image's sides that the centre crop keeps; default 1. */
  readonly cropShare?: number;
}

/** Centre crops of images. */
export interface EvalImages {
  /** Pixels [images, height, width, channels]. */
  readonly pixels: Uint8Array;
  /** The files they come from. */
  readonly paths: readonly string[];
  /** Files that were passed over. */
  readonly broken: readonly BrokenFile[];
}

/**
 * Loads images by the evaluation transform, in the order of `paths`, passing over broken files.
 * Throws `RunError` when none is readable.
 */
export async function loadEvalImages(paths: readonly string[], options: EvalOptions): Promise<EvalImages> {
  const { imageSize, channels, count = paths.length, cropShare } = options;
  const length = imageSize[0] * imageSize[1] * channels;
  const pixels = new Uint8Array(Math.min(count, paths.length) * length);
  const loaded: string[] = [];
  const broken: BrokenFile[] = [];
  for (const path of paths) {
    if (loaded.length === count) break;
    try {
      const image = await readImage(path, options);
      const out = pixels.subarray(loaded.length * length, (loaded.length + 1) * length);
      transformForEvaluation(image, imageSize, cropShare, out);
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
