/** How a kernel's matrices are bound: as buffers or textures, in single or half precision, whole or in part. */
import type { tf } from "../deps/tfjs.ts";
import { isHalf } from "./half.ts";
import type { Operand } from "./kernel.ts";
import { roomOf } from "./room.ts";
import { texelsPerRow } from "./textures.ts";
import { currentWebGpu } from "./runtime.ts";
import { kernelTarget } from "./target.ts";

/** Where a kernel finds its quads (four values side by side): the code of a load depends on it. */
export type Storage = "buffer" | "texture" | "half_buffer" | "half_texture";

/**
 * The tensor, or `count` of its values from `first` on, as the open device reads it fastest: as a texture on software
 * adapters where it fits, else as the buffer it is. Both numbers are multiples of 64 (bindings start at 256 bytes).
 */
export function operandOf(tensor: tf.Tensor, part?: { first: number; count: number }): Operand {
  const side = currentWebGpu()?.adapter.limits.maxTextureDimension2D ?? 0;
  const count = part?.count ?? roomOf(tensor);
  const fits = count % 4 === 0 && count / 4 <= texelsPerRow * side;
  return { tensor, texture: fits && kernelTarget()?.family === "lanes", ...part };
}

/** How an operand is stored. */
export function storageOf({ tensor, texture }: Operand): Storage {
  const shape = texture ? "texture" : "buffer";
  return isHalf(tensor) ? `half_${shape}` : shape;
}
