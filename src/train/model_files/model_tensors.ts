/** The tensors of a model in a file of anybody's, under the official names. */
import { itemSize, tensorOf } from "../../formats/dtypes.ts";
import type { TensorOutline, TensorSource } from "../../formats/tensor_source.ts";
import { huggingFaceNaming } from "../../nn/checkpoint_names/huggingface.ts";
import { foreignPart, officialNaming } from "../../nn/checkpoint_names/official.ts";
import { type RenamedSource, renamedSource } from "../../nn/checkpoint_names/renamed_source.ts";
import { InputError } from "../../util/errors.ts";

/** A file's tensors under the official names. */
export interface NamedTensors {
  /** The tensors; closing it closes the file. */
  readonly source: RenamedSource;
  /** Whose names the file has. */
  readonly names: "official" | "huggingface";
  /** What had to be understood to read them, in sentences. */
  readonly notes: readonly string[];
}

/** A tensor that every vision transformer has, as the official code and Hugging Face call it. */
const signs = [
  ["official", "patch_embed.proj.weight"],
  ["huggingface", "embeddings.patch_embeddings.projection.weight"],
] as const;

/**
 * Finds the model among a file's tensors: at the top, or under a prefix such as `model.` or `state_dict.module.`.
 * @param partial leaves out what MAE has nothing like, in place of refusing it
 * @throws {InputError} when the model has parts that MAE has nothing like, or tensors are not whole
 */
export function namedTensors(
  file: TensorSource,
  { partial = false }: { partial?: boolean } = {},
): NamedTensors | null {
  const [best] = candidates(file);
  if (best === undefined) return null;
  const { names, prefix } = best;
  const source = names === "official" ? renamedSource(file, officialNaming, prefix) : renamedSource(
    file,
    huggingFaceNaming(prefix.endsWith("vit.") ? "vit." : ""),
    prefix.replace(/vit\.$/, ""),
  );
  if (!partial) refuseForeign(source);
  const zeros = missingBiases(source);
  const notes = zeros.size === 0
    ? []
    : ["Its queries, keys and values have no biases, which is as if they were zero"];
  return { source: zeros.size === 0 ? source : withZeros(source, zeros), names, notes };
}

interface Candidate {
  readonly names: NamedTensors["names"];
  readonly prefix: string;
}

/** Whether a prefix ends where a name begins, and is none that optimizers put before the names of weights. */
function isOfModel(prefix: string): boolean {
  return /(^|\.)$/.test(prefix) &&
    !/(^|\.)(optimizer|exp_avg|exp_avg_sq|momentum|momentum_buffer)\./.test(prefix);
}

/** Every model in the file, the one to take first: averages come last, and what the official code calls `model` first. */
function candidates(file: TensorSource): Candidate[] {
  const found: Candidate[] = [];
  for (const name of file.tensors.keys()) {
    for (const [names, sign] of signs) {
      const prefix = name.slice(0, -sign.length);
      if (name.endsWith(sign) && isOfModel(prefix)) found.push({ names, prefix });
    }
  }
  const rank = ({ prefix }: Candidate) => {
    if (/ema|teacher|averag/.test(prefix)) return 3;
    if (prefix === "") return 0;
    return /^(model|state_dict|model_state_dict|module)\./.test(prefix) ? 1 : 2;
  };
  return found.sort((a, b) => rank(a) - rank(b));
}

function refuseForeign({ path, unnamed, tensors }: RenamedSource): void {
  for (const name of unnamed) {
    const part = foreignPart(name);
    if (part === null) continue;
    throw new InputError(
      `The model in "${path}" has ${part} (${shown(name)}), which MAE's vision transformer has not: ` +
        "it would compute something else",
    );
  }
  if (tensors.has("cls_token")) return;
  throw new InputError(`The model in "${path}" has no class token, which every model of MAE has`);
}

/** A name from a file, short and printable. */
export function shown(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 77)}...` : name);
}

/** Biases of queries, keys and values where no block of a stack has them: they are a choice of its author. */
function missingBiases({ tensors }: RenamedSource): Map<string, TensorOutline> {
  const missing = new Map<string, TensorOutline>();
  for (const stack of ["blocks", "decoder_blocks"]) {
    const weights = [...tensors].filter(([name]) =>
      name.startsWith(`${stack}.`) && name.endsWith(".attn.qkv.weight")
    );
    const biasOf = (weight: string) => weight.replace(/weight$/, "bias");
    if (weights.some(([name]) => tensors.has(biasOf(name)))) continue;
    for (const [name, { dtype, shape: [rows = 0] }] of weights) {
      missing.set(biasOf(name), { dtype, shape: [rows] });
    }
  }
  return missing;
}

function withZeros(source: RenamedSource, zeros: ReadonlyMap<string, TensorOutline>): RenamedSource {
  return {
    ...source,
    tensors: new Map([...source.tensors, ...zeros]),
    read: (name) => {
      const outline = zeros.get(name);
      return outline ? Promise.resolve(zeroTensor(outline)) : source.read(name);
    },
    [Symbol.dispose]: () => source[Symbol.dispose](),
  };
}

function zeroTensor({ dtype, shape }: TensorOutline) {
  const count = shape.reduce((product, length) => product * length, 1);
  return tensorOf(dtype, shape, new Uint8Array(count * itemSize(dtype)));
}
