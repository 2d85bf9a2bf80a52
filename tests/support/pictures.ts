/** Looking at pictures that were drawn. */
import type { Canvas, Point } from "../../src/report/canvas.ts";

/** Places of pixels of the first line's colour, a pure blue. */
export function bluePixels({ data, width }: Canvas): Point[] {
  const found: Point[] = [];
  for (let i = 0; i < data.length; i += 3) {
    if (data[i] === 37 && data[i + 1] === 99 && data[i + 2] === 235) {
      found.push([(i / 3) % width, Math.floor(i / 3 / width)]);
    }
  }
  return found;
}
