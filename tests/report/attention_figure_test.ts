import type { Size } from "../../src/config/types.ts";
import { type AttentionRow, drawAttention, overlayMap } from "../../src/report/attention_figure.ts";
import type { Canvas } from "../../src/report/canvas.ts";
import { colorOf } from "../../src/report/color_map.ts";
import { assert, assertEquals, assertThrows } from "../deps.ts";

const gray = ([height, width]: Size, value: number) => new Uint8Array(height * width * 3).fill(value);
const at = (picture: Uint8Array, pixel: number) => [...picture.subarray(3 * pixel, 3 * pixel + 3)];
const mixed = (weight: number, under: number) =>
  colorOf(weight).map((part) => Math.round(0.72 * part + 0.28 * under));

Deno.test("overlayMap() gives each patch the colour of its share of the largest weight", () => {
  const picture = gray([4, 6], 100);
  const before = picture.slice();
  const over = overlayMap(picture, [0, 0.1, 0.2, 0.05], [4, 6], [2, 3]); // patches of 2 rows and 3 columns
  const weights = [0, 0.5, 1, 0.25];
  for (let pixel = 0; pixel < 24; pixel++) {
    const [y, x] = [Math.floor(pixel / 6), pixel % 6];
    const patch = (y < 2 ? 0 : 2) + (x < 3 ? 0 : 1);
    assertEquals(at(over, pixel), mixed(weights[patch], 100), `pixel ${pixel}`);
  }
  assertEquals(picture, before);
  assertEquals(at(overlayMap(picture, [0, 0, 0, 0], [4, 6], [2, 3]), 0), mixed(0, 100)); // nothing to divide by
});

Deno.test("overlayMap() colours the fewest patches that hold the mass", () => {
  const colored = (mass: number, map = [1, 4, 2, 3]) => {
    const over = overlayMap(gray([2, 2], 200), map, [2, 2], [1, 1], mass);
    return [0, 1, 2, 3].filter((pixel) => at(over, pixel).join() !== "90,90,90");
  };
  assertEquals(colored(1), [0, 1, 2, 3]);
  assertEquals(colored(0.39), [1]);
  assertEquals(colored(0.41), [1, 3]);
  assertEquals(colored(0.71), [1, 2, 3]);
  assertEquals(colored(0.5, [1, 1, 1, 1]), [0, 1]); // of equal ones the first
});

Deno.test("overlayMap() refuses sizes that do not match", () => {
  assertThrows(() => overlayMap(gray([4, 4], 0), [1, 1], [4, 4], [2, 2]), RangeError, "map of 2 weights");
  assertThrows(() => overlayMap(gray([2, 4], 0), [1, 1, 1, 1], [4, 4], [2, 2]), RangeError, "24 bytes");
  assertThrows(() => overlayMap(gray([4, 4], 0), [1], [4, 4], [3, 4]), RangeError, "patches of 3 x 4");
});

const row = (label: string, heads: number[][]): AttentionRow => {
  const size: Size = [96, 96]; // drawn at twice the size
  return { label, size, patchSize: [48, 48], picture: gray(size, 10), heads };
};
const pixel = ({ data, width }: Canvas, x: number, y: number) => at(data, y * width + x);

Deno.test("drawAttention() sets the picture, the mean and each head side by side, a row for each picture", () => {
  const heads = [[1, 0, 0, 0], [0, 0, 0, 1]];
  const canvas = drawAttention([row("one", heads), row("two", heads)]);
  assertEquals(canvas.width, 28 + 4 * 192 + 3 * 12 + 28);
  const top = canvas.data.findIndex((value) => value === 10) / 3 / canvas.width | 0;
  const column = (c: number) => 28 + c * 204;
  for (const y of [top, top + 192 + 24 + 12]) { // a label is 24 pixels high, and rows are 12 apart
    assertEquals(pixel(canvas, column(0), y + 1), [10, 10, 10]);
    assertEquals(pixel(canvas, column(1), y + 1), mixed(1, 10));
    assertEquals(pixel(canvas, column(1) + 191, y + 191), mixed(1, 10)); // the mean of both
    assertEquals(pixel(canvas, column(1) + 191, y + 1), mixed(0, 10));
    assertEquals(pixel(canvas, column(2), y + 1), mixed(1, 10));
    assertEquals(pixel(canvas, column(2) + 191, y + 191), mixed(0, 10));
    assertEquals(pixel(canvas, column(3) + 191, y + 191), mixed(1, 10));
  }
  const scale = Array.from({ length: canvas.height }, (_, y) => y).find((y) =>
    y > top + 400 && pixel(canvas, 28, y).join() === colorOf(0).join()
  );
  assert(scale !== undefined);
  assertEquals(pixel(canvas, 28 + 191, scale), [...colorOf(1)]);
});

Deno.test("drawAttention() leaves out the mean of one head, and refuses nothing to draw", () => {
  assertEquals(drawAttention([row("", [[1, 0, 0, 0]])]).width, 28 + 2 * 192 + 12 + 28);
  assertThrows(() => drawAttention([]), RangeError, "needs a picture");
});
