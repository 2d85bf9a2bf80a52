/** The configurations that can be measured: five with a name, and any YAML file of `mae pretrain`. */
import type { ConfigLayer } from "../config/layers.ts";
import { resolvePretrainConfig } from "../config/pretrain.ts";
import { readConfigLayer, shippedConfig } from "../config/shipped.ts";
import type { PretrainConfig } from "../config/types.ts";
import { didYouMean, InputError } from "../util/errors.ts";
import { baseName } from "../util/files.ts";

/** One configuration to measure. */
export interface BenchConfig {
  /** Its name, or that of its file without the ending. */
  readonly name: string;
  /** The masked autoencoder. */
  readonly model: PretrainConfig["model"];
  /** Images per step, `optim.batch_size` of a file. */
  readonly batch: number;
  /** Share of patches removed. */
  readonly maskRatio: number;
  /** Whether each patch of the target is normalised. */
  readonly normalizeTarget: boolean;
  /** Mean of each channel, for pixels from 0 to 1. */
  readonly mean: readonly number[];
  /** Deviation of each channel. */
  readonly std: readonly number[];
  /** Number format of what blocks make. */
  readonly precision: "f32" | "f16";
  /** Whether blocks are computed again on the way back, instead of being kept. */
  readonly remat: boolean;
}

/** What is measured as a whole: steps of pre-training and of fine-tuning, and the encoder's features. */
export const benchWorks = ["pretrain", "finetune", "features"] as const;
/** One of them. */
export type BenchWork = typeof benchWorks[number];

/** The classifier that fine-tuning is measured with: ImageNet's classes, and ViT-B's drop path. */
export const finetuneSizes = { classes: 1000, dropPath: 0.1 } as const;

/** The named configurations, as the YAML would say it; what is missing is the default of `mae pretrain`. */
const named: Readonly<Record<string, Record<string, unknown>>> = {
  tiny: {
    model: {
      image_size: 32,
      patch_size: 4,
      encoder: { width: 192, depth: 6, heads: 3 },
      decoder: { width: 96, depth: 2, heads: 3 },
    },
    optim: { batch_size: 64 },
  },
  mini: {
    model: { encoder: { width: 192, depth: 12, heads: 3 }, decoder: { width: 128, depth: 4, heads: 4 } },
    optim: { batch_size: 32 },
  },
  vit_base: { model: { encoder: "vit_base" }, optim: { batch_size: 8 } },
  vit_large: { model: { encoder: "vit_large" }, optim: { batch_size: 4 } },
  vit_huge: { model: { encoder: "vit_huge" }, optim: { batch_size: 1 } },
};

/** Names of the configurations, smallest first. */
export const configurationNames: readonly string[] = Object.keys(named);

/** Names of those that are measured when none is asked for: `vit_huge` takes 13 GB. */
export const usualConfigurations: readonly string[] = configurationNames.filter((name) =>
  name !== "vit_huge"
);

/**
 * The configurations of a list such as `tiny,my.yaml`, each once.
 *
 * @throws {InputError} when one is neither a name nor a configuration file, or the file is wrong
 */
export async function benchConfigs(list: string): Promise<BenchConfig[]> {
  const names = new Set(list.split(",").map((name) => name.trim()));
  const configs = await Promise.all([...names].map(benchConfig));
  const twice = configs.find(({ name }, i) => configs.findIndex((other) => other.name === name) < i);
  if (twice) {
    throw new InputError(`--config ${list} has two configurations named ${twice.name}; rename a file`);
  }
  return configs;
}

async function benchConfig(name: string): Promise<BenchConfig> {
  if (Object.hasOwn(named, name)) {
    return ofLayer(name, { origin: `the configuration ${name}`, values: named[name] });
  }
  const isPath = /[\\/]|\.ya?ml$/.test(name);
  if (!isPath && shippedConfig(name) === undefined) {
    throw new InputError(
      `--config must be of ${configurationNames.join(", ")} or the path of a YAML file, not "${name}"${
        didYouMean(name, configurationNames)
      }`,
    );
  }
  return ofLayer(baseName(name).replace(/\.ya?ml$/, ""), await readConfigLayer(name));
}

function ofLayer(name: string, layer: ConfigLayer): BenchConfig {
  // No image is read, so that a file need not name a folder of them.
  const noData = { origin: "mae bench", values: { data: { train: "none" } } };
  const { model, mask, target, data, optim, run } = resolvePretrainConfig([noData, layer]);
  return {
    name,
    model,
    batch: optim.batchSize,
    maskRatio: mask.ratio,
    normalizeTarget: target.normalize,
    mean: data.mean,
    std: data.std,
    precision: run.precision,
    remat: run.remat,
  };
}
