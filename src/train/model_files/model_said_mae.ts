/** What this program's own checkpoints say: `state.json` of a run, or the metadata of a file that `mae convert` wrote. */
import { number, numbers, oneOf, size, truth, whole } from "../../config/kinds.ts";
import { isMapping } from "../../config/layers.ts";
import { presets } from "../../config/presets.ts";
import type { TransformerConfig } from "../../config/types.ts";
import type { StackSizes } from "../../nn/architecture.ts";
import { InputError, messageOf } from "../../util/errors.ts";
import type { TrainState } from "../checkpoint/checkpoint.ts";
import { classifierInfoOf } from "../checkpoint/classifier_info.ts";
import { savedReading } from "../checkpoint/saved_reading.ts";
import { type JsonFile, type ModelFacts, type Said, valueAt } from "./model_said.ts";

const heads = whole(1, 65536);
const epsilon = number({ from: 0, to: 1 });
const ratio = number({ above: 0, below: 1 });

/**
 * What the state of a run says, as far as this version of the program can read it.
 * @throws {InputError} when it is of another model than the tensors
 */
export function saidByState({ config, classifier }: TrainState, sizes: StackSizes, file: string): Said {
  const model = sectionOf(config, "model");
  const data = sectionOf(config, "data");
  const encoder = encoderOf(model.encoder);
  const { width, depth, hidden } = sizes;
  const differs = encoder !== null &&
    (encoder.width !== width || encoder.depth !== depth ||
      Math.abs(encoder.width * encoder.mlpRatio - hidden) > 1e-3);
  if (differs) {
    throw new InputError(
      `The state.json beside "${file}" is of another model: it tells of ${encoder.depth} blocks, ${encoder.width} wide, ` +
        `and the file holds ${depth} blocks, ${width} wide`,
    );
  }
  const info = classifierInfoOf(classifier);
  return {
    origin: "state.json",
    heads: encoder?.heads,
    decoderHeads: heads.parse(sectionOf(model, "decoder").heads),
    normEpsilon: epsilon.parse(model.norm_epsilon),
    imageSize: size(1, 16384).parse(model.image_size),
    mean: numbers({}).parse(data.mean),
    std: numbers({ above: 0 }).parse(data.std),
    reading: savedReading(data),
    normalizeTarget: truth().parse(sectionOf(config, "target").normalize),
    maskRatio: ratio.parse(sectionOf(config, "mask").ratio),
    maskTokens: oneOf("decoder", "encoder").parse(model.mask_tokens),
    ...(info &&
      { classifier: info, classes: info.classes, pooling: info.pooling, cropShare: info.cropShare }),
  };
}

function sectionOf(
  values: Readonly<Record<string, unknown>>,
  key: string,
): Readonly<Record<string, unknown>> {
  const section = values[key];
  return isMapping(section) ? section : {};
}

/** `model.encoder` of a resolved configuration: the name of a preset, or its four parts; null for anything else. */
function encoderOf(value: unknown): TransformerConfig | null {
  if (typeof value === "string") return Object.hasOwn(presets, value) ? presets[value] : null;
  if (!isMapping(value)) return null;
  const { width, depth, heads, mlp_ratio: mlpRatio } = value;
  const isNumber = (part: unknown): part is number => typeof part === "number";
  return isNumber(width) && isNumber(depth) && isNumber(heads) && isNumber(mlpRatio)
    ? { width, depth, heads, mlpRatio }
    : null;
}

/** Name of the metadata entry that holds the facts. */
const FACTS = "mae";

/** The facts as metadata of a safetensors file. */
export function factsMetadata(facts: ModelFacts): Record<string, string> {
  const { heads, decoderHeads, normEpsilon, imageSize, mean, std, normalizeTarget, maskTokens } = facts;
  const values = {
    version: 1,
    heads,
    decoder_heads: decoderHeads,
    norm_epsilon: normEpsilon,
    image_size: imageSize,
    mean,
    std,
    normalize_target: normalizeTarget,
    mask_ratio: facts.maskRatio,
    mask_tokens: maskTokens,
    reading: facts.reading,
    pooling: facts.pooling,
    crop_share: facts.cropShare,
    classes: facts.classes,
    classifier: facts.classifier,
  };
  return { program: "mae", [FACTS]: JSON.stringify(values) };
}

/**
 * What the metadata of a file that `mae convert` wrote says; null where it says nothing.
 * @throws {InputError} when it is damaged, or of a later version
 */
export function saidByMetadata(metadata: Readonly<Record<string, string>>, path: string): Said | null {
  const text = Object.hasOwn(metadata, FACTS) ? metadata[FACTS] : undefined;
  if (metadata.program !== "mae" || text === undefined) return null;
  const json: JsonFile = { path, values: parsed(text, path) };
  const version = valueAt(json, "version", number());
  if (version !== 1) {
    throw new InputError(
      `The facts in "${path}" have version ${version}, and this version of mae reads version 1`,
    );
  }
  const info = classifierInfoOf(json.values.classifier);
  const { classes } = json.values;
  return {
    origin: "its metadata",
    heads: valueAt(json, "heads", heads),
    decoderHeads: valueAt(json, "decoder_heads", heads),
    normEpsilon: valueAt(json, "norm_epsilon", epsilon),
    imageSize: valueAt(json, "image_size", size(1, 65536)),
    mean: valueAt(json, "mean", numbers({})),
    std: valueAt(json, "std", numbers({ above: 0 })),
    reading: savedReading(sectionOf(json.values, "reading")),
    cropShare: valueAt(json, "crop_share", number({ above: 0, to: 1 })),
    normalizeTarget: valueAt(json, "normalize_target", truth()),
    maskRatio: valueAt(json, "mask_ratio", ratio),
    maskTokens: valueAt(json, "mask_tokens", oneOf("decoder", "encoder")),
    pooling: valueAt(json, "pooling", oneOf("average", "class_token")),
    ...(isNames(classes) && { classes }),
    ...(info && { classifier: info }),
  };
}

function parsed(text: string, path: string): Readonly<Record<string, unknown>> {
  try {
    const values: unknown = JSON.parse(text);
    if (isMapping(values)) return values;
    throw new Error("it is no JSON object");
  } catch (error) {
    throw new InputError(`The metadata "${FACTS}" of "${path}" cannot be read: ${messageOf(error)}`);
  }
}

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === "string");
}
