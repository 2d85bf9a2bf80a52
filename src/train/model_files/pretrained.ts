/** A masked autoencoder from a model on the disk, decoder and all, to mask and reconstruct with. */
import type { ComputeOptions } from "../../models/compute.ts";
import { asSize, createMae, type Mae, type MaeConfig } from "../../models/mae.ts";
import { resamplePositions } from "../../nn/resample_positions.ts";
import { toFloat32 } from "../../formats/dtypes.ts";
import type { Size } from "../../config/types.ts";
import type { State } from "../../nn/parameters.ts";
import { InputError } from "../../util/errors.ts";
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

/** How a masked autoencoder is opened. */
export interface OpenMaeOptions extends ComputeOptions {
  /** Another size of the images than it was trained on, [height, width]: both position embeddings are resampled. */
  readonly imageSize?: Size;
}

/**
 * Puts the masked autoencoder of a source on the open runtime. Whoever opened it disposes it.
 * @throws {InputError} as `maeConfigOf`, and when its tensors do not fit together, naming the file
 */
export async function openMae(
  source: ModelSource,
  { imageSize, ...compute }: OpenMaeOptions = {},
): Promise<Mae> {
  const config = maeConfigOf(source);
  const model = createModel(source.path, imageSize ? { ...config, imageSize } : config, compute);
  try {
    const state = await readState(source);
    if (imageSize) resampleState(state, config, model.grid);
    model.loadState(state);
    return model;
  } catch (error) {
    model.dispose();
    throw error instanceof InputError ? new InputError(`${source.path}: ${error.message}`) : error;
  }
}

function createModel(path: string, config: MaeConfig, compute: ComputeOptions): Mae {
  try {
    return createMae(config, compute);
  } catch (error) {
    throw error instanceof RangeError ? new InputError(`"${path}" cannot be used: ${error.message}`) : error;
  }
}

/** Puts the encoder's and the decoder's positions on another grid of patches; what does not fit is left to the loader. */
function resampleState(state: State, trained: MaeConfig, to: Size): void {
  const [image, patch] = [asSize(trained.imageSize), asSize(trained.patchSize)];
  const from: Size = [image[0] / patch[0], image[1] / patch[1]];
  for (
    const [name, { width }] of [["pos_embed", trained.encoder], [
      "decoder_pos_embed",
      trained.decoder,
    ]] as const
  ) {
    const stored = state.get(name);
    if (stored?.shape.join() !== [1, 1 + from[0] * from[1], width].join()) continue;
    const data = resamplePositions(toFloat32(stored), width, from, to);
    state.set(name, { shape: [1, 1 + to[0] * to[1], width], dtype: "F32", data });
  }
}
