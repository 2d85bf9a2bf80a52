/** The configuration of `mae pretrain`: layers in, one checked value out, and back to YAML. */

import { stringifyYaml } from "../deps/std.ts";
import {
  augmentFields,
  dataFields,
  encoderFields,
  optimFields,
  presetField,
  shuffleFields,
} from "./common_fields.ts";
import { defaultStatistics, resolveEncoder, writtenEncoder } from "./common_sections.ts";
import type { ConfigLayer } from "./layers.ts";
import { checkPretrain } from "./pretrain_checks.ts";
import { fieldsOf, resolveOptional } from "./optional_section.ts";
import {
  decoderFields,
  maskFields,
  modelFields,
  probeSection,
  runFields,
  targetFields,
} from "./pretrain_fields.ts";
import { type ConfigKey, describeField, type Field, merge, Settings, written } from "./settings.ts";
import type { DataConfig, ModelConfig, OptimConfig, PretrainConfig } from "./types.ts";

const fields: readonly Field<unknown>[] = [
  presetField,
  ...[encoderFields, modelFields, decoderFields, maskFields, targetFields]
    .flatMap((table): Field<unknown>[] => Object.values(table)),
  ...[dataFields, shuffleFields, augmentFields]
    .flatMap((table): Field<unknown>[] => Object.values(table)),
  ...Object.values(optimFields),
  ...Object.values(runFields),
  ...fieldsOf(probeSection),
];

/** Every key with its type, default and purpose. */
export function configKeys(): ConfigKey[] {
  return fields.map(describeField);
}

/**
 * The configuration that the layers come to, each over the one before, all over the defaults.
 *
 * @throws {InputError} naming the key, its value, its origin and what is allowed.
 */
export function resolvePretrainConfig(layers: readonly ConfigLayer[]): PretrainConfig {
  const settings = new Settings(fields, layers);
  const model = resolveModel(settings);
  const config: PretrainConfig = {
    model,
    mask: settings.section(maskFields),
    target: settings.section(targetFields),
    data: resolveData(settings, model.channels),
    optim: resolveOptim(settings),
    run: settings.section(runFields, { out: `runs/${model.encoderName}` }),
    probe: resolveOptional(settings, probeSection),
  };
  checkPretrain(config, settings);
  return config;
}

function resolveModel(settings: Settings): ModelConfig {
  const { patchSize, ...encoder } = resolveEncoder(settings);
  return {
    ...encoder,
    ...settings.section(modelFields, { patchSize }),
    decoder: settings.section(decoderFields),
  };
}

function resolveData(settings: Settings, channels: number): DataConfig {
  return {
    ...settings.section(dataFields, defaultStatistics(channels)),
    shuffle: settings.section(shuffleFields),
    augment: settings.section(augmentFields),
  };
}

function resolveOptim(settings: Settings): OptimConfig {
  const epochs = settings.value(optimFields.epochs);
  return settings.section(optimFields, { warmupEpochs: Math.min(40, epochs / 20) });
}

/** The configuration as YAML in the keys of the contract; `resolvePretrainConfig` of it gives the same configuration. */
export function toYaml(config: PretrainConfig): string {
  const { model, data } = config;
  const sections = [
    writtenEncoder(model),
    written(modelFields, model),
    written(decoderFields, model.decoder),
    written(maskFields, config.mask),
    written(targetFields, config.target),
    written(dataFields, data),
    written(shuffleFields, data.shuffle),
    written(augmentFields, data.augment),
    written(optimFields, config.optim),
    written(runFields, config.run),
    config.probe === null ? {} : written(probeSection.fields, config.probe),
  ];
  return stringifyYaml(sections.reduce(merge), { flowLevel: 2, lineWidth: -1 });
}
