/** Flat pictures, and looking for them on a canvas. */
import type { Size } from "../../src/config/types.ts";
import type { Canvas } from "../../src/report/canvas.ts";

/** An RGB picture of one gray. */
export const flat = ([height, width]: Size, value: number): Uint8Array =>
  new Uint8Array(height * width * 3).fill(value);

/** The colour at a pixel. */
export const at = ({ data, width }: Canvas, x: number, y: number): number[] => [
  ...data.subarray((y * width + x) * 3).subarray(0, 3),
];

/** How many pixels have exactly this gray value. */
export function count({ data }: Canvas, value: number): number {
  let pixels = 0;
  for (let i = 0; i < data.length; i += 3) {
    if (data[i] === value && data[i + 1] === value && data[i + 2] === value) pixels++;
  }
  return pixels;
}
