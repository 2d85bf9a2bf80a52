import { assert, assertEquals } from "../deps.ts";
import { Canvas } from "../../src/report/canvas.ts";
import { glyphStrokes, layOutText, measureText, shortenText, wrapText } from "../../src/report/font.ts";

const ASCII = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));

/** The smallest box around everything that is not white: left, top, right, bottom. */
function inkBox({ data, width, height }: Canvas): [number, number, number, number] {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let i = 0; i < width * height; i++) {
    if (data[3 * i] === 255) continue;
    const [x, y] = [i % width, Math.floor(i / width)];
    [left, top, right, bottom] = [
      Math.min(left, x),
      Math.min(top, y),
      Math.max(right, x + 1),
      Math.max(bottom, y + 1),
    ];
  }
  return [left, top, right, bottom];
}

Deno.test("glyphStrokes() has a shape of its own for every printable ASCII character", () => {
  const shapes = new Set(ASCII.map((character) => JSON.stringify(glyphStrokes(character))));
  assertEquals(shapes.size, ASCII.length);
  const unknown = JSON.stringify(glyphStrokes("日"));
  assert(!shapes.has(unknown));
  for (const character of ASCII) {
    for (const [x, y] of glyphStrokes(character).flat()) {
      assert(x >= -0.5 && x <= 17 && y >= -15.1 && y <= 5, `${character} at ${x}, ${y}`);
    }
  }
});

Deno.test("Canvas.text() inks the width of measureText() and a stroke, flush with its edge, on the baseline", () => {
  for (const size of [14, 22, 40]) {
    const stroke = size * 0.085;
    const width = measureText("HxH", size) + stroke;
    for (
      const [align, left] of [["left", 100], ["center", 100 - width / 2], ["right", 100 - width]] as const
    ) {
      const canvas = new Canvas(200, 80);
      canvas.text("HxH", 100, 60, { size, color: [0, 0, 0], align });
      const box = inkBox(canvas);
      const expected = [left, 60 - 0.7 * size - stroke / 2, left + width, 60 + stroke / 2];
      box.forEach((edge, i) =>
        assert(Math.abs(edge - expected[i]) <= 1.5, `${size} ${align}: ${box} ${expected}`)
      );
    }
  }
});

Deno.test("Canvas.text() draws bold text darker and cuts off what lies outside", () => {
  const ink = (bold: boolean) => {
    const canvas = new Canvas(60, 30);
    canvas.text("Masked", 2, 22, { size: 18, color: [0, 0, 0], bold });
    return canvas.data.reduce((sum, value) => sum + 255 - value, 0);
  };
  assert(ink(true) > 1.2 * ink(false));
  const canvas = new Canvas(10, 10);
  canvas.text("far away", -500, -500, { size: 20, color: [0, 0, 0] });
  assertEquals(inkBox(canvas), [10, 10, 0, 0]);
  canvas.text("cut", 5, 5, { size: 20, color: [0, 0, 0] });
  assert(inkBox(canvas)[2] === 10);
});

Deno.test("layOutText() makes plain what the font lacks", () => {
  const plain = (text: string) => layOutText(text, 20).map(({ character }) => character).join("");
  assertEquals(plain("Été – 3 × 4…\tx\n"), "Ete - 3 × 4... x ");
  assertEquals(glyphStrokes("日"), glyphStrokes("\u{1f600}"));
  assertEquals(measureText("", 20), 0);
});

Deno.test("wrapText() and shortenText() keep within the width", () => {
  const text = "normalised target: patches denormalised with true statistics";
  for (const width of [120, 300, 5000]) {
    const lines = wrapText(text, 15, width);
    assert(lines.every((line) => measureText(line, 15) <= width));
    assertEquals(lines.join(" "), text);
  }
  assertEquals(wrapText("  ", 15, 100), []);
  const short = shortenText("a_very_long_file_name_without_a_space.jpeg", 15, 100);
  assert(short.startsWith("a_very") && short.endsWith("...") && measureText(short, 15) <= 100, short);
  assertEquals(wrapText("a_very_long_file_name_without_a_space.jpeg", 15, 100), [short]);
  assertEquals(shortenText("short", 15, 100), "short");
});
