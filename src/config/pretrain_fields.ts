/** The keys that only a pre-training configuration has, and its sections. */

import { imageFields, many, runFields as commonRunFields } from "./common_fields.ts";
import { either, number, oneOf, text, truth, whole } from "./kinds.ts";
import { type OptionalSection, optionalSection } from "./optional_section.ts";
import { derived, field } from "./settings.ts";

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

const wantsLabels = (value: unknown): string =>
  value === undefined ? "give a folder with train and val, each with a folder of images per class" : "";

/** The keys of `probe:`. */
export const probeFields = {
  data: derived(
    "probe.data",
    text("the path of a folder of labelled images"),
    "none",
    "labelled images to look at: train and val, or folders of classes with probe.split",
    wantsLabels,
  ),
  split: field(
    "probe.split",
    either(number({ above: 0, below: 1 }), oneOf(null)),
    null,
    "share of each class's images to classify, where there is no folder for it",
  ),
  every: field("probe.every", whole(1, many), 10, "epochs between two looks"),
  k: field("probe.k", whole(1, many), 20, "nearest neighbours that vote"),
  pooling: field(
    "probe.pooling",
    oneOf("class_token", "average"),
    "class_token",
    "what is compared: the class token, or the average of the patch tokens",
  ),
};

/** `probe:` */
export const probeSection: OptionalSection<typeof probeFields> = optionalSection(
  "probe",
  probeFields,
  "none",
  "whether features are tried on labelled images now and then; it costs time and changes no weight",
);

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
