/** Cutting a tensor's values into parts that one binding holds. */
import type { tf } from "../deps/tfjs.ts";
import type { Operand } from "./kernel.ts";
import { operandOf } from "./operand.ts";
import { requiredTarget } from "./target.ts";

/** A run of values of a tensor. */
export interface Part {
  /** The first, a multiple of 64: bindings start at multiples of 256 bytes. */
  readonly first: number;
  /** How many. */
  readonly count: number;
}

/**
 * Values of a part on software adapters, where parts are copied into textures: small enough that the textures, which are
 * kept for each size, take little memory, and large enough that launches cost nothing beside the work.
 */
const lanesPart = 2 ** 20;

/** Parts of `size` single-precision values that kernels on the open device can bind, in order. */
export function partsOf(size: number): Part[] {
  const { family, bindingBytes } = requiredTarget();
  const bound = Math.floor(bindingBytes / 256) * 64;
  const largest = family === "lanes" ? Math.min(bound, lanesPart) : bound;
  const parts: Part[] = [];
  for (let first = 0; first < size; first += largest) {
    parts.push({ first, count: Math.min(largest, size - first) });
  }
  return parts;
}

/** A part as the device reads it fastest; as the buffer it is where the tensor's size is no multiple of four. */
export function partOf(tensor: tf.Tensor, part: Part): Operand {
  return tensor.size % 4 === 0 ? operandOf(tensor, part) : { tensor, texture: false, ...part };
}
