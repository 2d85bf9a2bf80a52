/** Whether several data sets go together. */
import { InputError } from "../util/errors.ts";
import { BrokenImageError, UnfitImageError } from "../images/image.ts";
import { type ImageSettings, readImage } from "./read_image.ts";
import type { ImageSource } from "./source.ts";

/** Images of each data set that are looked at, at most: one alone may be an odd one. */
const LOOKED_AT = 3;

/** What is wrong with the channels of a data set, by its first images; null where one of them fits. */
async function misfit(source: ImageSource, settings: ImageSettings): Promise<string | null> {
  let found: string | null = null;
  for (let sample = 0; sample < Math.min(LOOKED_AT, source.length); sample++) {
    try {
      await readImage(await source.locate(sample), { ...settings, values: "uint8" });
      return null;
    } catch (error) {
      if (!(error instanceof BrokenImageError)) throw error;
      if (error instanceof UnfitImageError) found ??= `${source.path(sample)} ${error.message}`;
    }
  }
  return found;
}

/**
 * Looks at the first images of several data sets: a model takes one number of channels from all of them.
 * @throws {InputError} naming an image of a data set with other channels
 */
export async function checkAlike(sources: readonly ImageSource[], settings: ImageSettings): Promise<void> {
  if (sources.length < 2) return;
  for (const source of sources) {
    const found = await misfit(source, settings);
    if (found === null) continue;
    throw new InputError(
      `${found}: data sets that are used together must all have the channels that the model takes (model.channels, data.bands)`,
    );
  }
}
