/** What must hold between the keys that fine-tuning and linear probing share. */

import { checkAgainstCheckpoint } from "./checkpoint_encoder.ts";
import {
  checkGrid,
  checkReading,
  checkSchedule,
  checkStatistics,
  checkTransformer,
  type ScheduleConfig,
} from "./common_checks.ts";
import { encoderFields } from "./common_fields.ts";
import type { ClassifierModelConfig, EncoderOfCheckpoint, LabelledDataConfig } from "./finetune_types.ts";
import type { Settings } from "./settings.ts";

/** A configuration of either job, as far as both are checked alike. */
export interface ClassifierJobConfig {
  /** The classifier. */
  readonly model: ClassifierModelConfig;
  /** The images. */
  readonly data: LabelledDataConfig;
  /** The schedule. */
  readonly optim: ScheduleConfig;
}

/**
 * Refuses values that are each possible but not together, or not with the checkpoint.
 *
 * @throws {InputError} naming the key to change, its value, its origin and what would do.
 */
export function checkClassifierJob(
  config: ClassifierJobConfig,
  settings: Settings,
  checkpoint: EncoderOfCheckpoint | undefined,
): void {
  checkAgainstCheckpoint(config.model, checkpoint, settings);
  checkTransformer(config.model.encoder, encoderFields, settings);
  checkGrid(config.model, settings);
  checkReading(config, settings);
  checkStatistics(config, settings);
  checkSchedule(config.optim, settings);
}
