import type { Canvas } from "../../src/report/canvas.ts";
import { type DepthChart, drawDepthCharts } from "../../src/report/layer_curves.ts";
import { assert, assertEquals } from "../deps.ts";
import { bluePixels } from "../support/pictures.ts";

const rising: DepthChart = { label: "rising", lines: { rank: [1, 2, 3, 4] }, reach: [0] };
const heads: DepthChart = { label: "heads", lines: { entropy: [[], [1, 3], [1, 3], [1, 3]] }, limit: 4 };

Deno.test("drawDepthCharts() sets charts in two columns under the title", () => {
  const text = { title: "Depth", notes: ["a note"] };
  const one = drawDepthCharts([rising], 3, text);
  const three = drawDepthCharts([rising, heads, heads], 3, text);
  assertEquals([one.width, three.width, three.height - one.height], [1280, 1280, 340]);
  assertEquals(drawDepthCharts([rising], 3, { title: "Depth" }).height, one.height - 22);
  const blue = bluePixels(three);
  const part = (x: number, y: number) =>
    blue.some(([px, py]) => Math.floor(px / 640) === x && Math.floor((py - (one.height - 340)) / 340) === y);
  assertEquals([part(0, 0), part(1, 0), part(0, 1), part(1, 1)], [true, true, true, false]);
});

Deno.test("a chart of heads has their mean over pale lines, begins at block 1 and shows the limit", () => {
  const canvas = drawDepthCharts([heads], 3, { title: "" });
  const rows = bluePixels(canvas).map(([, y]) => y);
  assert(Math.max(...rows) - Math.min(...rows) <= 2); // the mean is level
  const columns = bluePixels(canvas).map(([x]) => x);
  const whole = bluePixels(drawDepthCharts([rising], 3, { title: "" })).map(([x]) => x);
  const start = (all: number[]) => Math.min(...all);
  assert(start(columns) > start(whole) + 100); // a third of the axis later
  const orange = ({ data }: Canvas) => data.filter((red, i) => i % 3 === 0 && red > data[i + 2] + 20).length;
  const unlimited = drawDepthCharts([{ ...heads, limit: undefined }], 3, { title: "" });
  assert(orange(canvas) > 400 && orange(unlimited) === 0);
});
