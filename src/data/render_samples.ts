/** Samples of a source to examples in a batch. */
import { BrokenImageError } from "./image.ts";
import type { Renderer } from "./pool.ts";
import type { Item, ItemFailure } from "./render.ts";
import type { ImageSource } from "./source.ts";

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
  return failures.concat(await renderer.render(pixels, epoch, items));
}
