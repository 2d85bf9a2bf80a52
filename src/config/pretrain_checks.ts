/** What must hold between the keys of a pre-training configuration. */

import {
  dataFields,
  decoderFields,
  encoderFields,
  maskFields,
  modelFields,
  optimFields,
} from "./pretrain_fields.ts";
import type { Settings } from "./settings.ts";
import type { ModelConfig, OptimConfig, PretrainConfig, TransformerConfig } from "./types.ts";

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
  checkStatistics(config, settings);
  checkSchedule(config.optim, settings);
}

/** The multiples of `step` around `value`, in words: "224 or 240". */
function multiplesAround(value: number, step: number): string {
  const below = Math.floor(value / step) * step;
  return below > 0 ? `${below} or ${below + step}` : String(step);
}

function checkTransformer(
  stack: TransformerConfig,
  fields: typeof encoderFields | typeof decoderFields,
  settings: Settings,
): void {
  const { width, heads, mlpRatio } = stack;
  if (width % 4 !== 0) {
    throw settings.conflict(
      fields.width,
      width,
      `must be a multiple of 4, as the position embedding needs, such as ${multiplesAround(width, 4)}`,
    );
  }
  if (width % heads !== 0) {
    const divisors = Array.from({ length: width }, (_, i) => i + 1).filter((n) => width % n === 0);
    const nearest = divisors.sort((a, b) => Math.abs(a - heads) - Math.abs(b - heads))[0];
    throw settings.conflict(
      fields.heads,
      heads,
      `must divide ${fields.width.key} ${width}; the nearest that does is ${nearest}`,
    );
  }
  if (!Number.isInteger(width * mlpRatio)) {
    const exact = width * mlpRatio;
    const rounded = +exact.toPrecision(6);
    const hidden = Number.isInteger(rounded) ? exact : rounded;
    throw settings.conflict(
      fields.mlpRatio,
      mlpRatio,
      `gives ${hidden} hidden units for ${fields.width.key} ${width}, which must be a whole number; ` +
        `the nearest ratio that gives one is ${wholeRatio(width, mlpRatio)}`,
    );
  }
}

/** The ratio nearest to the given one of which `width` times is exactly whole, in the same floating arithmetic. */
function wholeRatio(width: number, ratio: number): number {
  const hidden = Math.max(1, Math.round(width * ratio));
  for (let step = 0;; step++) {
    for (const candidate of [(hidden - step) / width, (hidden + step) / width]) {
      if (candidate > 0 && Number.isInteger(width * candidate)) return candidate;
    }
  }
}

function checkGrid({ imageSize, patchSize }: ModelConfig, settings: Settings): void {
  for (const [i, side] of ["height", "width"].entries()) {
    const patch = patchSize[i];
    if (imageSize[i] < patch) {
      throw settings.conflict(
        modelFields.imageSize,
        imageSize,
        `is smaller than one patch: its ${side} must be a multiple of model.patch_size ${patch}`,
      );
    }
    if (imageSize[i] % patch !== 0) {
      throw settings.conflict(
        modelFields.imageSize,
        imageSize,
        `must be a whole number of patches: its ${side} must be a multiple of model.patch_size ${patch}, such as ` +
          multiplesAround(imageSize[i], patch),
      );
    }
  }
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

function checkStatistics({ model, data }: PretrainConfig, settings: Settings): void {
  for (const name of ["mean", "std"] as const) {
    const count = data[name].length;
    if (count === model.channels) continue;
    throw settings.conflict(
      dataFields[name],
      data[name],
      `must have one number for each of the ${model.channels} channels (model.channels), not ${count}`,
    );
  }
}

function checkSchedule(optim: OptimConfig, settings: Settings): void {
  if (optim.warmupEpochs > optim.epochs) {
    throw settings.conflict(
      optimFields.warmupEpochs,
      optim.warmupEpochs,
      `must not be more than optim.epochs ${optim.epochs} (${settings.source(optimFields.epochs)})`,
    );
  }
  const peak = optim.lr ?? optim.blr * optim.batchSize * optim.accumulate / 256;
  if (optim.minLr > peak) {
    throw settings.conflict(
      optimFields.minLr,
      optim.minLr,
      `must not be more than the peak learning rate ${peak}`,
    );
  }
}
