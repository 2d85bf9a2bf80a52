import { assert, assertEquals, assertThrows } from "../deps.ts";
import type { Size } from "../../src/config/types.ts";
import { drawFigure, enlargement } from "../../src/report/figure.ts";
import { maskedPicture, pastePicture } from "../../src/report/patches.ts";
import { at, count, flat } from "./support.ts";

Deno.test("maskedPicture() grays the removed patches, pastePicture() keeps the visible ones", () => {
  const size: Size = [4, 6];
  const original = Uint8Array.from({ length: 72 }, (_, i) => i);
  const reconstruction = original.map((value) => 255 - value);
  const mask = [0, 1, 1, 0]; // patches of 2 rows and 3 columns
  const masked = maskedPicture(original, mask, size, [2, 3]);
  const pasted = pastePicture(original, reconstruction, mask, size, [2, 3]);
  for (let i = 0; i < 72; i++) {
    const [y, x] = [Math.floor(i / 18), Math.floor(i / 3) % 6];
    const isRemoved = mask[(y < 2 ? 0 : 2) + (x < 3 ? 0 : 1)] === 1;
    assertEquals(masked[i], isRemoved ? 206 : original[i]);
    assertEquals(pasted[i], isRemoved ? reconstruction[i] : original[i]);
  }
  assertEquals(original[40], 40); // untouched
});

Deno.test("maskedPicture() and pastePicture() refuse sizes that do not match", () => {
  const original = flat([4, 4], 0);
  assertThrows(() => maskedPicture(original, [0, 1], [4, 4], [2, 2]), RangeError, "mask of 2");
  assertThrows(
    () => maskedPicture(original, [0, 1, 0, 1], [4, 8], [2, 4]),
    RangeError,
    "Picture of 48 bytes",
  );
  assertThrows(() => maskedPicture(original, [0], [4, 4], [3, 4]), RangeError, "patches of 3 x 4");
  assertThrows(() => pastePicture(original, flat([2, 2], 0), [0], [4, 4], [4, 4]), RangeError, "12 bytes");
});

Deno.test("enlargement() is a whole number that brings pictures near 192 pixels", () => {
  const cases: [Size, number][] = [[[32, 32], 6], [[64, 64], 3], [[96, 96], 2], [[128, 128], 2], [
    [224, 224],
    1,
  ]];
  for (
    const [size, expected] of [...cases, [[1, 1], 192], [[48, 16], 4], [[512, 300], 1]] as [Size, number][]
  ) {
    assertEquals(enlargement(size), expected);
  }
});

Deno.test("drawFigure() keeps pixels where they belong and a white margin", () => {
  const picture = Uint8Array.from({ length: 2 * 2 * 3 }, (_, i) => 20 * i); // four colours
  const canvas = drawFigure([""], [{ label: "", size: [2, 2], pictures: [picture] }]);
  assertEquals([canvas.width, canvas.height], [360 + 56, 56 + 6 + 192]);
  const [left, top] = [28, 34];
  assertEquals(at(canvas, left, top), [0, 20, 40]);
  assertEquals(at(canvas, left + 95, top + 95), [0, 20, 40]);
  assertEquals(at(canvas, left + 96, top + 95), [60, 80, 100]);
  assertEquals(at(canvas, left + 191, top + 191), [180, 200, 220]);
  assertEquals(at(canvas, left + 192, top), [255, 255, 255]);
  assertEquals(at(canvas, left - 1, top), [255, 255, 255]);
});

Deno.test("drawFigure() takes rows with fewer pictures and no rows at all", () => {
  const size: Size = [96, 96];
  const rows = [{ label: "a", size, pictures: [flat(size, 1), flat(size, 2)] }, {
    label: "b",
    size,
    pictures: [flat(size, 3)],
  }];
  const canvas = drawFigure(["one", "two"], rows);
  assertEquals([1, 2, 3].map((value) => count(canvas, value)), [192 ** 2, 192 ** 2, 192 ** 2]);
  const empty = drawFigure(["one"], [], { title: "nothing" });
  assert(empty.width > 0 && empty.height > 0 && empty.data.some((value) => value < 40));
  assertThrows(
    () => drawFigure(["one"], [{ label: "", size, pictures: [flat([5, 5], 0)] }]),
    RangeError,
    "96 x 96 pixels has 75 bytes",
  );
});

Deno.test("drawFigure() sets groups of columns apart, under their titles and over their remarks", () => {
  const size: Size = [48, 48]; // enlarged four times
  const row = (remarks?: string[]) => ({
    label: "a name that is longer than the first column is wide",
    size,
    pictures: [60, 61, 62, 63, 64].map((value) => flat(size, value)),
    remarks,
  });
  const groups = [{ title: "one", start: 1, count: 2 }, { title: "two", start: 3, count: 2 }];
  const columns = ["a", "b", "c", "d", "e"];
  const canvas = drawFigure(columns, [row(["left", "right"])], { groups });
  const plain = drawFigure(columns, [row()]);
  // Two gaps of 12 pixels are 32 instead.
  assertEquals(canvas.width, plain.width + 2 * 20);
  assert(canvas.height > plain.height);
  const lefts = [28, 28 + 192 + 32, 28 + 2 * 192 + 44, 28 + 3 * 192 + 76, 28 + 4 * 192 + 88];
  const y = canvas.height - 28 - 24 - 30; // in the pictures, above the label
  for (const [i, left] of lefts.entries()) {
    assertEquals([at(canvas, left, y)[0], at(canvas, left + 191, y)[0]], [60 + i, 60 + i]);
    assertEquals(at(canvas, left - 1, y), [255, 255, 255]);
  }
  // The label keeps out of the gap before the first group, and each remark begins with its group.
  const ink = (from: number, to: number) => {
    let dark = 0;
    for (let x = from; x < to; x++) {
      for (let below = canvas.height - 28 - 22; below < canvas.height - 28; below++) {
        if (at(canvas, x, below)[0] < 180) dark++;
      }
    }
    return dark;
  };
  assert(ink(28, 28 + 192) > 50);
  assertEquals(ink(lefts[1] - 12, lefts[1] - 1), 0);
  for (const left of [lefts[1], lefts[3]]) assert(ink(left, left + 40) > 10);
  assertEquals(ink(lefts[2], lefts[2] + 192), 0);
});
