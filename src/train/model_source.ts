/**
 * A model on the disk, whoever wrote it: its tensors under the official names, one at a time, its architecture, and what is
 * known of it besides.
 */
import type { Size, TransformerConfig } from "../config/types.ts";
import type { StoredTensor } from "../formats/dtypes.ts";
import { openSafetensors } from "../formats/safetensors.ts";
import type { TensorOutline, TensorSource } from "../formats/tensor_source.ts";
import { type Architecture, architectureOf, type StackSizes } from "../nn/architecture.ts";
import type { Pooling } from "../ops/pool_tokens.ts";
import { InputError } from "../util/errors.ts";
import { presets } from "../config/presets.ts";
import { findModelFile } from "./model_file.ts";

/** Whose names and files a model came in. */
export type ModelKind = "mae" | "official" | "huggingface" | "timm";

/** What the tensors do not show. */
export interface ModelFacts {
  /** Attention heads of the encoder; null where nothing says. */
  readonly heads: number | null;
  /** Attention heads of the decoder; null where nothing says, or there is none. */
  readonly decoderHeads: number | null;
  /** What is added to the variance in every layer norm; 1e-6 unless the file says otherwise. */
  readonly normEpsilon: number;
  /** Size of the images it was trained on, in pixels; null where nothing says. */
  readonly imageSize: Size | null;
  /** Per-channel mean of its images' pixels in [0, 1], where something says. */
  readonly mean?: readonly number[];
  /** Per-channel standard deviation, likewise. */
  readonly std?: readonly number[];
  /** Whether the decoder predicts patches normalised by their own mean and deviation, where something says. */
  readonly normalizeTarget?: boolean;
  /** What the head reads, where there is one. */
  readonly pooling?: Pooling;
  /** Names of the classes, in the order of the head's rows, where something says. */
  readonly classes?: readonly string[];
}

/** An open model. `tensors` and `read` know it by the official names, whatever the file's own. Close it by `using`. */
export interface ModelSource extends TensorSource {
  /** Whose names and files it came in. */
  readonly kind: ModelKind;
  /** What it is, in one sentence. */
  readonly description: string;
  /** Its sizes. */
  readonly architecture: Architecture;
  /** What is known besides. */
  readonly facts: ModelFacts;
  /** Names of the file that are no part of the model: an optimizer, averages, another framework's leftovers. */
  readonly unused: readonly string[];
}

/** What only the user may know; it goes before what the file says. */
export interface ModelSourceOptions {
  /** Attention heads of the encoder. */
  readonly heads?: number;
  /** Attention heads of the decoder. */
  readonly decoderHeads?: number;
}

/**
 * Opens a model: a run, a checkpoint's folder, or a safetensors file with the official names. No tensor is read yet.
 * @throws {InputError} when there is none at the path, or none of a kind that is known
 */
export async function openModelSource(path: string, options: ModelSourceOptions = {}): Promise<ModelSource> {
  const { file } = await findModelFile(path);
  const tensors = await openSafetensors(file);
  try {
    const architecture = architectureOf(
      new Map([...tensors.tensors].map(([name, { shape }]) => [name, shape])),
    );
    if (architecture === null) throw new InputError(`"${file}" holds no encoder with the official names`);
    return sourceOf(tensors, architecture, options);
  } catch (error) {
    tensors.close();
    throw error;
  }
}

function sourceOf(file: TensorSource, architecture: Architecture, options: ModelSourceOptions): ModelSource {
  const { encoder, decoder, grid, patchSize } = architecture;
  return {
    path: file.path,
    kind: "official",
    description:
      `Official names: ${architecture.encoderName}, ${encoder.depth} blocks, ${encoder.width} wide`,
    tensors: file.tensors as ReadonlyMap<string, TensorOutline>,
    read: (name) => file.read(name),
    architecture,
    facts: {
      heads: options.heads ?? presetHeads(encoder),
      decoderHeads: decoder && (options.decoderHeads ?? (decoder.width === 512 ? 16 : null)),
      normEpsilon: 1e-6,
      imageSize: grid && [grid[0] * patchSize[0], grid[1] * patchSize[1]],
    },
    unused: [],
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}

function presetHeads({ width }: StackSizes): number | null {
  return Object.values(presets).find((preset) => preset.width === width)?.heads ?? null;
}

/**
 * The encoder's blocks.
 * @throws {InputError} when nothing says how many heads it has
 */
export function encoderOf({ path, architecture, facts }: ModelSource): TransformerConfig {
  return stackOf(
    architecture.encoder,
    facts.heads,
    `"${path}" does not say how many heads its encoder`,
    "--heads",
  );
}

/**
 * The decoder's blocks; null where the file has none.
 * @throws {InputError} when nothing says how many heads it has
 */
export function decoderOf({ path, architecture, facts }: ModelSource): TransformerConfig | null {
  const { decoder } = architecture;
  const unsaid = `"${path}" does not say how many heads its decoder`;
  return decoder && stackOf(decoder, facts.decoderHeads, unsaid, "--decoder-heads");
}

function stackOf(
  { width, depth, hidden }: StackSizes,
  heads: number | null,
  unsaid: string,
  flag: string,
): TransformerConfig {
  if (heads === null) {
    throw new InputError(`${unsaid} of width ${width} has: give ${flag}, such as ${flag} 4`);
  }
  return { width, depth, heads, mlpRatio: hidden / width };
}

/** Reads every tensor, or those that are wanted, into memory. */
export async function readState(
  source: TensorSource,
  isWanted: (name: string) => boolean = () => true,
): Promise<Map<string, StoredTensor>> {
  const state = new Map<string, StoredTensor>();
  for (const name of source.tensors.keys()) if (isWanted(name)) state.set(name, await source.read(name));
  return state;
}
