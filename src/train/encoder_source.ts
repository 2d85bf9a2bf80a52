/** The encoder that another job starts from: a run, a checkpoint or a file, with everything it says about itself. */
import type { EncoderOfCheckpoint } from "../config/finetune_types.ts";
import { numbers, size } from "../config/kinds.ts";
import { isMapping } from "../config/layers.ts";
import { presets } from "../config/presets.ts";
import type { Size, TransformerConfig } from "../config/types.ts";
import type { StoredTensor } from "../formats/dtypes.ts";
import { readSafetensors } from "../formats/safetensors.ts";
import { type Architecture, architectureOf, type StackSizes } from "../nn/architecture.ts";
import { InputError, RunError } from "../util/errors.ts";
import { joinPath, pathExists } from "../util/files.ts";
import { readTrainState, type TrainState } from "./checkpoint.ts";
import { type ClassifierInfo, classifierInfoOf } from "./classifier_info.ts";
import { findModelFile } from "./model_file.ts";

/** An encoder on the disk, read. */
export interface EncoderSource {
  /** The safetensors file that was read. */
  readonly path: string;
  /** What it is, in one sentence for the log. */
  readonly description: string;
  /** Every tensor of the file by official name; what is no encoder's (a decoder, a head) is among them. */
  readonly state: ReadonlyMap<string, StoredTensor>;
  /** Its sizes, and what is known of its images. */
  readonly encoder: EncoderOfCheckpoint;
  /** Classes and images of a fine-tuned checkpoint; null for any other. */
  readonly classifier: ClassifierInfo | null;
}

/** What only the user may know. */
export interface EncoderSourceOptions {
  /** Attention heads, which leave no trace in a file: for encoders that are of no named size and without `state.json`. */
  readonly heads?: number;
}

/**
 * Reads the encoder of a run (its best checkpoint, or else its newest), of a checkpoint's folder or of a safetensors file
 * with the official names, whole or encoder only.
 *
 * The number of heads comes from the checkpoint's `state.json`, else from the named encoder of that width, else it is one
 * per 64 values.
 * @throws {InputError} when there is no such path, no encoder in it, or it is damaged or unreadable
 */
export async function readEncoderSource(
  path: string,
  { heads }: EncoderSourceOptions = {},
): Promise<EncoderSource> {
  const { file, folder } = await findModelFile(path);
  const state = await readTensors(file);
  const architecture = architectureOf(new Map([...state].map(([name, { shape }]) => [name, shape])));
  if (architecture === null) {
    throw new InputError(
      `"${file}" holds no encoder: none of its ${state.size} tensors has the official names ` +
        "(patch_embed.proj.weight, blocks.0.mlp.fc1.weight, …); mae inspect lists what it holds",
    );
  }
  const { channels } = architecture;
  const stored = folder === null ? null : await storedState(folder);
  const says = stored && saidOf(stored, architecture.encoder, file);
  const encoder: EncoderOfCheckpoint = {
    encoder: {
      ...stackOf(architecture.encoder),
      heads: headsOf(architecture.encoder, says?.heads, heads, file),
    },
    patchSize: architecture.patchSize,
    channels,
    imageSize: says?.imageSize ?? squareSize(architecture),
    ...(says?.mean?.length === channels && { mean: says.mean }),
    ...(says?.std?.length === channels && { std: says.std }),
  };
  return {
    path: file,
    description: describe(file, architecture, encoder, stored),
    state,
    encoder,
    ...classifierOf(stored),
  };
}

async function readTensors(file: string): Promise<Map<string, StoredTensor>> {
  try {
    return await readSafetensors(file);
  } catch (error) {
    if (error instanceof RunError) throw new InputError(error.message, { cause: error });
    if (!(error instanceof InputError) || !/\.(pth?|bin|ckpt)$/i.test(file)) throw error;
    throw new InputError(
      `"${file}" is no safetensors file: PyTorch's own files must be converted to safetensors first`,
    );
  }
}

/** State of a checkpoint's folder; null where tensors lie in it alone. */
async function storedState(folder: string): Promise<TrainState | null> {
  return await pathExists(joinPath(folder, "state.json")) ? await readTrainState(folder) : null;
}

