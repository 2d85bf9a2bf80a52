/** Samples of a source to examples in a batch. */
import { RunError } from "../util/errors.ts";
import { BrokenImageError } from "../images/image.ts";
import { LostWorkerError, type Renderer } from "./pool.ts";
import type { Item, ItemFailure } from "./render.ts";
import type { ImageSource } from "../sources/source.ts";

/** A sample that is to be made into an example. */
export interface SamplePlace extends Pick<Item, "slot" | "position"> {
  /** Its number in the source. */
  readonly sample: number;
}

/**
 * Finds the samples and has them made in `pixels` [slots, height, width, channels]; resolves to those that are broken. Rejects
 * with `RunError` when a worker crashed or the renderer was closed.
 */
export async function renderSamples(
  renderer: Renderer,
  source: ImageSource,
  pixels: SharedArrayBuffer,
  epoch: number,
  places: readonly SamplePlace[],
): Promise<ItemFailure[]> {
  const items: Item[] = [];
  const failures: ItemFailure[] = [];
  await Promise.all(places.map(async ({ slot, position, sample }) => {
    try {
      items.push({ slot, position, location: await source.locate(sample) });
    } catch (error) {
      if (!(error instanceof BrokenImageError)) throw error;
      failures.push({ slot, reason: error.message });
    }
  }));
  try {
    return failures.concat(await renderer.render(pixels, epoch, items));
  } catch (error) {
    const place = error instanceof LostWorkerError && places.find(({ slot }) => slot === error.slot);
    if (!place) throw error;
    const { location } = items.find(({ slot }) => slot === place.slot) ?? {};
    const bytes = location?.kind === "range" ? `, ${location.length} bytes from ${location.offset} on` : "";
    throw new RunError(`${error.message} (${source.path(place.sample)}${bytes})`);
  }
}
