/**
 * A model on the disk, whoever wrote it: its tensors under the official names, one at a time, its architecture, and what is
 * known of it besides.
 */
import type { TransformerConfig } from "../../config/types.ts";
import type { StoredTensor } from "../../formats/dtypes.ts";
import { openTensors } from "../../formats/open_tensors.ts";
import type { TensorSource } from "../../formats/tensor_source.ts";
import { type Architecture, architectureOf, type StackSizes } from "../../nn/architecture.ts";
import { InputError } from "../../util/errors.ts";
import type { TrainState } from "../checkpoint/checkpoint.ts";
import { findModelFile } from "./model_file.ts";
import { identify, type ModelKind, readBeside, sizesInWords } from "./model_kind.ts";
import { factsOf, type KnownHeads, type ModelFacts, type Said } from "./model_said.ts";
import { namedTensors } from "./model_tensors.ts";

export type { ModelKind } from "./model_kind.ts";
export type { KnownHeads, ModelFacts } from "./model_said.ts";

/** An open model. `tensors` and `read` know it by the official names, whatever the file's own. Close it by `using`. */
export interface ModelSource extends TensorSource {
  /** Whose names and files it came in. */
  readonly kind: ModelKind;
  /** Whose it is, in words: "Hugging Face ViTMAEForPreTraining". */
  readonly title: string;
  /** The same with its sizes, in one sentence. */
  readonly description: string;
  /** Its sizes. */
  readonly architecture: Architecture;
  /** What is known besides. */
  readonly facts: ModelFacts;
  /** Names in the file that are no part of the model: an optimizer, averages, another head. */
  readonly unused: readonly string[];
  /** State of the run that wrote it; null where it is no checkpoint of this program. */
  readonly state: TrainState | null;
  /** What had to be understood to read it, in sentences. */
  readonly notes: readonly string[];
}

/** How a model is opened. */
export interface ModelSourceOptions extends KnownHeads {
  /** Opens models with parts that MAE has nothing like, and leaves these out. */
  readonly partial?: boolean;
}

/**
 * Opens a model: a run, a checkpoint's folder, a folder of Hugging Face or timm, or a safetensors or PyTorch file with the
 * names of the official code, timm or Hugging Face. No tensor is read yet, and nothing in a file is run.
 * @throws {InputError} when there is none at the path, it is damaged, or it is no vision transformer as MAE has it
 */
export async function openModelSource(path: string, options: ModelSourceOptions = {}): Promise<ModelSource> {
  const { file, folder } = await findModelFile(path);
  using opened = new DisposableStack();
  const tensors = opened.use(await openTensors(file));
  const named = namedTensors(tensors, options);
  const architecture = named && architectureOf(shapesOf(named.source));
  if (named === null || architecture === null) {
    throw new InputError(
      `"${file}" holds no encoder: none of its ${tensors.tensors.size} tensors has the names of the official code, timm or ` +
        "Hugging Face (patch_embed.proj.weight, blocks.0.mlp.fc1.weight, …); mae inspect lists what it holds",
    );
  }
  const { source } = named;
  const beside = await readBeside(file, folder, named.names);
  const { kind, title, said } = identify(tensors, named, architecture, beside);
  const facts = factsOf(said, architecture, options, file);
  checkPositions(source, architecture, said, file);
  const kept = opened.move();
  return {
    path: file,
    kind,
    title,
    description: `${title}: ${sizesInWords(architecture, facts, rowsOf(source))}`,
    architecture,
    facts,
    notes: named.notes,
    tensors: source.tensors,
    unused: [...source.unnamed, ...source.outside],
    state: beside.state,
    read: (name) => source.read(name),
    [Symbol.dispose]: () => kept.dispose(),
  };
}

function shapesOf({ tensors }: TensorSource): Map<string, readonly number[]> {
  return new Map([...tensors].map(([name, { shape }]) => [name, shape]));
}

/** Classes of the head; null where there is none. */
function rowsOf({ tensors }: TensorSource): number | null {
  return tensors.get("head.weight")?.shape[0] ?? null;
}

/** Positions of the patches alone are another model's: MAE's class token has one too. */
function checkPositions(
  source: TensorSource,
  { patchSize }: Architecture,
  said: readonly Said[],
  file: string,
): void {
  const imageSize = said.find((one) => one.imageSize !== undefined)?.imageSize;
  const [, places] = source.tensors.get("pos_embed")?.shape ?? [];
  if (imageSize === undefined || places !== imageSize[0] / patchSize[0] * imageSize[1] / patchSize[1]) return;
  throw new InputError(
    `The model in "${file}" has no position for its class token (no_embed_class in timm), and MAE's has: ` +
      "it would compute something else",
  );
}

/**
 * The encoder's blocks.
 * @param flag what the user is asked to give where nothing says the heads
 * @throws {InputError} when nothing says how many heads it has
 */
export function encoderOf(
  { path, architecture, facts }: Pick<ModelSource, "path" | "architecture" | "facts">,
  flag = "--heads, such as --heads 4",
): TransformerConfig {
  return stackOf(
    architecture.encoder,
    facts.heads,
    `"${path}" does not say how many heads its encoder`,
    flag,
  );
}

/**
 * The decoder's blocks; null where the file has none.
 * @throws {InputError} when nothing says how many heads it has
 */
export function decoderOf(
  { path, architecture: { decoder }, facts }: Pick<ModelSource, "path" | "architecture" | "facts">,
): TransformerConfig | null {
  const unsaid = `"${path}" does not say how many heads its decoder`;
  return decoder &&
    stackOf(decoder, facts.decoderHeads, unsaid, "--decoder-heads, such as --decoder-heads 16");
}

function stackOf(
  { width, depth, hidden }: StackSizes,
  heads: number | null,
  unsaid: string,
  flag: string,
): TransformerConfig {
  if (heads === null) throw new InputError(`${unsaid} of width ${width} has: give ${flag}`);
  const ratio = hidden / width;
  // The model cuts fractions of a hidden unit off, so that a ratio a little too small would cost one.
  return {
    width,
    depth,
    heads,
    mlpRatio: Math.floor(width * ratio) < hidden ? ratio * (1 + 2 ** -50) : ratio,
  };
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
