/** What must hold between the keys that every training job has. */

import { InputError } from "../util/errors.ts";
import { dataFields, imageFields, optimFields } from "./common_fields.ts";
import type { Field, Settings } from "./settings.ts";
import type { DataConfig, OptimConfig, ReadingConfig, Size, TransformerConfig } from "./types.ts";

/** The multiples of `step` around `value`, in words: "224 or 240". */
function multiplesAround(value: number, step: number): string {
  const below = Math.floor(value / step) * step;
  return below > 0 ? `${below} or ${below + step}` : String(step);
}

/** The keys of one stack of blocks. */
export type StackFields = { readonly [Name in keyof TransformerConfig]: Field<number> };

/**
 * Refuses sizes of blocks that do not go together.
 *
 * @throws {InputError} naming the key to change, its value, its origin and what would do.
 */
export function checkTransformer(
  stack: TransformerConfig,
  fields: StackFields,
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

/**
 * Refuses an image that is not a whole number of patches.
 *
 * @throws {InputError} likewise.
 */
export function checkGrid(
  { imageSize, patchSize }: { imageSize: Size; patchSize: Size },
  settings: Settings,
): void {
  for (const [i, side] of ["height", "width"].entries()) {
    const patch = patchSize[i];
    if (imageSize[i] < patch) {
      throw settings.conflict(
        imageFields.imageSize,
        imageSize,
        `is smaller than one patch: its ${side} must be a multiple of model.patch_size ${patch}`,
      );
    }
    if (imageSize[i] % patch !== 0) {
      throw settings.conflict(
        imageFields.imageSize,
        imageSize,
        `must be a whole number of patches: its ${side} must be a multiple of model.patch_size ${patch}, such as ` +
          multiplesAround(imageSize[i], patch),
      );
    }
  }
}

/**
 * Refuses a mean or deviation that is not one number for each channel.
 *
 * @throws {InputError} likewise.
 */
export function checkStatistics(
  { model, data }: { model: { channels: number }; data: Pick<DataConfig, "mean" | "std"> },
  settings: Settings,
): void {
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

/**
 * Refuses bands and ranges that cannot be, and images for which nobody can guess mean and deviation where they are not given.
 *
 * @throws {InputError} likewise.
 */
export function checkReading(
  { model: { channels }, data }: {
    model: { channels: number };
    data: ReadingConfig & Pick<DataConfig, "mean" | "std">;
  },
  settings: Settings,
): void {
  const { bands, range } = data;
  if (bands !== null && bands.length !== channels) {
    throw settings.conflict(
      dataFields.bands,
      bands,
      `must name as many bands as there are channels (model.channels ${channels}), not ${bands.length}`,
    );
  }
  if (range !== null && range[0] === range[1]) {
    throw settings.conflict(dataFields.range, range, "must be two numbers that differ");
  }
  const why = bands !== null
    ? "data.bands chooses bands"
    : range !== null
    ? "data.range is given"
    : ![1, 3, 4].includes(channels)
    ? `model.channels is ${channels}`
    : null;
  for (const name of ["mean", "std"] as const) {
    if (why === null || settings.given(dataFields[name]) !== undefined) continue;
    throw new InputError(`${dataFields[name].key} must be given where ${why}; mae stats measures it`);
  }
}

/** What the learning rate over training follows from. */
export type ScheduleConfig = Pick<
  OptimConfig,
  "batchSize" | "accumulate" | "epochs" | "warmupEpochs" | "blr" | "lr" | "minLr"
>;

/**
 * Refuses a warm-up longer than the training and a last learning rate above the highest.
 *
 * @throws {InputError} likewise.
 */
export function checkSchedule(optim: ScheduleConfig, settings: Settings): void {
  if (optim.warmupEpochs > optim.epochs) {
    throw settings.conflict(
      optimFields.warmupEpochs,
      optim.warmupEpochs,
      `must not be more than optim.epochs ${optim.epochs} (${
        settings.source(optimFields.epochs)
      }); lower it with --set optim.warmup_epochs=N`,
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