/** What a configuration says of the encoder and its images, as far as this version of the program can read it. */
interface Said {
  readonly heads?: number;
  readonly imageSize?: Size;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
}

function saidOf({ config }: TrainState, sizes: StackSizes, file: string): Said {
  const model = isMapping(config.model) ? config.model : {};
  const data = isMapping(config.data) ? config.data : {};
  const encoder = encoderOf(model.encoder);
  const { width, depth, hidden } = sizes;
  const differs = encoder !== null &&
    (encoder.width !== width || encoder.depth !== depth || encoder.width * encoder.mlpRatio !== hidden);
  if (differs) {
    throw new InputError(
      `The state.json beside "${file}" is of another model: it tells of ${encoder.depth} blocks, ${encoder.width} wide, ` +
        `and the file holds ${depth} blocks, ${width} wide`,
    );
  }
  return {
    heads: encoder?.heads,
    imageSize: size(1, 16384).parse(model.image_size),
    mean: numbers({}).parse(data.mean),
    std: numbers({ above: 0 }).parse(data.std),
  };
}

/** `model.encoder` of a resolved configuration: the name of a preset, or its four parts; null for anything else. */
function encoderOf(value: unknown): TransformerConfig | null {
  if (typeof value === "string") return Object.hasOwn(presets, value) ? presets[value] : null;
  if (!isMapping(value)) return null;
  const { width, depth, heads, mlp_ratio: mlpRatio } = value;
  const isNumber = (part: unknown) => typeof part === "number";
  return [width, depth, heads, mlpRatio].every(isNumber)
    ? { width, depth, heads, mlpRatio } as TransformerConfig
    : null;
}

function stackOf({ width, depth, hidden }: StackSizes): Omit<TransformerConfig, "heads"> {
  return { width, depth, mlpRatio: hidden / width };
}

function headsOf(
  { width }: StackSizes,
  said: number | undefined,
  given: number | undefined,
  file: string,
): number {
  if (said !== undefined) return said;
  if (given !== undefined) {
    if (width % given === 0) return given;
    throw new InputError(
      `model.encoder.heads ${given} must divide ${width}, the width of the encoder in "${file}"`,
    );
  }
  const preset = Object.values(presets).find((preset) => preset.width === width);
  if (preset) return preset.heads;
  if (width % 64 === 0) return width / 64;
  throw new InputError(
    `"${file}" does not say how many heads its encoder of width ${width} has: give model.encoder.heads, ` +
      "such as --set model.encoder.heads=4",
  );
}

/** The images' size if they are square; null without positions or where their number is no square. */
function squareSize({ grid, patchSize }: Architecture): Size | null {
  return grid && [grid[0] * patchSize[0], grid[1] * patchSize[1]];
}

function describe(
  file: string,
  { encoderName }: Architecture,
  { encoder, patchSize, imageSize }: EncoderOfCheckpoint,
  stored: TrainState | null,
): string {
  const by = (size: Size) => size[0] === size[1] ? String(size[0]) : `${size[0]}x${size[1]}`;
  const steps = stored === null ? "" : ` after ${counted(stored.step, "step")} of ${jobWords[stored.job]}`;
  return `Encoder of ${file}${steps}: ${encoderWords(encoderName, encoder)}, ` +
    `patches of ${by(patchSize)} pixels${imageSize ? `, images of ${by(imageSize)}` : ""}`;
}

/** "vit_tiny, 12 blocks, 192 wide, 3 heads" */
export function encoderWords(name: string, { depth, width, heads }: TransformerConfig): string {
  const words = [counted(depth, "block"), `${width} wide`, counted(heads, "head")];
  return [...(name === "custom" ? [] : [name]), ...words].join(", ");
}

function counted(many: number, what: string): string {
  return `${many} ${what}${many === 1 ? "" : "s"}`;
}

const jobWords: Readonly<Record<TrainState["job"], string>> = {
  pretrain: "pre-training",
  finetune: "fine-tuning",
  linprobe: "linear probing",
};

function classifierOf(stored: TrainState | null): { classifier: ClassifierInfo | null } {
  return { classifier: classifierInfoOf(stored?.classifier) };
}
