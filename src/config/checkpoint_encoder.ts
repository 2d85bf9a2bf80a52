/** What the checkpoint says about its encoder, under what the configuration says. */

import { classifierImageFields } from "./classifier_fields.ts";
import { encoderFields, imageFields, presetField } from "./common_fields.ts";
import type { EncoderOfCheckpoint } from "./finetune_types.ts";
import { type ConfigLayer, isMapping, show } from "./layers.ts";
import { presetNameOf } from "./presets.ts";
import type { Settings } from "./settings.ts";
import type { Size, TransformerConfig } from "./types.ts";

/** The lowest layer: sizes and statistics that the checkpoint knows. */
export function checkpointLayers(checkpoint: EncoderOfCheckpoint | undefined): ConfigLayer[] {
  if (checkpoint === undefined) return [];
  const { encoder, patchSize, channels, imageSize, mean, std, reading, normEpsilon } = checkpoint;
  const values = {
    model: {
      encoder: encoderValues(encoder),
      patch_size: patchSize,
      channels,
      ...imageSize !== null && { image_size: imageSize },
      ...normEpsilon !== undefined && { norm_epsilon: normEpsilon },
    },
    data: { ...mean && { mean }, ...std && { std }, ...reading },
  };
  return [{ origin: "the checkpoint", values }];
}

function encoderValues({ width, depth, heads, mlpRatio }: TransformerConfig) {
  return { width, depth, heads, mlp_ratio: mlpRatio };
}

/** Sizes of a classifier that a checkpoint fixes. */
export interface FixedSizes {
  /** The blocks. */
  readonly encoder: TransformerConfig;
  /** Size of a patch in pixels. */
  readonly patchSize: Size;
  /** Values per pixel. */
  readonly channels: number;
  /** What every layer norm adds to the variance. */
  readonly normEpsilon: number;
}

/**
 * Refuses sizes that contradict the checkpoint's.
 *
 * @throws {InputError} naming the key to leave out, its value, its origin and what the checkpoint has.
 */
export function checkAgainstCheckpoint(
  model: FixedSizes,
  checkpoint: EncoderOfCheckpoint | undefined,
  settings: Settings,
): void {
  if (checkpoint === undefined) return;
  checkEncoder(model.encoder, checkpoint.encoder, settings);
  const { patchSize, channels } = imageFields;
  if (show(model.patchSize) !== show(checkpoint.patchSize)) {
    const has = show(patchSize.kind.write(checkpoint.patchSize));
    throw settings.conflict(patchSize, model.patchSize, contradiction(`was trained with ${has}`));
  }
  if (model.channels !== checkpoint.channels) {
    const has = checkpoint.channels;
    throw settings.conflict(channels, model.channels, contradiction(`was trained with ${has}`));
  }
  const { normEpsilon } = classifierImageFields;
  if (checkpoint.normEpsilon !== undefined && model.normEpsilon !== checkpoint.normEpsilon) {
    throw settings.conflict(
      normEpsilon,
      model.normEpsilon,
      contradiction(`was trained with ${checkpoint.normEpsilon}`),
    );
  }
}

function contradiction(has: string): string {
  return `contradicts the checkpoint, whose encoder ${has}; leave the key out, or the configuration file that has it`;
}

function checkEncoder(own: TransformerConfig, wanted: TransformerConfig, settings: Settings): void {
  for (const name of ["width", "depth", "heads", "mlpRatio"] as const) {
    if (isSame(name, own, wanted)) continue;
    const field = encoderFields[name];
    if (settings.given(field) !== undefined) {
      throw settings.conflict(
        field,
        own[name],
        contradiction(`has ${wanted[name]}`),
      );
    }
    const preset = presetNameOf(wanted);
    throw settings.conflict(
      presetField,
      settings.value(presetField),
      contradiction(`is ${preset === "custom" ? show(encoderValues(wanted)) : preset}`),
    );
  }
}

/** Ratios may differ in their last bits where both come to the same hidden units. */
function isSame(name: keyof TransformerConfig, own: TransformerConfig, wanted: TransformerConfig): boolean {
  if (name !== "mlpRatio") return own[name] === wanted[name];
  return Math.abs(own.width * own.mlpRatio - wanted.width * wanted.mlpRatio) < 1e-3;
}

/** `model.encoder.heads` where a layer says it: a file of tensors alone does not. */
export function headsIn(layers: readonly ConfigLayer[]): number | undefined {
  const heads = layers.map(({ values }) => {
    const model = isMapping(values) && isMapping(values.model) ? values.model : {};
    return isMapping(model.encoder) ? model.encoder.heads : undefined;
  }).findLast((given) => given !== undefined);
  return typeof heads === "number" ? heads : undefined;
}
