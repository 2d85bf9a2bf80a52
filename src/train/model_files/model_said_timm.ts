/** What the `config.json` of a timm model, as it lies on Hugging Face's hub, says. */
import { number, numbers, text, whole } from "../../config/kinds.ts";
import { isMapping, show } from "../../config/layers.ts";
import type { Architecture } from "../../nn/architecture.ts";
import { InputError } from "../../util/errors.ts";
import { checkSizes, type JsonFile, originOf, type Said, valueAt } from "./model_said.ts";

/** Heads of timm's vision transformers by the word in their names, and the words of those that MAE's encoder fits. */
const namedHeads: Readonly<Record<string, number>> = {
  tiny: 3,
  small: 6,
  base: 12,
  large: 16,
  huge: 16,
  giant: 16,
};

/** Whether a JSON object is a configuration of timm. */
export function isTimmConfig({ values }: JsonFile): boolean {
  return typeof values.architecture === "string" && !("model_type" in values);
}

/**
 * What a configuration says.
 * @param pools whether the tensors have the norm that follows average pooling
 * @throws {InputError} when it is of another kind or size of model, or damaged
 */
export function saidByTimm(
  config: JsonFile,
  architecture: Architecture,
  rows: number | null,
  pools: boolean,
): Said {
  const { path } = config;
  const name = valueAt(config, "architecture", text("a name")) ?? "";
  if (!/^vit_\w+_patch\d+/.test(name) || /clip|quickgelu|siglip|dinov|_reg\d|rope|gap_/.test(name)) {
    throw new InputError(
      `"${path}" is of timm's ${
        show(name)
      }, and of timm plain vision transformers are read, such as vit_base_patch16_224`,
    );
  }
  const cfg = sectionOf(config, "pretrained_cfg");
  const args = sectionOf(config, "model_args");
  const odd = ["act_layer", "norm_layer", "mlp_layer", "block_fn"].find((key) =>
    (args.values[key] ?? null) !== null
  );
  if (odd !== undefined) {
    throw new InputError(
      `"${path}" builds its model with its own ${odd}: it would compute something else than MAE's`,
    );
  }
  const { encoder } = architecture;
  checkSizes(
    path,
    { embed_dim: valueAt(args, "embed_dim", number()), depth: valueAt(args, "depth", number()) },
    { embed_dim: encoder.width, depth: encoder.depth },
  );
  const input = valueAt(cfg, "input_size", numbers({ from: 1, to: 65536 }));
  const names = config.values.label_names ?? cfg.values.label_names;
  return {
    origin: originOf(path),
    heads: valueAt(args, "num_heads", whole(1, 65536)) ?? namedHeads[/^vit_([a-z]+)_/.exec(name)?.[1] ?? ""],
    ...(input?.length === 3 && { imageSize: [input[1], input[2]] }),
    mean: valueAt(cfg, "mean", numbers({})),
    std: valueAt(cfg, "std", numbers({ above: 0 })),
    cropShare: valueAt(cfg, "crop_pct", number({ above: 0, to: 1 })),
    pooling: poolingOf(config, args, pools),
    ...(rows !== null && isNames(names) && names.length === rows && { classes: names }),
  };
}

/** Average pooling without a norm after it normalises first, which no classifier of MAE does. */
function poolingOf(config: JsonFile, args: JsonFile, pools: boolean): Said["pooling"] {
  const word = text("a name");
  const pool = valueAt(args, "global_pool", word) ?? valueAt(config, "global_pool", word);
  if (pools) return pool === undefined || pool === "avg" ? "average" : null;
  return pool === undefined || pool === "token" ? "class_token" : null;
}

function sectionOf({ path, values }: JsonFile, key: string): JsonFile {
  const section = values[key];
  return { path, values: isMapping(section) ? section : {} };
}

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === "string" && name !== "");
}
