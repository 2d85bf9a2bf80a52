/** The configuration of `mae finetune`: layers in, one checked value out, and back to YAML. */

import { stringifyYaml } from "../deps/std.ts";
import { checkpointLayers } from "./checkpoint_encoder.ts";
import { labelledDataFields } from "./classifier_fields.ts";
import { resolveLabelledData } from "./classifier_sections.ts";
import { encoderFields, presetField, shuffleFields } from "./common_fields.ts";
import { resolveEncoder, writtenEncoder } from "./common_sections.ts";
import { checkFinetune } from "./finetune_checks.ts";
import {
  colorJitterSection,
  erasingSection,
  finetuneAugmentFields,
  finetuneFrom,
  finetuneModelFields,
  finetuneOptimFields,
  finetuneRunFields,
  mixFields,
  randAugmentSection,
} from "./finetune_fields.ts";
import type {
  EncoderOfCheckpoint,
  FinetuneAugmentConfig,
  FinetuneConfig,
  FinetuneModelConfig,
  FinetuneOptimConfig,
} from "./finetune_types.ts";
import type { ConfigLayer } from "./layers.ts";
import { fieldsOf, resolveOptional, writtenOptional } from "./optional_section.ts";
import { type ConfigKey, describeField, type Field, merge, Settings, written } from "./settings.ts";

const fields: readonly Field<unknown>[] = [
  finetuneFrom,
  presetField,
  ...Object.values(encoderFields),
  ...Object.values(finetuneModelFields),
  ...Object.values(labelledDataFields),
  ...Object.values(shuffleFields),
  ...Object.values(finetuneAugmentFields),
  ...[randAugmentSection, colorJitterSection, erasingSection].flatMap(fieldsOf),
  ...Object.values(mixFields),
  ...Object.values(finetuneOptimFields),
  ...Object.values(finetuneRunFields),
];

/** Every key of a fine-tuning configuration with its type, default and purpose. */
export function finetuneKeys(): ConfigKey[] {
  return fields.map(describeField);
}

/**
 * The checkpoint that the layers start from, or null. It is read before the configuration is resolved, because sizes that
 * nobody gives are the checkpoint's.
 *
 * @throws {InputError} on the first unknown key or value of the wrong kind.
 */
export function finetuneCheckpoint(layers: readonly ConfigLayer[]): string | null {
  return new Settings(fields, layers).value(finetuneFrom);
}

/**
 * The configuration that the layers come to, each over the one before, all over what the checkpoint says of its encoder,
 * and that over the defaults: the paper's fine-tuning of ViT-B, or its training from scratch where `from` is null.
 *
 * @param options what the checkpoint named by `from` says
 * @throws {InputError} naming the key, its value, its origin and what is allowed; also where sizes contradict the
 * checkpoint's.
 */
export function resolveFinetuneConfig(
  layers: readonly ConfigLayer[],
  { encoder }: { readonly encoder?: EncoderOfCheckpoint } = {},
): FinetuneConfig {
  const settings = new Settings(fields, [...checkpointLayers(encoder), ...layers]);
  const from = settings.value(finetuneFrom);
  const model = resolveModel(settings);
  const config: FinetuneConfig = {
    from,
    model,
    data: { ...resolveLabelledData(settings, model), augment: resolveAugment(settings) },
    mix: settings.section(mixFields),
    optim: resolveOptim(settings, from),
    run: settings.section(finetuneRunFields, {
      out: `runs/${model.encoderName}_${from === null ? "scratch" : "finetune"}`,
    }),
  };
  checkFinetune(config, settings, encoder);
  return config;
}

function resolveModel(settings: Settings): FinetuneModelConfig {
  const { patchSize, ...encoder } = resolveEncoder(settings);
  return { ...encoder, ...settings.section(finetuneModelFields, { patchSize }) };
}

function resolveAugment(settings: Settings): FinetuneAugmentConfig {
  return {
    ...settings.section(finetuneAugmentFields),
    randAugment: resolveOptional(settings, randAugmentSection),
    colorJitter: resolveOptional(settings, colorJitterSection),
    erasing: resolveOptional(settings, erasingSection),
  };
}

/** The paper's table 9 with the official code's rates for ViT-B; from scratch its table 11. */
function resolveOptim(settings: Settings, from: string | null): FinetuneOptimConfig {
  const recipe = from === null
    ? { epochs: 300, blr: 1e-4, betas: [0.9, 0.95], weightDecay: 0.3, layerDecay: 1, ema: 0.9999 } as const
    : {
      epochs: 100,
      blr: 5e-4,
      betas: [0.9, 0.999],
      weightDecay: 0.05,
      layerDecay: 0.65,
      ema: null,
    } as const;
  const epochs = settings.value(finetuneOptimFields.epochs, recipe.epochs);
  const warmupEpochs = Math.min(from === null ? 20 : 5, epochs / 10);
  const optim = settings.section(finetuneOptimFields, { ...recipe, warmupEpochs, minLr: 0 });
  const peak = optim.lr ?? optim.blr * optim.batchSize * optim.accumulate / 256;
  return { ...optim, minLr: settings.value(finetuneOptimFields.minLr, Math.min(1e-6, peak)) };
}

/** The configuration as YAML; `resolveFinetuneConfig` of it gives the same configuration. */
export function finetuneYaml(config: FinetuneConfig): string {
  const { model, data } = config;
  const sections = [
    written({ from: finetuneFrom }, config),
    writtenEncoder(model),
    written(finetuneModelFields, model),
    written(labelledDataFields, data),
    written(shuffleFields, data.shuffle),
    written(finetuneAugmentFields, data.augment),
    writtenOptional(randAugmentSection, data.augment.randAugment),
    writtenOptional(colorJitterSection, data.augment.colorJitter),
    writtenOptional(erasingSection, data.augment.erasing),
    written(mixFields, config.mix),
    written(finetuneOptimFields, config.optim),
    written(finetuneRunFields, config.run),
  ];
  return stringifyYaml(sections.reduce(merge), { flowLevel: 2, lineWidth: -1 });
}
