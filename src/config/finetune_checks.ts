/** What must hold between the keys of a fine-tuning configuration. */

import { checkClassifierJob } from "./classifier_checks.ts";
import {
  colorJitterSection,
  finetuneModelFields,
  finetuneOptimFields,
  randAugmentSection,
} from "./finetune_fields.ts";
import type { EncoderOfCheckpoint, FinetuneConfig } from "./finetune_types.ts";
import { sectionConflict } from "./optional_section.ts";
import type { Settings } from "./settings.ts";

/**
 * Refuses values that are each possible but not together, or not with the checkpoint.
 *
 * @throws {InputError} naming the key to change, its value, its origin and what would do.
 */
export function checkFinetune(
  config: FinetuneConfig,
  settings: Settings,
  checkpoint: EncoderOfCheckpoint | undefined,
): void {
  checkClassifierJob(config, settings, checkpoint);
  checkTrainBlocks(config, settings);
  checkColors(config, settings);
  checkDepth(config, settings);
  checkMix(config, settings);
}

function checkTrainBlocks({ model }: FinetuneConfig, settings: Settings): void {
  const { trainBlocks, encoder: { depth } } = model;
  if (trainBlocks === "all" || trainBlocks <= depth) return;
  throw settings.conflict(
    finetuneModelFields.trainBlocks,
    trainBlocks,
    `is more than the encoder has (model.encoder.depth ${depth}); it can be 0, 0.5, a whole number up to ${depth}, or all`,
  );
}

/** In timm colour jitter silently stands back; whoever asks for it should know. */
function checkColors({ data: { augment } }: FinetuneConfig, settings: Settings): void {
  if (augment.colorJitter === null || augment.randAugment === null) return;
  throw sectionConflict(
    settings,
    colorJitterSection,
    "stands back where there is RandAugment; set data.augment.rand_augment to none, or leave colour jitter out",
  );
}

/** RandAugment and colour jitter are Pillow's, on bytes of gray or RGB. */
function checkDepth(
  { model: { channels }, data: { augment, values } }: FinetuneConfig,
  settings: Settings,
): void {
  const section = augment.randAugment !== null
    ? randAugmentSection
    : augment.colorJitter !== null
    ? colorJitterSection
    : null;
  const isDeep = values === "float32";
  if (section === null || (!isDeep && [1, 3, 4].includes(channels))) return;
  throw sectionConflict(
    settings,
    section,
    `changes 8-bit gray or RGB images, and ${
      isDeep ? "data.values is float32" : `model.channels is ${channels}`
    }; ` +
      `set ${section.toggle.key} to none`,
  );
}

/** An odd batch leaves its middle image as it is; a batch of one would never mix anything. */
function checkMix({ mix, optim }: FinetuneConfig, settings: Settings): void {
  const isMixed = mix.probability > 0 && (mix.mixup > 0 || mix.cutmix > 0);
  if (!isMixed || optim.batchSize > 1) return;
  throw settings.conflict(
    finetuneOptimFields.batchSize,
    optim.batchSize,
    "leaves no other image to mix with; it must be at least 2, or mix.probability 0",
  );
}
