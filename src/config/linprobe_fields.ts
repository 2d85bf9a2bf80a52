/** The keys of a linear probe's configuration. Help, checks and defaults all come from these tables. */

import {
  classifierImageFields,
  cropFields,
  evaluatedRunFields,
  fromField,
  poolingField,
} from "./classifier_fields.ts";
import { optimFields } from "./common_fields.ts";
import { number } from "./kinds.ts";
import { type OptionalSection, optionalSection } from "./optional_section.ts";
import { type Field, field, withDefault, withDerivedDefault } from "./settings.ts";

/** `from` */
export const linprobeFrom: Field<string | null> = fromField(
  "probes an encoder of random weights, for comparison",
);

/** The rest of `model:`. */
export const linprobeModelFields = { ...classifierImageFields, pooling: poolingField("class_token") };

/** `data.augment:` */
export const linprobeAugmentSection: OptionalSection<typeof cropFields> = optionalSection(
  "data.augment",
  cropFields,
  "default",
  "what is done to an image each time it is drawn; none computes features once, as for validation",
);

const { batchSize, accumulate, epochs, warmupEpochs, blr, lr, minLr, weightDecay } = optimFields;

/** `optim:` */
export const linprobeOptimFields = {
  batchSize: { ...withDefault(batchSize, 512), help: "images computed and normalised at once" },
  accumulate,
  epochs: withDefault(epochs, 90),
  warmupEpochs: withDerivedDefault(warmupEpochs, "a ninth of epochs, at most 10"),
  blr: withDefault(blr, 0.1),
  lr,
  minLr,
  weightDecay: { ...withDefault(weightDecay, 0), help: "weight decay of LARS" },
  momentum: field("optim.momentum", number({ from: 0, below: 1 }), 0.9, "momentum of LARS"),
};

const { remat: _nothingGoesBack, ...runFields } = evaluatedRunFields;

/** `run:` */
export const linprobeRunFields = {
  ...runFields,
  out: withDerivedDefault(runFields.out, "runs/ and the encoder's name with _linprobe"),
};
