/** The keys that only a pre-training configuration has, and its sections. */

import { imageFields, runFields as commonRunFields } from "./common_fields.ts";
import { number, oneOf, truth, whole } from "./kinds.ts";
import { field } from "./settings.ts";

const noBlocks = (value: unknown): string =>
  value === 0 ? "a linear decoder, one without blocks, is not supported; the smallest depth is 1" : "";

/** `model.decoder` */
export const decoderFields = {
  width: field("model.decoder.width", whole(4, 65536), 512, "token width of the decoder"),
  depth: { ...field("model.decoder.depth", whole(1, 1000), 8, "blocks of the decoder"), advice: noBlocks },
  heads: field("model.decoder.heads", whole(1, 65536), 16, "attention heads of the decoder"),
  mlpRatio: field(
    "model.decoder.mlp_ratio",
    number({ above: 0, to: 64 }),
    4,
    "hidden width of the decoder's MLPs over its width",
  ),
};

/** The rest of `model:`. */
export const modelFields = {
  ...imageFields,
  maskTokens: field(
    "model.mask_tokens",
    oneOf("decoder", "encoder"),
    "decoder",
    "where mask tokens enter: encoder is the slower, weaker ablation of the paper",
  ),
};

/** `mask:` */
export const maskFields = {
  ratio: field("mask.ratio", number({ above: 0, below: 1 }), 0.75, "share of the patches that is removed"),
  sampling: field("mask.sampling", oneOf("random", "block", "grid"), "random", "which patches are removed"),
};

/** `target:` */
export const targetFields = {
  kind: field("target.kind", oneOf("pixels"), "pixels", "what the decoder predicts"),
  normalize: field(
    "target.normalize",
    truth(),
    true,
    "normalise each patch of the target by its own mean and deviation",
  ),
};

/** `run:` */
export const runFields = {
  ...commonRunFields,
  figureImages: field(
    "run.figure_images",
    whole(0, 64),
    6,
    "images in the reconstruction figure; 0 draws none",
  ),
};
