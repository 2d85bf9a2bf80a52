import { assert, assertEquals, assertThrows } from "../deps.ts";
import type { Size } from "../../src/config/types.ts";
import type { Canvas } from "../../src/report/canvas.ts";
import {
  drawFigure,
  drawReconstructions,
  enlargement,
  type ReconstructionRow,
} from "../../src/report/figure.ts";
import { maskedPicture, pastePicture } from "../../src/report/patches.ts";

const flat = ([height, width]: Size, value: number) => new Uint8Array(height * width * 3).fill(value);

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

/** The colour at a pixel. */
const at = (
  { data, width }: Canvas,
  x: number,
  y: number,
) => [...data.subarray((y * width + x) * 3).subarray(0, 3)];

/** How many pixels have exactly this gray value. */
function count({ data }: Canvas, value: number): number {
  let pixels = 0;
  for (let i = 0; i < data.length; i += 3) {
    if (data[i] === value && data[i + 1] === value && data[i + 2] === value) pixels++;
  }
  return pixels;
}

Deno.test("drawReconstructions() shows every pixel of every picture, enlarged", () => {
  const row = (size: Size, base: number, label = ""): ReconstructionRow => ({
    label,
    size,
    original: flat(size, base),
    masked: flat(size, base + 1),
    reconstruction: flat(size, base + 2),
    pasted: flat(size, base + 3),
  });
  const rows = [row([32, 32], 140, "été.png, loss 0.4"), row([16, 48], 150), row([300, 200], 160)];
  const canvas = drawReconstructions(rows, {
    maskRatio: 0.75,
    title: "vit, step 6",
    notes: ["a"],
    footer: "b",
  });
  for (let column = 0; column < 4; column++) {
    // Soft edges of letters may have the same gray, so a few more are allowed.
    for (const [value, pixels] of [[140, 192 * 192], [150, 64 * 192], [160, 300 * 200]]) {
      const found = count(canvas, value + column);
      assert(found >= pixels && found < pixels + 60, `${found} pixels of ${value + column}, not ${pixels}`);
    }
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
