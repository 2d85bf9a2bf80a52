/** Loading an encoder that may fit in part only, and what is said then. */
import type { EncoderOfCheckpoint } from "../../config/finetune_types.ts";
import type { Size } from "../../config/types.ts";
import type { Classifier } from "../../models/classifier.ts";
import type { EncoderLoad } from "../../models/encoder_state.ts";
import { hasMisfits, listMisfits, type Misfits } from "../../nn/misfits.ts";
import { InputError } from "../../util/errors.ts";
import type { EncoderSource } from "./encoder_source.ts";

/** What to do about a checkpoint that does not fit. */
export const partialHint = "; --partial loads what fits";

/** A sentence on what was left out, or none where everything fitted. */
export function partSentence(misfits: Misfits): string[] {
  return hasMisfits(misfits) ? [`Loaded in part, the rest is as it was before: ${listMisfits(misfits)}`] : [];
}

/**
 * Copies a source's encoder into a classifier, or what of it fits where the source is to be loaded in part.
 * @throws {InputError} naming the file and what does not fit
 */
export function loadEncoderOf(
  model: Classifier,
  { path, state, encoder, partial }: EncoderSource,
): EncoderLoad {
  try {
    return model.loadEncoder(state, { grid: gridOf(encoder), partial });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`${path}: ${error.message}${partial ? "" : partialHint}`);
  }
}

/** Patches per column and row of the images that the encoder was trained on; undefined where nobody knows. */
function gridOf({ imageSize, patchSize }: EncoderOfCheckpoint): Size | undefined {
  return imageSize ? [imageSize[0] / patchSize[0], imageSize[1] / patchSize[1]] : undefined;
}
