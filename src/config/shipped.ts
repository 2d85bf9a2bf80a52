/** The configurations that come with the program, embedded so that a bundle or executable has them too. */

import demo from "../../configs/pretrain/demo.yaml" with { type: "text" };
import vitBase from "../../configs/pretrain/vit_base.yaml" with { type: "text" };
import vitHuge from "../../configs/pretrain/vit_huge.yaml" with { type: "text" };
import vitLarge from "../../configs/pretrain/vit_large.yaml" with { type: "text" };
import vitTinyCifar from "../../configs/pretrain/vit_tiny_cifar.yaml" with { type: "text" };
import { didYouMean, InputError, messageOf } from "../util/errors.ts";
import { type ConfigLayer, parseYamlLayer } from "./layers.ts";

const shipped: ReadonlyMap<string, string> = new Map([
  ["pretrain/demo", demo],
  ["pretrain/vit_tiny_cifar", vitTinyCifar],
  ["pretrain/vit_base", vitBase],
  ["pretrain/vit_large", vitLarge],
  ["pretrain/vit_huge", vitHuge],
]);

/** A configuration that comes with the program. */
export interface ShippedConfig {
  /** Its file in the project, `configs/pretrain/demo.yaml`. */
  readonly path: string;
  /** The YAML, with its comment. */
  readonly text: string;
}

/** Every shipped configuration. */
export function shippedConfigs(): ShippedConfig[] {
  return [...shipped].map(([name, text]) => ({ path: `configs/${name}.yaml`, text }));
}

/**
 * The shipped configuration of this name, or undefined; `demo`, `pretrain/demo` and `configs/pretrain/demo.yaml` are
 * the same, with either separator.
 */
export function shippedConfig(name: string): ShippedConfig | undefined {
  const stem = name.replaceAll("\\", "/").replace(/\.ya?ml$/, "").replace(/^(\.\/)?(configs\/)?/, "");
  const full = stem.includes("/") ? stem : `pretrain/${stem}`;
  const text = shipped.get(full);
  return text === undefined ? undefined : { path: `configs/${full}.yaml`, text };
}

/**
 * The layer of a configuration file, or of a shipped configuration where no such file is on the disk.
 *
 * @throws {InputError} when there is neither, or the file cannot be read or is no YAML.
 */
export async function readConfigLayer(path: string): Promise<ConfigLayer> {
  try {
    return parseYamlLayer(await Deno.readTextFile(path), path);
  } catch (error) {
    if (error instanceof InputError) throw error;
    const fallback = shippedConfig(path);
    if (fallback) return parseYamlLayer(fallback.text, fallback.path);
    if (error instanceof Deno.errors.NotFound) throw noSuchConfig(path);
    throw new InputError(`The configuration file ${path} cannot be read: ${messageOf(error)}`);
  }
}

function noSuchConfig(path: string): InputError {
  const names = shippedConfigs().map((config) => config.path);
  const stem = path.replace(/^.*[\\/]/, "").replace(/\.ya?ml$/, "");
  const near = didYouMean(stem, names.map((name) => name.replace(/^.*\/|\.yaml$/g, "")));
  return new InputError(
    `There is no configuration file ${path}; the shipped ones are ${names.join(", ")}${near}`,
  );
}
