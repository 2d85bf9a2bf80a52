/** Sections that every training job resolves and writes alike. */

import { encoderFields, presetField } from "./common_fields.ts";
import { presetNameOf, presets } from "./presets.ts";
import { type Settings, written } from "./settings.ts";
import type { ReadingOptions, Size, TransformerConfig } from "./types.ts";

/** The encoder as `model:` has it, and the patch size that its preset is published with. */
export interface ResolvedEncoder {
  /** Preset name, or "custom". */
  readonly encoderName: string;
  /** The blocks. */
  readonly encoder: TransformerConfig;
  /** Size of a patch in pixels, unless a layer says otherwise. */
  readonly patchSize: Size;
}

/** `model.encoder`: the preset, and over it the parts that are given. */
export function resolveEncoder(settings: Settings): ResolvedEncoder {
  const { patchSize, ...sizes } = presets[settings.value(presetField)];
  const encoder = settings.section(encoderFields, sizes);
  return { encoderName: presetNameOf(encoder), encoder, patchSize: [patchSize, patchSize] };
}

/** `model.encoder` as YAML has it: the preset's name, or the parts. */
export function writtenEncoder(model: { encoderName: string; encoder: TransformerConfig }): unknown {
  return model.encoderName in presets
    ? written({ encoderName: presetField }, model)
    : written(encoderFields, model.encoder);
}

/** Mean and deviation of each channel when none are given: ImageNet's for RGB, round numbers for gray and alpha. */
export function defaultStatistics(channels: number): { mean: number[]; std: number[] } {
  const known = channels < 3
    ? { mean: [], std: [] }
    : { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
  const others = channels - known.mean.length;
  return {
    mean: [...known.mean, ...Array<number>(others).fill(0.5)],
    std: [...known.std, ...Array<number>(others).fill(0.25)],
  };
}

/** How image files are taken, out of a configuration that says more. */
export function readingOf(
  { exif, values, bands, range, decoder, maxPixels }: ReadingOptions,
): ReadingOptions {
  return { exif, values, bands, range, decoder, maxPixels };
}

/**
 * What a checkpoint says of how its images were taken, where that is not the usual. `auto` is not kept: who uses the model may
 * show it deeper images, reduced to the 8 bits that it knows.
 */
export function unusualReading(
  { values, bands, range }: Partial<ReadingOptions>,
): Omit<Partial<ReadingOptions>, "exif"> {
  return { ...values === "float32" && { values }, ...bands && { bands }, ...range && { range } };
}
