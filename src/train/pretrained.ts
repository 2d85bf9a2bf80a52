/** A masked autoencoder from a model on the disk, decoder and all, to mask and reconstruct with. */
import type { ComputeOptions } from "../models/compute.ts";
import { createMae, type Mae, type MaeConfig } from "../models/mae.ts";
import { InputError } from "../util/errors.ts";
import { decoderOf, encoderOf, type ModelSource, readState } from "./model_source.ts";

/**
 * The configuration of the masked autoencoder that a source holds.
 * @throws {InputError} when it has no decoder, or does not say its heads or the size of its images
 */
export function maeConfigOf(source: ModelSource): MaeConfig {
  const { path, architecture: { patchSize, channels }, facts } = source;
  const { imageSize, normalizeTarget, normEpsilon, maskTokens } = facts;
  const decoder = decoderOf(source);
  if (decoder === null) {
    throw new InputError(
      `"${path}" has no decoder: give a checkpoint of mae pretrain, the official visualisation or training checkpoint, ` +
        "or a Hugging Face folder of ViTMAEForPreTraining",
    );
  }
  if (imageSize === null) throw new InputError(`"${path}" does not say how large its images are`);
  return {
    encoder: encoderOf(source),
    decoder,
    patchSize,
    channels,
    imageSize,
    normalizeTarget,
    normEpsilon,
    maskTokens,
  };
}

/**
 * Puts the masked autoencoder of a source on the open runtime. Whoever opened it disposes it.
 * @throws {InputError} as `maeConfigOf`, and when its tensors do not fit together, naming the file
 */
export async function openMae(source: ModelSource, compute: ComputeOptions = {}): Promise<Mae> {
  const model = createModel(source, compute);
  try {
    model.loadState(await readState(source));
    return model;
  } catch (error) {
    model.dispose();
    throw error instanceof InputError ? new InputError(`${source.path}: ${error.message}`) : error;
  }
}

function createModel(source: ModelSource, compute: ComputeOptions): Mae {
  const config = maeConfigOf(source);
  try {
    return createMae(config, compute);
  } catch (error) {
    throw error instanceof RangeError
      ? new InputError(`"${source.path}" cannot be used: ${error.message}`)
      : error;
  }
}
