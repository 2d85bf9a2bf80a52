/** The configuration of `mae linprobe`: layers in, one checked value out, and back to YAML. */

import { stringifyYaml } from "../deps/std.ts";
import { checkpointLayers } from "./checkpoint_encoder.ts";
import { checkClassifierJob } from "./classifier_checks.ts";
import { labelledDataFields } from "./classifier_fields.ts";
import { resolveLabelledData } from "./classifier_sections.ts";
import { encoderFields, presetField, shuffleFields } from "./common_fields.ts";
import { resolveEncoder, writtenEncoder } from "./common_sections.ts";
import type {
  ClassifierModelConfig,
  EncoderOfCheckpoint,
  LinprobeConfig,
  LinprobeOptimConfig,
} from "./finetune_types.ts";
import type { ConfigLayer } from "./layers.ts";
import {
  linprobeAugmentSection,
  linprobeFrom,
  linprobeModelFields,
  linprobeOptimFields,
  linprobeRunFields,
} from "./linprobe_fields.ts";
import { fieldsOf, resolveOptional, writtenOptional } from "./optional_section.ts";
import { type ConfigKey, describeField, type Field, merge, Settings, written } from "./settings.ts";

const fields: readonly Field<unknown>[] = [
  linprobeFrom,
  presetField,
  ...Object.values(encoderFields),
  ...Object.values(linprobeModelFields),
  ...Object.values(labelledDataFields),
  ...Object.values(shuffleFields),
  ...fieldsOf(linprobeAugmentSection),
  ...Object.values(linprobeOptimFields),
  ...Object.values(linprobeRunFields),
];

/** Every key of a linear probe's configuration with its type, default and purpose. */
export function linprobeKeys(): ConfigKey[] {
  return fields.map(describeField);
}

/**
 * The checkpoint that the layers start from, or null. It is read before the configuration is resolved, because sizes that
 * nobody gives are the checkpoint's.
 *
 * @throws {InputError} on the first unknown key or value of the wrong kind.
 */
export function linprobeCheckpoint(layers: readonly ConfigLayer[]): string | null {
  return new Settings(fields, layers).value(linprobeFrom);
}

/**
 * The configuration that the layers come to, each over the one before, all over what the checkpoint says of its encoder,
 * and that over the defaults: the paper's linear probe (table 10), but for its batches of 32 x 512.
 *
 * @param options what the checkpoint named by `from` says
 * @throws {InputError} naming the key, its value, its origin and what is allowed; also where sizes contradict the
 * checkpoint's.
 */
export function resolveLinprobeConfig(
  layers: readonly ConfigLayer[],
  { encoder }: { readonly encoder?: EncoderOfCheckpoint } = {},
): LinprobeConfig {
  const settings = new Settings(fields, [...checkpointLayers(encoder), ...layers]);
  const model = resolveModel(settings);
  const config: LinprobeConfig = {
    from: settings.value(linprobeFrom),
    model,
    data: {
      ...resolveLabelledData(settings, model),
      augment: resolveOptional(settings, linprobeAugmentSection),
    },
    optim: resolveOptim(settings),
    // Nothing is computed on the way back through frozen blocks, so nothing is recomputed.
    run: {
      ...settings.section(linprobeRunFields, { out: `runs/${model.encoderName}_linprobe` }),
      remat: false,
    },
  };
  checkClassifierJob(config, settings, encoder);
  return config;
}

function resolveModel(settings: Settings): ClassifierModelConfig {
  const { patchSize, ...encoder } = resolveEncoder(settings);
  return { ...encoder, ...settings.section(linprobeModelFields, { patchSize }) };
}

function resolveOptim(settings: Settings): LinprobeOptimConfig {
  const epochs = settings.value(linprobeOptimFields.epochs);
  return settings.section(linprobeOptimFields, { warmupEpochs: Math.min(10, epochs / 9) });
}

/** The configuration as YAML; `resolveLinprobeConfig` of it gives the same configuration. */
export function linprobeYaml(config: LinprobeConfig): string {
  const { model, data } = config;
  const sections = [
    written({ from: linprobeFrom }, config),
    writtenEncoder(model),
    written(linprobeModelFields, model),
    written(labelledDataFields, data),
    written(shuffleFields, data.shuffle),
    writtenOptional(linprobeAugmentSection, data.augment),
    written(linprobeOptimFields, config.optim),
    written(linprobeRunFields, config.run),
  ];
  return stringifyYaml(sections.reduce(merge), { flowLevel: 2, lineWidth: -1 });
}
