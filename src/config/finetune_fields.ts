/** The keys of a fine-tuning configuration. Help, checks and defaults all come from these tables. */

import {
  classifierImageFields,
  cropFields,
  evaluatedRunFields,
  fromField,
  poolingField,
} from "./classifier_fields.ts";
import { optimFields } from "./common_fields.ts";
import { defaultColorJitter, officialErasing, officialMix, officialRandAugment } from "./finetune_types.ts";
import { either, type Kind, number, oneOf, pair, whole } from "./kinds.ts";
import { type OptionalSection, optionalSection } from "./optional_section.ts";
import { derived, type Field, field, withDerivedDefault } from "./settings.ts";

const share = number({ from: 0, to: 1 });

/** `from` */
export const finetuneFrom: Field<string | null> = fromField("trains from scratch");

const trainBlocks: Kind<number | "all"> = {
  ...either(either(oneOf(0, 0.5), whole(1, 1000)), oneOf("all")),
  allowed: "all, 0, 0.5 (the MLP half of the last block) or a whole number of blocks",
};

/** The rest of `model:`. */
export const finetuneModelFields = {
  ...classifierImageFields,
  pooling: poolingField("average"),
  dropPath: field(
    "model.drop_path",
    number({ from: 0, below: 1 }),
    0.1,
    "rate at which the last block's branches are left out; it rises from 0 in the first",
  ),
  trainBlocks: field("model.train_blocks", trainBlocks, "all", "how many of the last blocks are trained"),
};

/** `data.augment:`, but for what can be left out. */
export const finetuneAugmentFields: typeof cropFields = cropFields;

const random = officialRandAugment;

/** The keys of `data.augment.rand_augment:` */
export const randAugmentFields = {
  operations: field(
    "data.augment.rand_augment.operations",
    whole(1, 100),
    random.operations,
    "operations drawn for an image",
  ),
  magnitude: field(
    "data.augment.rand_augment.magnitude",
    number({ from: 0, to: 10 }),
    random.magnitude,
    "their mean strength",
  ),
  deviation: field(
    "data.augment.rand_augment.deviation",
    number({ from: 0, to: 100 }),
    random.deviation,
    "standard deviation of their strength",
  ),
  probability: field(
    "data.augment.rand_augment.probability",
    share,
    random.probability,
    "chance that a drawn operation is carried out",
  ),
  interpolation: field(
    "data.augment.rand_augment.interpolation",
    oneOf("bilinear", "bicubic", "random"),
    random.interpolation,
    "how rotations, shears and translations are resampled",
  ),
};

/** `data.augment.rand_augment:` */
export const randAugmentSection: OptionalSection<typeof randAugmentFields> = optionalSection(
  "data.augment.rand_augment",
  randAugmentFields,
  "default",
  "RandAugment; none leaves it out",
);

const strength = (name: "brightness" | "contrast" | "saturation") =>
  field(
    `data.augment.color_jitter.${name}`,
    number({ from: 0, to: 100 }),
    defaultColorJitter[name],
    `how far the factor of ${name} strays from 1`,
  );

/** The keys of `data.augment.color_jitter:` */
export const colorJitterFields = {
  brightness: strength("brightness"),
  contrast: strength("contrast"),
  saturation: strength("saturation"),
};

/** `data.augment.color_jitter:` */
export const colorJitterSection: OptionalSection<typeof colorJitterFields> = optionalSection(
  "data.augment.color_jitter",
  colorJitterFields,
  "none",
  "colour jitter, in place of RandAugment",
);

/** The keys of `data.augment.erasing:` */
export const erasingFields = {
  probability: field(
    "data.augment.erasing.probability",
    share,
    officialErasing.probability,
    "chance that an image loses a rectangle",
  ),
  area: {
    ...field(
      "data.augment.erasing.area",
      pair({ above: 0, to: 1 }, true),
      officialErasing.area,
      "area of the rectangle as a share of the image's",
    ),
    fallbackText: "[0.02, 1/3]",
  },
  aspect: {
    ...field(
      "data.augment.erasing.aspect",
      pair({ above: 0, to: 1000 }, true),
      officialErasing.aspect,
      "height over width of the rectangle",
    ),
    fallbackText: "[0.3, 1/0.3]",
  },
};

/** `data.augment.erasing:` */
export const erasingSection: OptionalSection<typeof erasingFields> = optionalSection(
  "data.augment.erasing",
  erasingFields,
  "default",
  "random erasing; none leaves it out",
);

const beta = number({ from: 0, to: 1000 });

/** `mix:` */
export const mixFields = {
  mixup: field("mix.mixup", beta, officialMix.mixup, "parameter of mixup's beta distribution; 0 is off"),
  cutmix: field("mix.cutmix", beta, officialMix.cutmix, "parameter of CutMix's beta distribution; 0 is off"),
  probability: field("mix.probability", share, officialMix.probability, "chance that a batch is mixed"),
  switchProbability: field(
    "mix.switch_probability",
    share,
    officialMix.switchProbability,
    "chance of CutMix where both are on",
  ),
  labelSmoothing: field(
    "mix.label_smoothing",
    number({ from: 0, below: 1 }),
    officialMix.labelSmoothing,
    "share of a label that is spread over all classes",
  ),
};

/** `optim:` */
export const finetuneOptimFields = {
  ...optimFields,
  epochs: withDerivedDefault(optimFields.epochs, "100; 300 from scratch"),
  warmupEpochs: withDerivedDefault(
    optimFields.warmupEpochs,
    "a tenth of epochs, at most 5; at most 20 from scratch",
  ),
  blr: withDerivedDefault(optimFields.blr, "5e-4; 1e-4 from scratch"),
  minLr: withDerivedDefault(optimFields.minLr, "1e-6, or the highest where that is less"),
  betas: withDerivedDefault(optimFields.betas, "[0.9, 0.999]; [0.9, 0.95] from scratch"),
  weightDecay: withDerivedDefault(optimFields.weightDecay, "0.05; 0.3 from scratch"),
  layerDecay: derived(
    "optim.layer_decay",
    number({ above: 0, to: 1 }),
    "0.65; 1 from scratch",
    "factor of the learning rate from one layer to the one before it",
  ),
  ema: derived(
    "optim.ema",
    either(number({ above: 0, below: 1 }), oneOf(null)),
    "null; 0.9999 from scratch",
    "decay of the moving average of the parameters, which is then evaluated; null keeps none",
  ),
};

/** `run:` */
export const finetuneRunFields = {
  ...evaluatedRunFields,
  out: withDerivedDefault(
    evaluatedRunFields.out,
    "runs/ and the encoder's name with _finetune or _scratch",
  ),
};
