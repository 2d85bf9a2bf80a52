/** The keys that fine-tuning and linear probing share beyond those of every training job. */

import { augmentFields, dataFields, imageFields, many, runFields } from "./common_fields.ts";
import { dataSource, either, number, oneOf, text, whole } from "./kinds.ts";
import { derived, type Field, field, withDefault, withDerivedDefault } from "./settings.ts";

/** `from`; `without` says what null means. */
export function fromField(without: string): Field<string | null> {
  return field(
    "from",
    either(text("the path of a checkpoint"), oneOf(null)),
    null,
    `the pre-trained encoder: a run, a checkpoint's folder or a file; null ${without}`,
  );
}

const oneOfCheckpoint = (fallback: string) => `the checkpoint's, else ${fallback}`;

/** The images and patches of `model:`. */
export const classifierImageFields = {
  patchSize: withDerivedDefault(imageFields.patchSize, oneOfCheckpoint(imageFields.patchSize.fallbackText)),
  imageSize: {
    ...imageFields.imageSize,
    fallbackText: oneOfCheckpoint(imageFields.imageSize.fallbackText),
    help: "side of the images in pixels after cropping; it may differ from the checkpoint's",
  },
  channels: {
    ...imageFields.channels,
    fallbackText: oneOfCheckpoint(imageFields.channels.fallbackText),
  },
  normEpsilon: {
    ...field("model.norm_epsilon", number({ from: 0, to: 1 }), 1e-6, "what layer norms add to the variance"),
    fallbackText: oneOfCheckpoint("1e-6"),
  },
};

/** `model.pooling` with the default of the job. */
export function poolingField(fallback: "average" | "class_token"): Field<"average" | "class_token"> {
  return field(
    "model.pooling",
    oneOf("average", "class_token"),
    fallback,
    "what the head reads: the average of the patch tokens, or the class token",
  );
}

/** `data.augment:` of the official fine-tuning and linear probe. */
export const cropFields = { ...augmentFields, cropScale: withDefault(augmentFields.cropScale, [0.08, 1]) };

/** The rest of `data:`. */
export const labelledDataFields = {
  ...dataFields,
  train: {
    ...dataFields.train,
    help:
      "folder with train and val (or test), each with a folder of images per class; or, with split, the latter; " +
      "or a table with labels (.csv, .tsv, .jsonl), or a list of these",
  },
  val: field(
    "data.val",
    either(
      dataSource("the path of a folder with a folder of images per class, or of a table with labels"),
      oneOf(null),
    ),
    null,
    "images to validate with, where data.train does not hold them",
  ),
  split: field(
    "data.split",
    either(number({ above: 0, below: 1 }), oneOf(null)),
    null,
    "share of each class's images to validate with, where there is no folder for it",
  ),
  cropShare: derived(
    "data.crop_share",
    number({ above: 0, to: 1 }),
    "224/256; 1 for images above 224 pixels",
    "share of the resized image's sides that is kept to validate with",
  ),
  mean: withDerivedDefault(dataFields.mean, oneOfCheckpoint(dataFields.mean.fallbackText)),
  std: withDerivedDefault(dataFields.std, oneOfCheckpoint(dataFields.std.fallbackText)),
};

/** `run:` */
export const evaluatedRunFields = {
  ...runFields,
  evaluateEvery: field("run.evaluate_every", whole(1, many), 1, "epochs between two evaluations"),
};
