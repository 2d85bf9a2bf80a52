/** The encoder that another job starts from: a model of any kind that is known, with everything it says about itself. */
import type { EncoderOfCheckpoint } from "../../config/finetune_types.ts";
import { defaultStatistics } from "../../config/common_sections.ts";
import type { TransformerConfig } from "../../config/types.ts";
import { officialCropShare } from "../../augment/augment.ts";
import type { StoredTensor } from "../../formats/dtypes.ts";
import { InputError, RunError } from "../../util/errors.ts";
import type { ClassifierInfo } from "../checkpoint/classifier_info.ts";
import { counted, sizeInWords, steps } from "./model_kind.ts";
import { encoderOf, type ModelSource, openModelSource, readState } from "./model_source.ts";

/** An encoder on the disk, read. */
export interface EncoderSource {
  /** The file that was read, or the index of several. */
  readonly path: string;
  /** What it is, in one sentence for the log. */
  readonly description: string;
  /** Every tensor of the model by official name; what is no encoder's (a decoder, a head) is among them. */
  readonly state: ReadonlyMap<string, StoredTensor>;
  /** Its sizes, and what is known of its images. */
  readonly encoder: EncoderOfCheckpoint;
  /** Classes and images of a classifier; null for any other. */
  readonly classifier: ClassifierInfo | null;
  /** Whether a classifier's classes are numbers because nothing names them. */
  readonly numbered?: boolean;
  /** What had to be assumed, and what of the file was left out, in sentences. */
  readonly notes?: readonly string[];
  /** Whether what fits is loaded where something does not. */
  readonly partial?: boolean;
}

/** What only the user may know or decide. */
export interface EncoderSourceOptions {
  /** Attention heads, which leave no trace in a file: for encoders of no named size where nothing says them. */
  readonly heads?: number;
  /** Whether what fits is loaded where something does not; by default it is refused. */
  readonly partial?: boolean;
  /** What the user is asked to give where nothing says the heads; `model.encoder.heads` by default. */
  readonly headsFlag?: string;
}

/**
 * Reads the encoder of a run (its best checkpoint, or else its newest), of a checkpoint's folder, of a folder of Hugging Face
 * or timm, or of a safetensors or PyTorch file, whole or encoder only.
 *
 * The number of heads comes from what lies beside the tensors, else from `heads`, else from the named encoder of that width,
 * else it is one per 64 values.
 * @throws {InputError} when there is no such path, no encoder in it, or it is damaged or unreadable
 */
export async function readEncoderSource(
  path: string,
  { heads, partial, headsFlag = "model.encoder.heads, such as --set model.encoder.heads=4" }:
    EncoderSourceOptions = {},
): Promise<EncoderSource> {
  using source = await openModelSource(path, { heads, partial });
  const { architecture: { patchSize, channels }, facts: { imageSize, mean, std, reading, normEpsilon } } =
    source;
  const encoder: EncoderOfCheckpoint = {
    encoder: encoderOf(source, headsFlag),
    patchSize,
    channels,
    imageSize,
    normEpsilon,
    ...(mean && { mean }),
    ...(std && { std }),
    ...(reading && { reading }),
  };
  const classifier = classifierOf(source);
  return {
    path: source.path,
    description: describe(source, encoder),
    state: await readAll(source),
    encoder,
    classifier,
    ...(classifier && !source.facts.classifier && !source.facts.classes && { numbered: true }),
    notes: [...source.notes, ...(classifier ? assumptions(source) : [])],
    partial,
  };
}

async function readAll(source: ModelSource): Promise<Map<string, StoredTensor>> {
  try {
    return await readState(source);
  } catch (error) {
    throw error instanceof RunError ? new InputError(error.message, { cause: error }) : error;
  }
}

function describe(
  { path, kind, title, architecture: { encoderName }, state }: ModelSource,
  { encoder, patchSize, imageSize }: EncoderOfCheckpoint,
): string {
  const whose = kind === "huggingface" || kind === "timm" ? ` (${title})` : "";
  const after = state === null ? "" : ` after ${steps(state)}`;
  return `Encoder of ${path}${whose}${after}: ${encoderWords(encoderName, encoder)}, ` +
    `patches of ${sizeInWords(patchSize)} pixels${imageSize ? `, images of ${sizeInWords(imageSize)}` : ""}`;
}

/** "vit_tiny, 12 blocks, 192 wide, 3 heads" */
export function encoderWords(name: string, { depth, width, heads }: TransformerConfig): string {
  const words = [counted(depth, "block"), `${width} wide`, counted(heads, "head")];
  return [...(name === "custom" ? [] : [name]), ...words].join(", ");
}

/**
 * What it takes to classify with a model: as its run says, else as far as anything says, with what the official code and
 * ImageNet have for the rest. Null where it has no head, or one that no classifier of MAE has.
 */
function classifierOf({ tensors, architecture, facts }: ModelSource): ClassifierInfo | null {
  if (facts.classifier) return facts.classifier;
  const { channels } = architecture;
  const { imageSize, pooling, classes, mean, std, cropShare } = facts;
  const rows = tensors.get("head.weight")?.shape[0];
  if (rows === undefined || imageSize === null || !pooling) return null;
  const numbered = Array.from({ length: rows }, (_, i) => String(i));
  return {
    classes: classes?.length === rows ? classes : numbered,
    imageSize,
    channels,
    ...defaultStatistics(channels),
    ...(mean && { mean }),
    ...(std && { std }),
    cropShare: cropShare ?? officialCropShare(imageSize),
    exif: "apply",
    pooling,
  };
}

/** What was assumed for a classifier because nothing says it. */
function assumptions({ facts, architecture: { channels } }: ModelSource): string[] {
  const { classifier, classes, mean, std } = facts;
  if (classifier) return [];
  const whose = channels >= 3 ? "ImageNet's" : "0.5 and 0.25";
  return [
    ...(classes ? [] : ["Nothing names the classes: they are numbered from 0"]),
    ...(mean && std ? [] : [`Nothing says mean and deviation of the pixels: ${whose} are assumed`]),
  ];
}
