/** The sizes of a masked autoencoder or of its encoder, read off the shapes of its parameters. */

import { presets } from "../config/presets.ts";
import type { Size } from "../config/types.ts";

/** A stack of transformer blocks; the number of heads leaves no trace in the shapes. */
export interface StackSizes {
  /** Token width. */
  readonly width: number;
  /** Number of blocks. */
  readonly depth: number;
  /** Hidden units of an MLP. */
  readonly hidden: number;
}

/** What the shapes of a checkpoint tell. */
export interface Architecture {
  /** The encoder's blocks. */
  readonly encoder: StackSizes;
  /** Name of the preset with the encoder's sizes, or "custom". */
  readonly encoderName: string;
  /** The decoder's blocks; null where the checkpoint has none. */
  readonly decoder: StackSizes | null;
  /** Patch size in pixels. */
  readonly patchSize: Size;
  /** Values per pixel. */
  readonly channels: number;
  /** Patches of an image; null without a position embedding. */
  readonly patches: number | null;
  /** Patches per column and row of a square grid; null where the number of patches is no square. */
  readonly grid: Size | null;
}

/** Shapes by official parameter name. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

/**
 * The architecture of parameters with the official names, or null when they are none.
 *
 * @param shapes [width, channels, height, width] for `patch_embed.proj.weight`, [out, in] for linear weights
 */
export function architectureOf(shapes: Shapes): Architecture | null {
  const patch = shapes.get("patch_embed.proj.weight");
  const encoder = stackOf(shapes, "blocks");
  if (patch?.length !== 4 || encoder === null || encoder.width !== patch[0]) return null;
  const patches = patchesOf(shapes);
  const side = Math.sqrt(patches ?? NaN);
  return {
    encoder,
    encoderName: nameOf(encoder),
    decoder: stackOf(shapes, "decoder_blocks"),
    patchSize: [patch[2], patch[3]],
    channels: patch[1],
    patches,
    grid: Number.isInteger(side) ? [side, side] : null,
  };
}

/** Blocks 0, 1, 2 … up to the first that is missing. */
function stackOf(shapes: Shapes, prefix: string): StackSizes | null {
  let depth = 0;
  while (shapes.has(`${prefix}.${depth}.mlp.fc1.weight`)) depth++;
  const weight = shapes.get(`${prefix}.0.mlp.fc1.weight`); // [hidden, width]
  return weight?.length === 2 ? { width: weight[1], depth, hidden: weight[0] } : null;
}

/** The position embedding is [1, 1 + patches, width]. */
function patchesOf(shapes: Shapes): number | null {
  const positions = shapes.get("pos_embed");
  return positions?.length === 3 && positions[1] > 1 ? positions[1] - 1 : null;
}

function nameOf({ width, depth, hidden }: StackSizes): string {
  const match = Object.entries(presets).find(([, preset]) =>
    preset.width === width && preset.depth === depth && preset.width * preset.mlpRatio === hidden
  );
  return match?.[0] ?? "custom";
}
