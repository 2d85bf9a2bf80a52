/** What must hold between the keys of a pre-training configuration. */

import { encoderFields } from "./common_fields.ts";
import {
  checkGrid,
  checkReading,
  checkSchedule,
  checkStatistics,
  checkTransformer,
} from "./common_checks.ts";
import { decoderFields, maskFields, modelFields } from "./pretrain_fields.ts";
import type { Settings } from "./settings.ts";
import type { PretrainConfig } from "./types.ts";

/**
 * Refuses values that are each possible but not together.
 *
 * @throws {InputError} naming the key to change, its value, its origin and what would do.
 */
export function checkPretrain(config: PretrainConfig, settings: Settings): void {
  checkTransformer(config.model.encoder, encoderFields, settings);
  checkTransformer(config.model.decoder, decoderFields, settings);
  checkGrid(config.model, settings);
  checkMask(config, settings);
  checkReading(config, settings);
  checkStatistics(config, settings);
  checkSchedule(config.optim, settings);
}

function checkMask({ model, mask }: PretrainConfig, settings: Settings): void {
  const rows = model.imageSize[0] / model.patchSize[0];
  const columns = model.imageSize[1] / model.patchSize[1];
  const patches = rows * columns;
  if (patches < 2) {
    throw settings.conflict(
      modelFields.imageSize,
      model.imageSize,
      `is one patch of model.patch_size ${model.patchSize[0]}: masking needs at least 2 patches`,
    );
  }
  // The raw floating product of the method, not the exact one: 100 patches at 0.8 keep 19.
  const kept = Math.floor(patches * (1 - mask.ratio));
  if (kept < 1 || kept >= patches) {
    throw settings.conflict(
      maskFields.ratio,
      mask.ratio,
      `${kept < 1 ? "keeps" : "removes"} none of the ${patches} patches of an image; ` +
        (kept < 1 ? `it can be at most ${largestRatio(patches)}` : "it must be larger"),
    );
  }
  if (mask.sampling === "grid" && mask.ratio !== 0.75) {
    throw settings.conflict(
      maskFields.ratio,
      mask.ratio,
      "must be 0.75 when mask.sampling is grid, which keeps one patch of four",
    );
  }
}

/** The largest ratio, to four decimals, at which one of the patches is kept: 0.8999 of 10, as 10 (1 - 0.9) is below 1. */
function largestRatio(patches: number): number {
  let tenThousandths = Math.floor((1 - 1 / patches) * 1e4);
  while (patches * (1 - tenThousandths / 1e4) < 1) tenThousandths--;
  return tenThousandths / 1e4;
}
