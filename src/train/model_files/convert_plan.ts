/** What of a model a conversion writes, and under which conditions it can. */
import type { TensorOutline } from "../../formats/tensor_source.ts";
import { findMisfits, hasMisfits, listMisfits } from "../../nn/misfits.ts";
import { modelShapes } from "../../nn/model_shapes.ts";
import { InputError } from "../../util/errors.ts";
import type { ModelKind, ModelSource } from "./model_source.ts";
import { partialHint } from "./part_loaded.ts";

/** What a model can be converted to. */
export type ConvertKind = ModelKind | "onnx";

/** A precision that weights can be written in. */
export type WeightPrecision = "f32" | "f16" | "bf16";

/** What is wanted of a model. */
export interface Wanted {
  /** What it is converted to. */
  readonly to: ConvertKind;
  /** Leaves decoder, mask token and head out. */
  readonly encoderOnly?: boolean;
  /** Writes what fits where something does not. */
  readonly partial?: boolean;
}

/** The tensors to write. */
export interface ConvertPlan {
  /** By official name, in the official order. */
  readonly tensors: ReadonlyMap<string, TensorOutline>;
  /** Whether the decoder is among them. */
  readonly decoder: boolean;
  /** Rows of the head, where it is among them; else null. */
  readonly classes: number | null;
  /** Names of the file that are not among them. */
  readonly left: readonly string[];
  /** What there is to know, in sentences. */
  readonly notes: readonly string[];
}

const decoderName = /^(mask_token$|decoder_)/;
const headName = /^head\./;

/**
 * Chooses the tensors to write, and checks that they are whole.
 * @throws {InputError} naming what is missing, unexpected or of another shape, unless a part will do
 */
export function planConversion(
  source: ModelSource,
  { to, encoderOnly = false, partial = false }: Wanted,
): ConvertPlan {
  const { path, architecture, facts } = source;
  const decoder = architecture.decoder !== null && !encoderOnly && to !== "timm" && to !== "onnx";
  const rows = source.tensors.get("head.weight")?.shape[0] ?? null;
  const classes = encoderOnly ? null : rows;
  if (classes !== null && facts.pooling === null) {
    throw new InputError(
      `The head of "${path}" pools tokens as no classifier of MAE does: --encoder-only converts the rest`,
    );
  }
  const chosen = new Map([...source.tensors].filter(([name]) => {
    if (decoderName.test(name)) return decoder;
    return !headName.test(name) || classes !== null;
  }));
  const norms = (["norm", "fc_norm"] as const).filter((name) => chosen.has(`${name}.weight`));
  const shapes = modelShapes({ ...architecture, decoder: decoder ? architecture.decoder : null }, {
    classes,
    norms: norms.length > 0 ? norms : ["norm"],
    maskTokens: facts.maskTokens,
  });
  const misfits = findMisfits(shapes, new Map([...chosen].map(([name, { shape }]) => [name, shape])));
  if (hasMisfits(misfits) && !partial) {
    throw new InputError(`"${path}" does not hold its model whole: ${listMisfits(misfits)}${partialHint}`);
  }
  const tensors = new Map<string, TensorOutline>();
  for (const [name, shape] of shapes) {
    const outline = chosen.get(name);
    if (outline?.shape.join() !== shape.join()) continue;
    checkFloats(path, name, outline);
    tensors.set(name, outline);
  }
  const left = [...source.tensors.keys()].filter((name) => !tensors.has(name));
  return {
    tensors,
    decoder,
    classes,
    left: [...left, ...source.unused],
    notes: [
      ...source.notes,
      ...(hasMisfits(misfits) ? [`What does not fit is left out: ${listMisfits(misfits)}`] : []),
    ],
  };
}

function checkFloats(path: string, name: string, { dtype }: TensorOutline): void {
  if (/^B?F\d+$/.test(dtype)) return;
  throw new InputError(`${name} of "${path}" is of type ${dtype}, and weights are floating-point numbers`);
}

/** "decoder (26), optimizer (180)": names by their first part, with counts. */
export function groupedNames(names: readonly string[]): string {
  const groups = new Map<string, number>();
  for (const name of names) {
    const group = decoderName.test(name) ? "decoder" : name.split(".")[0];
    groups.set(group, (groups.get(group) ?? 0) + 1);
  }
  const words = [...groups].map(([group, count]) => count === 1 ? group : `${group} (${count} tensors)`);
  const rest = words.length > 10 ? `, and ${words.length - 10} more` : "";
  return words.slice(0, 10).join(", ") + rest;
}
