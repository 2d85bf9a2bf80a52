/** The configuration of `mae pretrain`: layers in, one checked value out, and back to YAML. */

import { stringifyYaml } from "../deps/std.ts";
import type { ConfigLayer } from "./layers.ts";
import { presetNameOf, presets } from "./presets.ts";
import { checkPretrain } from "./pretrain_checks.ts";
import {
  augmentFields,
  dataFields,
  decoderFields,
  encoderFields,
  maskFields,
  modelFields,
  optimFields,
  presetField,
  runFields,
  targetFields,
} from "./pretrain_fields.ts";
import { type ConfigKey, describeField, type Field, merge, Settings, written } from "./settings.ts";
import type { DataConfig, ModelConfig, OptimConfig, PretrainConfig } from "./types.ts";

const fields: readonly Field<unknown>[] = [
  presetField,
  ...[encoderFields, modelFields, decoderFields, maskFields, targetFields, dataFields, augmentFields]
    .flatMap((table): Field<unknown>[] => Object.values(table)),
  ...Object.values(optimFields),
  ...Object.values(runFields),
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
  };
  checkPretrain(config, settings);
  return config;
}

function resolveModel(settings: Settings): ModelConfig {
  const { patchSize, ...sizes } = presets[settings.value(presetField)];
  const encoder = settings.section(encoderFields, sizes);
  return {
    encoderName: presetNameOf(encoder),
    encoder,
    ...settings.section(modelFields, { patchSize: [patchSize, patchSize] }),
    decoder: settings.section(decoderFields),
  };
}

function resolveData(settings: Settings, channels: number): DataConfig {
  return {
    ...settings.section(dataFields, defaultStatistics(channels)),
    augment: settings.section(augmentFields),
  };
}

/** Mean and deviation of each channel when none are given: ImageNet's for RGB, round numbers for gray and alpha. */
function defaultStatistics(channels: number): { mean: number[]; std: number[] } {
  const known = channels < 3
    ? { mean: [], std: [] }
    : { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
  const others = channels - known.mean.length;
  return {
    mean: [...known.mean, ...Array<number>(others).fill(0.5)],
    std: [...known.std, ...Array<number>(others).fill(0.25)],
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
    model.encoderName in presets
      ? written({ encoderName: presetField }, model)
      : written(encoderFields, model.encoder),
    written(modelFields, model),
    written(decoderFields, model.decoder),
    written(maskFields, config.mask),
    written(targetFields, config.target),
    written(dataFields, data),
    written(augmentFields, data.augment),
    written(optimFields, config.optim),
    written(runFields, config.run),
  ];
  return stringifyYaml(sections.reduce(merge), { flowLevel: 2, lineWidth: -1 });
}
