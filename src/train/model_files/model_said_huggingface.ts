/** What the `config.json` and `preprocessor_config.json` of a Hugging Face folder say. */
import { number, numbers, type Range, size, text, truth, whole } from "../../config/kinds.ts";
import { isMapping } from "../../config/layers.ts";
import type { Architecture } from "../../nn/architecture.ts";
import { InputError } from "../../util/errors.ts";
import { checkSizes, type JsonFile, originOf, type Said, valueAt } from "./model_said.ts";

/** What transformers takes where a configuration of ViT or ViTMAE says nothing. */
export const huggingFaceDefaults = {
  heads: 12,
  decoderHeads: 16,
  normEpsilon: 1e-12,
  imageSize: 224,
} as const;

const heads = whole(1, 65536);

/** Whether a JSON object is a configuration of transformers. */
export function isHuggingFaceConfig({ values }: JsonFile): boolean {
  return typeof values.model_type === "string";
}

/** The name of the model's class, where a configuration says. */
export function huggingFaceClass({ values }: JsonFile): string | null {
  const [first] = Array.isArray(values.architectures) ? values.architectures : [];
  return typeof first === "string" && /^\w{1,80}$/.test(first) ? first : null;
}

/**
 * What a configuration says, transformers' defaults included.
 * @throws {InputError} when it is of another kind or size of model, or damaged
 */
export function saidByHuggingFace(config: JsonFile, architecture: Architecture, rows: number | null): Said {
  const { path } = config;
  checkType(config);
  const { encoder, decoder, patchSize: [patch], channels } = architecture;
  checkSizes(path, {
    hidden_size: valueAt(config, "hidden_size", number()),
    num_hidden_layers: valueAt(config, "num_hidden_layers", number()),
    intermediate_size: valueAt(config, "intermediate_size", number()),
    num_channels: valueAt(config, "num_channels", number()),
  }, {
    hidden_size: encoder.width,
    num_hidden_layers: encoder.depth,
    intermediate_size: encoder.hidden,
    num_channels: channels,
  });
  const patchSize = valueAt(config, "patch_size", size(1, 65536));
  if (patchSize) checkSizes(path, { patch_size: patchSize[0] }, { patch_size: patch });
  return {
    origin: originOf(path),
    heads: valueAt(config, "num_attention_heads", heads) ?? huggingFaceDefaults.heads,
    ...(decoder && {
      decoderHeads: valueAt(config, "decoder_num_attention_heads", heads) ?? huggingFaceDefaults.decoderHeads,
      normalizeTarget: valueAt(config, "norm_pix_loss", truth()) ?? false,
      maskRatio: valueAt(config, "mask_ratio", number({ above: 0, below: 1 })),
    }),
    normEpsilon: valueAt(config, "layer_norm_eps", number({ from: 0, to: 1 })) ??
      huggingFaceDefaults.normEpsilon,
    imageSize: valueAt(config, "image_size", size(1, 65536)) ?? [224, 224],
    pooling: "class_token",
    ...(rows !== null && { classes: classNames(config, rows) }),
  };
}

function checkType(config: JsonFile): void {
  const { path } = config;
  const type = valueAt(config, "model_type", text("a name"));
  if (type !== "vit_mae" && type !== "vit") {
    throw new InputError(`"${path}" is of a model of type "${type}"; vit_mae and vit are read`);
  }
  const activation = valueAt(config, "hidden_act", text("a name")) ?? "gelu";
  if (activation !== "gelu") {
    throw new InputError(
      `"${path}" asks for the activation "${activation}", and MAE's blocks have gelu: it would compute something else`,
    );
  }
}

/** `id2label` in the order of the numbers, or undefined where it does not name each class. */
function classNames({ values: { id2label } }: JsonFile, rows: number): string[] | undefined {
  if (!isMapping(id2label)) return undefined;
  const names = Array.from({ length: rows }, (_, i) => id2label[String(i)]);
  const isName = (name: unknown): name is string => typeof name === "string" && name !== "";
  return names.every(isName) ? names : undefined;
}

/**
 * What the configuration of an image processor says.
 * @throws {InputError} when it is damaged
 */
export function saidByProcessor(config: JsonFile): Said {
  const statistics = (key: string, off: number, range: Range) =>
    valueAt(config, "do_normalize", truth()) === false
      ? [off, off, off]
      : valueAt(config, key, numbers(range));
  const crop = valueAt(config, "do_center_crop", truth()) ? sideOf(config, "crop_size") : undefined;
  const edge = sideOf(config, "size");
  return {
    origin: originOf(config.path),
    mean: statistics("image_mean", 0, {}),
    std: statistics("image_std", 1, { above: 0 }),
    // Without a crop the processor resizes to the model's size, whatever the picture's shape: nothing is cut away.
    cropShare: crop && edge ? Math.min(1, crop / edge) : 1,
  };
}

/** A size in any of the forms that transformers has had, as the shorter side; undefined for any other. */
function sideOf({ values }: JsonFile, key: string): number | undefined {
  const given = values[key];
  const { height, width, shortest_edge: edge } = isMapping(given) ? given : {};
  const sides = [given, edge, height, width].map(whole(1, 65536).parse).filter((side) => side !== undefined);
  return sides.length > 0 ? Math.min(...sides) : undefined;
}
