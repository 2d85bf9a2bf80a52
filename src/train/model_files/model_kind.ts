/** Whose model it is, and what the files beside it say. */
import type { Size } from "../../config/types.ts";
import { readJsonObject } from "../../formats/json_file.ts";
import { MODEL_FILES, type TensorFile } from "../../formats/open_tensors.ts";
import type { Architecture, StackSizes } from "../../nn/architecture.ts";
import { InputError } from "../../util/errors.ts";
import { baseName, directoryOf, joinPath, pathExists } from "../../util/files.ts";
import { readTrainState, type TrainState } from "../checkpoint/checkpoint.ts";
import type { JsonFile, ModelFacts, Said } from "./model_said.ts";
import { saidByArguments } from "./model_said_arguments.ts";
import {
  huggingFaceClass,
  huggingFaceDefaults,
  isHuggingFaceConfig,
  saidByHuggingFace,
  saidByProcessor,
} from "./model_said_huggingface.ts";
import { saidByMetadata, saidByState } from "./model_said_mae.ts";
import { isTimmConfig, saidByTimm } from "./model_said_timm.ts";
import type { NamedTensors } from "./model_tensors.ts";

/** Whose names and files a model came in. */
export type ModelKind = "mae" | "official" | "huggingface" | "timm";

/** What lies beside a model's tensors; each null where it is missing. */
export interface Beside {
  /** `state.json` of a run. */
  readonly state: TrainState | null;
  /** `config.json` of Hugging Face or timm. */
  readonly config: JsonFile | null;
  /** `preprocessor_config.json` of Hugging Face. */
  readonly processor: JsonFile | null;
}

/**
 * Reads what lies beside a model's tensors. For a file that was named itself that is a configuration that goes with its
 * names, and never the state of a run.
 * @throws {InputError} when something of it is damaged
 */
export async function readBeside(
  file: string,
  folder: string | null,
  names: NamedTensors["names"],
): Promise<Beside> {
  const nothing: Beside = { state: null, config: null, processor: null };
  if (folder !== null && await pathExists(joinPath(folder, "state.json"))) {
    return { ...nothing, state: await readTrainState(folder) };
  }
  const isPublished = MODEL_FILES.some((name) => name === baseName(file));
  if (folder === null && !isPublished) return nothing;
  const json = async (name: string): Promise<JsonFile | null> => {
    const path = joinPath(folder ?? directoryOf(file), name);
    return await pathExists(path) ? { path, values: await readJsonObject(path) } : null;
  };
  const config = await json("config.json");
  if (names === "official") return { ...nothing, config: config && isTimmConfig(config) ? config : null };
  return { ...nothing, config, processor: await json("preprocessor_config.json") };
}

/** Whose model it is. */
export interface Identity {
  /** Whose names and files it came in. */
  readonly kind: ModelKind;
  /** The same in words. */
  readonly title: string;
  /** What was said about it, in the order of who is believed. */
  readonly said: readonly Said[];
}

/**
 * Tells whose model it is.
 * @throws {InputError} when what is said of it cannot be, or is of another model
 */
export function identify(
  file: TensorFile,
  { names, source }: NamedTensors,
  architecture: Architecture,
  { state, config, processor }: Beside,
): Identity {
  const { tensors, path } = source;
  const rows = tensors.get("head.weight")?.shape[0] ?? null;
  if (state !== null) {
    const title = `Checkpoint of mae after ${steps(state)}`;
    return { kind: "mae", title, said: [saidByState(state, architecture.encoder, path)] };
  }
  if (names === "huggingface") {
    return huggingFace(config, processor, architecture, rows, tensors.has("mask_token"));
  }
  const pools = tensors.has("fc_norm.weight");
  if (config !== null) {
    const title = `timm ${config.values.architecture}`;
    return { kind: "timm", title, said: [saidByTimm(config, architecture, rows, pools)] };
  }
  const ownWords = saidByMetadata(file.metadata, path);
  const shown: Said = { origin: "its tensors", pooling: pools ? "average" : "class_token" };
  if (ownWords !== null || file.metadata.program === "mae") {
    return { kind: "mae", title: "Model of mae", said: [...(ownWords ? [ownWords] : []), shown] };
  }
  const args = saidByArguments(file.value);
  const title = `Model with the official names${args ? ", a training checkpoint" : ""}`;
  return { kind: "official", title, said: [...(args ? [args] : []), shown] };
}

function huggingFace(
  config: JsonFile | null,
  processor: JsonFile | null,
  architecture: Architecture,
  rows: number | null,
  hasMaskToken: boolean,
): Identity {
  const { decoder } = architecture;
  const guess = decoder !== null || hasMaskToken
    ? "ViTMAEForPreTraining"
    : rows === null
    ? "ViTMAEModel"
    : "ViTForImageClassification";
  if (config === null) {
    const { normEpsilon } = huggingFaceDefaults;
    const said: Said = { origin: "transformers' defaults", normEpsilon, pooling: "class_token" };
    return { kind: "huggingface", title: `Hugging Face ${guess} without config.json`, said: [said] };
  }
  if (!isHuggingFaceConfig(config)) {
    throw new InputError(`"${config.path}" names no model_type, as every configuration of Hugging Face does`);
  }
  const said = [
    saidByHuggingFace(config, architecture, rows),
    ...(processor ? [saidByProcessor(processor)] : []),
  ];
  return { kind: "huggingface", title: `Hugging Face ${huggingFaceClass(config) ?? guess}`, said };
}

/** "7 steps of pre-training" */
export function steps({ step, job }: TrainState): string {
  return `${counted(step, "step")} of ${jobWords[job]}`;
}

const jobWords: Readonly<Record<TrainState["job"], string>> = {
  pretrain: "pre-training",
  finetune: "fine-tuning",
  linprobe: "linear probing",
};

/** "1 block", "12 blocks" */
export function counted(many: number, what: string, several: string = `${what}s`): string {
  return `${many} ${many === 1 ? what : several}`;
}

/** "16", or "16x8" where height and width differ. */
export function sizeInWords(size: Size): string {
  return size[0] === size[1] ? String(size[0]) : `${size[0]}x${size[1]}`;
}

function stackInWords({ depth, width }: StackSizes, heads: number | null): string {
  const words = [counted(depth, "block"), `${width} wide`];
  return [...words, heads === null ? "an unknown number of heads" : counted(heads, "head")].join(", ");
}

/** "vit_tiny, 12 blocks, 192 wide, 3 heads, patches of 16 pixels, images of 224; decoder of 8 blocks, …" */
export function sizesInWords(
  { encoderName, encoder, decoder, patchSize }: Architecture,
  { heads, decoderHeads, imageSize }: ModelFacts,
  classes: number | null,
): string {
  const parts = [
    ...(encoderName === "custom" ? [] : [encoderName]),
    stackInWords(encoder, heads),
    `patches of ${sizeInWords(patchSize)} pixels`,
    ...(imageSize ? [`images of ${sizeInWords(imageSize)}`] : []),
  ];
  const decoderWords = decoder ? `; decoder of ${stackInWords(decoder, decoderHeads)}` : "";
  const classWords = classes === null ? "" : `; ${counted(classes, "class", "classes")}`;
  return parts.join(", ") + decoderWords + classWords;
}
