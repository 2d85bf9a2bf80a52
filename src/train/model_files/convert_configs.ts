/** The JSON files that Hugging Face and timm have beside a model's tensors. */
import { defaultStatistics } from "../../config/common_sections.ts";
import type { Size } from "../../config/types.ts";
import { officialCropShare } from "../../augment/augment.ts";
import { InputError } from "../../util/errors.ts";
import type { ConvertPlan } from "./convert_plan.ts";
import { decoderOf, encoderOf, type ModelSource } from "./model_source.ts";

/** Files by name, each as JSON will have it. */
export type ConfigFiles = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Class of transformers that a conversion is for. */
export function huggingFaceClassOf({ decoder, classes }: Pick<ConvertPlan, "decoder" | "classes">): string {
  return decoder ? "ViTMAEForPreTraining" : classes === null ? "ViTMAEModel" : "ViTForImageClassification";
}

/**
 * `config.json` and `preprocessor_config.json` of Hugging Face.
 * @param dtype PyTorch's name of the weights' type: `float32`
 * @throws {InputError} when transformers has no such model
 */
export function huggingFaceConfigs(source: ModelSource, plan: ConvertPlan, dtype: string): ConfigFiles {
  const { path, architecture: { encoder, patchSize, channels }, facts } = source;
  const name = huggingFaceClassOf(plan);
  const imageSize = imageSizeOf(source);
  const isSquare = imageSize[0] === imageSize[1] && patchSize[0] === patchSize[1];
  if (plan.classes === null && !isSquare) {
    throw new InputError(
      `transformers' ViTMAE takes square images only, and those of "${path}" are ${imageSize.join("x")}`,
    );
  }
  if (plan.decoder && facts.maskTokens === "encoder") {
    throw new InputError(
      `The encoder of "${path}" sees mask tokens, which transformers' ViTMAE cannot: give --encoder-only`,
    );
  }
  if (!plan.tensors.has("norm.weight")) {
    throw new InputError(
      `"${path}" averages patches and has no last norm for all tokens, which transformers' models have: ` +
        "convert it with --to timm, or to an .onnx file",
    );
  }
  const config = {
    architectures: [name],
    model_type: plan.classes === null ? "vit_mae" : "vit",
    dtype,
    hidden_size: encoder.width,
    num_hidden_layers: encoder.depth,
    num_attention_heads: encoderOf(source).heads,
    intermediate_size: encoder.hidden,
    hidden_act: "gelu",
    initializer_range: 0.02,
    layer_norm_eps: facts.normEpsilon,
    image_size: side(imageSize),
    patch_size: side(patchSize),
    num_channels: channels,
    qkv_bias: true,
    ...decoderConfig(source, plan),
    ...labels(source, plan.classes),
  };
  return { "config.json": config, "preprocessor_config.json": processorConfig(source, imageSize) };
}

function decoderConfig(source: ModelSource, plan: ConvertPlan): Record<string, unknown> {
  const decoder = plan.decoder ? decoderOf(source) : null;
  const hidden = source.architecture.decoder?.hidden;
  return decoder === null ? {} : {
    decoder_hidden_size: decoder.width,
    decoder_num_hidden_layers: decoder.depth,
    decoder_num_attention_heads: decoder.heads,
    decoder_intermediate_size: hidden,
    mask_ratio: 0.75,
    norm_pix_loss: source.facts.normalizeTarget ?? false,
  };
}

function labels({ facts }: ModelSource, classes: number | null): Record<string, unknown> {
  if (classes === null) return {};
  const names = facts.classes?.length === classes
    ? facts.classes
    : Array.from({ length: classes }, (_, i) => `LABEL_${i}`);
  const unique = new Set(names).size === names.length;
  return {
    id2label: Object.fromEntries(names.map((name, i) => [String(i), name])),
    ...(unique && { label2id: Object.fromEntries(names.map((name, i) => [name, i])) }),
  };
}

function processorConfig(source: ModelSource, [height, width]: Size): Record<string, unknown> {
  const { mean, std } = statisticsOf(source);
  return {
    image_processor_type: "ViTImageProcessor",
    do_resize: true,
    size: { height, width },
    resample: 3, // bicubic
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: mean,
    image_std: std,
  };
}

function side([height, width]: Size): number | Size {
  return height === width ? height : [height, width];
}

/** `config.json` of timm, as its own `push_to_hf_hub` writes it. */
export function timmConfigs(source: ModelSource, plan: ConvertPlan): ConfigFiles {
  const { architecture: { encoder: { width }, encoderName, patchSize, channels }, facts } = source;
  const { depth, heads, mlpRatio } = encoderOf(source);
  const imageSize = imageSizeOf(source);
  const pool = plan.tensors.has("fc_norm.weight") ? "avg" : "token";
  const named = encoderName === "custom"
    ? "vit_base_patch16_224"
    : `${encoderName}_patch${timmPatches[encoderName]}_224`;
  const classes = plan.classes ?? 0;
  const config = {
    architecture: named,
    num_classes: classes,
    num_features: width,
    global_pool: pool,
    model_args: {
      img_size: imageSize,
      patch_size: side(patchSize),
      in_chans: channels,
      embed_dim: width,
      depth,
      num_heads: heads,
      mlp_ratio: mlpRatio,
      global_pool: pool,
    },
    pretrained_cfg: {
      custom_load: false,
      input_size: [channels, ...imageSize],
      interpolation: "bicubic",
      crop_pct: facts.cropShare ?? officialCropShare(imageSize),
      crop_mode: "center",
      ...statisticsOf(source),
      num_classes: classes,
      pool_size: null,
      first_conv: "patch_embed.proj",
      classifier: "head",
    },
    ...(facts.classes?.length === classes && { label_names: facts.classes }),
  };
  return { "config.json": config };
}

/** Patch sizes of timm's models of these names; the arguments say the model's own. */
const timmPatches: Readonly<Record<string, number>> = {
  vit_tiny: 16,
  vit_small: 16,
  vit_base: 16,
  vit_large: 16,
  vit_huge: 14,
};

function statisticsOf({ architecture: { channels }, facts: { mean, std } }: ModelSource) {
  const usual = defaultStatistics(channels);
  return { mean: mean ?? usual.mean, std: std ?? usual.std };
}

function imageSizeOf({ path, facts: { imageSize } }: ModelSource): Size {
  if (imageSize !== null) return imageSize;
  throw new InputError(`"${path}" does not say how large its images are, which a configuration must`);
}
