import type { Canvas } from "../../src/report/canvas.ts";
import { drawConfusion } from "../../src/report/confusion.ts";
import { assert, assertEquals, assertThrows } from "../deps.ts";

/** The class of a pixel by its colour: blue for right, orange for wrong, gray for nothing. */
function tint({ data, width }: Canvas, x: number, y: number): string {
  const [r, , b] = data.subarray((y * width + x) * 3);
  return b > r + 20 ? "right" : r > b + 20 ? "wrong" : "none";
}

/** Tints of the cells' lower right corners, where no number is, from the picture's right and bottom margins. */
function corners(canvas: Canvas, count: number, cell: number): string[][] {
  const at = (side: number, i: number) => side - 28 - (count - i) * cell + cell - 4;
  return Array.from(
    { length: count },
    (_, own) =>
      Array.from(
        { length: count },
        (_, other) => tint(canvas, at(canvas.width, other), at(canvas.height, own)),
      ),
  );
}

Deno.test("drawConfusion() colours the diagonal blue, mistakes orange, and leaves the rest empty", () => {
  const canvas = drawConfusion([4, 2, 0, 0, 6, 0, 3, 0, 3], ["ant", "bee", "cat"]);
  assertEquals(corners(canvas, 3, 56), [
    ["right", "wrong", "none"],
    ["none", "right", "none"],
    ["wrong", "none", "right"],
  ]);
});

Deno.test("drawConfusion() has room for the names of a hundred classes, and draws more without", () => {
  const picture = (count: number) =>
    drawConfusion(
      new Uint32Array(count * count),
      Array.from({ length: count }, (_, i) => `a long name ${i}`),
    );
  const hundred = picture(100);
  assertEquals((hundred.height - 28) > 100 * 13 + 80, true); // 13 pixels for a name of 11, and names above
  const many = picture(300);
  assertEquals(many.width - 300 * 3 < 100, true);
  const empty = picture(2);
  assert(new Set(empty.data).size > 10); // names are there
});

Deno.test("drawConfusion() writes title and note, and cuts what does not fit", () => {
  const texts = {
    title: "A very long title of a run in a folder with a long name ".repeat(9),
    note: "top-1 50.00 %",
  };
  const canvas = drawConfusion([1, 1, 1, 1], ["a".repeat(300), "b"], texts);
  assert(canvas.width < 1300 && canvas.height < 700, `${canvas.width} x ${canvas.height}`);
});

Deno.test("drawConfusion() refuses a matrix of another size", () => {
  assertThrows(() => drawConfusion([1, 2, 3], ["a", "b"]), RangeError, "2 classes need 4 counts, given 3");
});
