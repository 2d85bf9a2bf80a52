/** The configurations that come with the program, embedded so that a bundle or executable has them too. */

import cifarFinetune from "../../configs/cifar10/finetune.yaml" with { type: "text" };
import cifarLinprobe from "../../configs/cifar10/linprobe.yaml" with { type: "text" };
import cifarPretrain from "../../configs/cifar10/pretrain.yaml" with { type: "text" };
import cifarScratch from "../../configs/cifar10/scratch.yaml" with { type: "text" };
import finetuneBase from "../../configs/finetune/vit_base.yaml" with { type: "text" };
import finetuneHuge from "../../configs/finetune/vit_huge.yaml" with { type: "text" };
import finetuneLarge from "../../configs/finetune/vit_large.yaml" with { type: "text" };
import linprobeBase from "../../configs/linprobe/vit_base.yaml" with { type: "text" };
import linprobeHuge from "../../configs/linprobe/vit_huge.yaml" with { type: "text" };
import linprobeLarge from "../../configs/linprobe/vit_large.yaml" with { type: "text" };
import partialBase from "../../configs/partial/vit_base.yaml" with { type: "text" };
import partialHuge from "../../configs/partial/vit_huge.yaml" with { type: "text" };
import partialLarge from "../../configs/partial/vit_large.yaml" with { type: "text" };
import demo from "../../configs/pretrain/demo.yaml" with { type: "text" };
import vitBase from "../../configs/pretrain/vit_base.yaml" with { type: "text" };
import vitHuge from "../../configs/pretrain/vit_huge.yaml" with { type: "text" };
import vitLarge from "../../configs/pretrain/vit_large.yaml" with { type: "text" };
import vitTinyCifar from "../../configs/pretrain/vit_tiny_cifar.yaml" with { type: "text" };
import scratchBase from "../../configs/scratch/vit_base.yaml" with { type: "text" };
import scratchHuge from "../../configs/scratch/vit_huge.yaml" with { type: "text" };
import scratchLarge from "../../configs/scratch/vit_large.yaml" with { type: "text" };
import { didYouMean, InputError, messageOf } from "../util/errors.ts";
import { type ConfigLayer, parseYamlLayer } from "./layers.ts";

/** The command that a configuration is for. */
export type ConfigJob = "pretrain" | "finetune" | "linprobe";

/** A configuration that comes with the program. */
export interface ShippedConfig {
  /** Its file in the project, `configs/pretrain/demo.yaml`. */
  readonly path: string;
  /** The command it is for. */
  readonly job: ConfigJob;
  /** The YAML, with its comment. */
  readonly text: string;
}

const shipped: readonly ShippedConfig[] = [
  ...ofJob("pretrain", {
    "pretrain/demo": demo,
    "pretrain/vit_tiny_cifar": vitTinyCifar,
    "pretrain/vit_base": vitBase,
    "pretrain/vit_large": vitLarge,
    "pretrain/vit_huge": vitHuge,
    "cifar10/pretrain": cifarPretrain,
  }),
  ...ofJob("finetune", {
    "finetune/vit_base": finetuneBase,
    "finetune/vit_large": finetuneLarge,
    "finetune/vit_huge": finetuneHuge,
    "partial/vit_base": partialBase,
    "partial/vit_large": partialLarge,
    "partial/vit_huge": partialHuge,
    "scratch/vit_base": scratchBase,
    "scratch/vit_large": scratchLarge,
    "scratch/vit_huge": scratchHuge,
    "cifar10/finetune": cifarFinetune,
    "cifar10/scratch": cifarScratch,
  }),
  ...ofJob("linprobe", {
    "linprobe/vit_base": linprobeBase,
    "linprobe/vit_large": linprobeLarge,
    "linprobe/vit_huge": linprobeHuge,
    "cifar10/linprobe": cifarLinprobe,
  }),
];

function ofJob(job: ConfigJob, texts: Readonly<Record<string, string>>): ShippedConfig[] {
  return Object.entries(texts).map(([name, text]) => ({ path: `configs/${name}.yaml`, job, text }));
}

/** Every shipped configuration, or those of one command. */
export function shippedConfigs(job?: ConfigJob): ShippedConfig[] {
  return shipped.filter((config) => job === undefined || config.job === job);
}

/**
 * The shipped configuration of this name, or undefined; `demo`, `pretrain/demo` and `configs/pretrain/demo.yaml` are
 * the same, with either separator. A name without a folder is one of the command's own folder.
 */
export function shippedConfig(name: string, job: ConfigJob = "pretrain"): ShippedConfig | undefined {
  const stem = name.replaceAll("\\", "/").replace(/\.ya?ml$/, "").replace(/^(\.\/)?(configs\/)?/, "");
  const path = `configs/${stem.includes("/") ? stem : `${job}/${stem}`}.yaml`;
  return shipped.find((config) => config.path === path);
}

/**
 * The layer of a configuration file, or of a shipped configuration where no such file is on the disk.
 *
 * @param job the command that it is for, in whose folder of shipped configurations a bare name is looked up
 * @throws {InputError} when there is neither, or the file cannot be read or is no YAML.
 */
export async function readConfigLayer(path: string, job: ConfigJob = "pretrain"): Promise<ConfigLayer> {
  try {
    return parseYamlLayer(await Deno.readTextFile(path), path);
  } catch (error) {
    if (error instanceof InputError) throw error;
    const fallback = shippedConfig(path, job);
    if (fallback) return parseYamlLayer(fallback.text, fallback.path);
    if (error instanceof Deno.errors.NotFound) throw noSuchConfig(path, job);
    throw new InputError(`The configuration file ${path} cannot be read: ${messageOf(error)}`);
  }
}

function noSuchConfig(path: string, job: ConfigJob): InputError {
  const names = shippedConfigs(job).map((config) => config.path);
  const [name, folder = job] = path.replace(/\.ya?ml$/, "").split(/[\\/]/).reverse();
  const near = didYouMean(
    `${folder}/${name}`,
    names.map((known) => known.replace(/^configs\/|\.yaml$/g, "")),
  );
  return new InputError(
    `There is no configuration file ${path}; the shipped ones are ${names.join(", ")}${near}`,
  );
}
