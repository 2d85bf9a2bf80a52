/** What of a checkpoint belongs into an encoder for images of another size and another task. */
import type { Size } from "../config/types.ts";
import { type StoredTensor, toFloat32 } from "../formats/dtypes.ts";
import type { Misfits } from "../nn/misfits.ts";
import { parameter, type Parameters } from "../nn/parameters.ts";
import { resamplePositions } from "../nn/resample_positions.ts";
import { InputError } from "../util/errors.ts";

/** What loading an encoder did. */
export interface EncoderLoad {
  /** Grid that the checkpoint's positions were resampled from; null when they fitted. */
  readonly resampledFrom: Size | null;
  /** Names in the checkpoint that the model has no use for: decoder, mask token, another head. */
  readonly ignored: readonly string[];
  /** Parameters that keep the values they had: the head, and a norm that the checkpoint has not. */
  readonly kept: readonly string[];
  /** What did not fit, where a part would do; nothing of it was loaded. */
  readonly misfits: Misfits;
}

/** Grids of the model and, where it is no square, of the checkpoint. */
export interface Grids {
  /** Patches per column and row of the model. */
  readonly own: Size;
  /** The same of the checkpoint; a square by default. */
  readonly from?: Size;
}

/**
 * The parameters to fill and the values for them, names that fit nowhere included so that the loader reports them.
 * @throws {InputError} when there is no encoder in the checkpoint, one of other sizes, or positions of an unknown grid
 */
export function encoderState(
  parameters: Parameters,
  state: ReadonlyMap<string, StoredTensor>,
  grids: Grids,
  { partial = false }: { readonly partial?: boolean } = {},
): { wanted: Parameters; given: Map<string, StoredTensor>; load: Omit<EncoderLoad, "misfits"> } {
  checkSizes(parameters, state, partial);
  const fresh = (name: string) => name.startsWith("head.") || name.startsWith("fc_norm.") && !state.has(name);
  const wanted = new Map([...parameters].filter(([name]) => !fresh(name)));
  const foreign = (name: string) =>
    !wanted.has(name) && /^(mask_token$|decoder_|head\.|norm\.|fc_norm\.)/.test(name);
  const given = new Map([...state].filter(([name]) => !foreign(name)));
  const resampled = positionsFor(parameter(parameters, "pos_embed").shape, state.get("pos_embed"), grids);
  if (resampled) given.set("pos_embed", resampled.positions);
  return {
    wanted,
    given,
    load: {
      resampledFrom: resampled?.from ?? null,
      ignored: [...state.keys()].filter(foreign),
      kept: [...parameters.keys()].filter(fresh),
    },
  };
}

/** What a checkpoint's encoder is made of, as far as its tensors show it; undefined where they do not. */
function sizesOf(state: ReadonlyMap<string, { readonly shape: readonly number[] }>) {
  const [width, channels, ...patch] = state.get("patch_embed.proj.weight")?.shape ?? [];
  const blocks = new Set([...state.keys()].flatMap((name) => /^blocks\.(\d+)\./.exec(name)?.[1] ?? []));
  return {
    width,
    channels,
    "patch size": patch.length > 0 ? patch.join("x") : undefined,
    blocks: blocks.size,
    "MLP width": state.get("blocks.0.mlp.fc1.bias")?.shape[0],
  };
}

/** One sentence instead of a misfit per tensor. */
function checkSizes(
  parameters: Parameters,
  state: ReadonlyMap<string, StoredTensor>,
  partial: boolean,
): void {
  const [own, given] = [sizesOf(parameters), sizesOf(state)];
  if (given.blocks === 0 && given.width === undefined) {
    const [first] = state.keys();
    throw new InputError(
      `The checkpoint holds no encoder (${state.size} tensors, the first is ${first ?? "missing"}): ` +
        "give one of pre-training, whole or encoder only, or of fine-tuning",
    );
  }
  const misfits = Object.entries(own).flatMap(([what, size]) => {
    const other = given[what as keyof typeof given];
    return other === undefined || other === size ? [] : [`${what} ${other} instead of ${size}`];
  });
  if (misfits.length > 0 && !partial) {
    throw new InputError(
      `The checkpoint's encoder does not fit this model: it has ${misfits.join(", ")}; ` +
        "only image size and head may differ from the model it was trained as",
    );
  }
}

/** Resampled positions, or null where they fit, are missing, or are of another width. */
function positionsFor(
  [, , width]: readonly number[],
  stored: StoredTensor | undefined,
  { own, from }: Grids,
): { positions: StoredTensor; from: Size } | null {
  if (stored?.shape.length !== 3 || stored.shape[0] !== 1 || stored.shape[2] !== width) return null;
  const count = stored.shape[1] - 1;
  const side = Math.sqrt(count);
  const fits = count === own[0] * own[1];
  const grid = from ?? (fits ? own : [side, side] as const);
  if (!grid.every(Number.isInteger) || grid[0] * grid[1] !== count || count < 1) {
    throw new InputError(
      from
        ? `The checkpoint's ${count} positions are no grid of ${from[0]}x${from[1]} patches`
        : `The checkpoint's ${count} positions are no square grid of patches: say which grid they are of`,
    );
  }
  if (grid[0] === own[0] && grid[1] === own[1]) return null;
  const data = resamplePositions(toFloat32(stored), width, grid, own);
  return {
    positions: { shape: [1, 1 + own[0] * own[1], width], dtype: "F32", data },
    from: [grid[0], grid[1]],
  };
}
