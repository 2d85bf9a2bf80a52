/** What data workers can be asked to do with an item. */
import { probeItem, type ProbeSettings } from "./probe.ts";
import { type Item, type ItemFailure, pixelsIn, renderItem, type RenderSettings } from "./render.ts";

/** What is to be done with items: examples made of them, or images looked at. */
export type WorkSettings = RenderSettings | ProbeSettings;

/** Does it, and puts the result into the item's slot of the memory; undefined, or why the item's file is broken. */
export function workOn(
  settings: WorkSettings,
  epoch: number,
  item: Item,
  memory: SharedArrayBuffer,
): Promise<ItemFailure | undefined> {
  return "probe" in settings
    ? probeItem(item, new Uint8Array(memory))
    : renderItem(settings, epoch, item, pixelsIn(memory, settings));
}
