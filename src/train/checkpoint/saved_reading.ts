/** What a checkpoint says of how its images were taken. */
import { unusualReading } from "../../config/common_sections.ts";
import { oneOf, pair, wholes } from "../../config/kinds.ts";
import type { ReadingOptions } from "../../config/types.ts";

/** Depth, bands and range of a model's images, where they are not the usual ones. */
export type SavedReading = Omit<Partial<ReadingOptions>, "exif">;

/** What the keys of `data:`, or of what `mae convert` wrote, say of it; undefined where that is nothing unusual. */
export function savedReading(
  { values, bands, range }: { readonly values?: unknown; readonly bands?: unknown; readonly range?: unknown },
): SavedReading | undefined {
  const reading = unusualReading({
    values: oneOf("auto", "uint8", "float32").parse(values),
    bands: wholes(1, 65535).parse(bands),
    range: pair({}, true).parse(range),
  });
  return Object.keys(reading).length > 0 ? reading : undefined;
}
