/** From a decoded image to the pixels of one fine-tuning example (timm's `create_transform`, up to the normalisation). */
import type { ColorJitterConfig, RandAugmentConfig, Size } from "../config/finetune_types.ts";
import type { AugmentConfig } from "../config/types.ts";
import { augmentForTraining } from "./augment.ts";
import { jitterColors } from "./color_jitter.ts";
import type { ImageWindow } from "../images/image.ts";
import { type AugmentDraws, fillColor, randAugment } from "./rand_augment.ts";

/** How fine-tuning augments an image. */
export interface FinetuneAugment extends AugmentConfig {
  /** RandAugment, or null to leave it out. */
  readonly randAugment: RandAugmentConfig | null;
  /** Colour jitter, or null; as in timm it stands back where there is RandAugment. */
  readonly colorJitter: ColorJitterConfig | null;
  /** Mean of the data set per channel, in [0, 1]: the colour that rotations and the like leave behind. */
  readonly mean: readonly number[];
}

/**
 * Resizing and flip of a random crop as in pre-training, then RandAugment or colour jitter on the resized pixels. Random erasing
 * and mixing come later, on normalised batches. Draws, in order: the flip, and those of the operations.
 * @returns pixels [height, width, channels], in `out` when given
 */
export function augmentForFinetuning(
  window: ImageWindow,
  size: Size,
  augment: FinetuneAugment,
  draws: AugmentDraws,
  out?: Uint8Array,
): Uint8Array {
  const data = augmentForTraining(window, size, augment, draws, out);
  const cropped = { data, height: size[0], width: size[1], channels: window.image.channels };
  const { randAugment: operations, colorJitter, mean } = augment;
  const augmented = operations !== null
    ? randAugment(cropped, operations, fillColor(mean), draws)
    : colorJitter !== null
    ? jitterColors(cropped, colorJitter, draws)
    : cropped;
  if (augmented !== cropped) data.set(augmented.data);
  return data;
}
