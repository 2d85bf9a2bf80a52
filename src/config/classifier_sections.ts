/** Sections that fine-tuning and linear probing resolve alike. */

import { labelledDataFields } from "./classifier_fields.ts";
import { shuffleFields } from "./common_fields.ts";
import { defaultStatistics } from "./common_sections.ts";
import { type ClassifierModelConfig, type LabelledDataConfig, officialCropShare } from "./finetune_types.ts";
import type { Settings } from "./settings.ts";

/** `data:`, but for its augmentation. */
export function resolveLabelledData(
  settings: Settings,
  { channels, imageSize }: ClassifierModelConfig,
): Omit<LabelledDataConfig, "augment"> {
  const own = settings.section(labelledDataFields, {
    ...defaultStatistics(channels),
    cropShare: officialCropShare(imageSize),
  });
  return { ...own, shuffle: settings.section(shuffleFields) };
}
