import { assert, assertAlmostEquals, assertEquals } from "../deps.ts";
import { Canvas, type Point } from "../../src/report/canvas.ts";
import { drawCurve, drawLossCurve, movingAverage } from "../../src/report/curve.ts";
import type { MetricsRecord } from "../../src/report/metrics.ts";
import { niceTicks } from "../../src/report/ticks.ts";
import { bluePixels } from "../support/pictures.ts";

const columnsOf = (pixels: readonly Point[]) => new Set(pixels.map(([x]) => x)).size;

Deno.test("niceTicks() encloses the values with round steps and short labels", () => {
  const cases: [number, number, readonly string[]][] = [
    [0.34, 1.13, ["0.2", "0.4", "0.6", "0.8", "1.0", "1.2"]],
    [0, 100, ["0", "20", "40", "60", "80", "100"]],
    [-1, 1, ["-1.0", "-0.5", "0", "0.5", "1.0"]],
    [0, 50000, ["0", "10k", "20k", "30k", "40k", "50k"]],
    [0, 5e6, ["0", "1M", "2M", "3M", "4M", "5M"]],
    [1.0001, 1.0004, ["1.0001", "1.0002", "1.0003", "1.0004"]],
    [0, 1.5e-4, ["0", "5e-5", "1.0e-4", "1.5e-4"]],
    [7, 7, ["6.0", "6.5", "7.0", "7.5", "8.0"]],
    [0, 0, ["-1.0", "-0.5", "0", "0.5", "1.0"]],
  ];
  for (const [low, high, labels] of cases) {
    const ticks = niceTicks(low, high, 5);
    assertEquals(ticks.labels, labels);
    assert(ticks.low <= low && ticks.high >= high);
    assertEquals(ticks.values.length, labels.length);
  }
  assertEquals(niceTicks(1, 3, 8, true).labels, ["1", "2", "3"]); // whole steps only
  for (const size of [1e-29, 1e-3, 0.3, 7, 1e12, 1e29]) { // labels name different values differently
    const { labels } = niceTicks(size, size * 1.37, 6);
    assertEquals(new Set(labels).size, labels.length);
    assert(labels.every((label) => label.length < 12));
  }
});

Deno.test("Canvas.stroke() covers a line's pixels and softens its edges", () => {
  const canvas = new Canvas(20, 10);
  canvas.stroke([[[2, 5], [18, 5]]], 4, [0, 0, 0]);
  const column = Array.from({ length: 10 }, (_, y) => canvas.data[(y * 20 + 10) * 3]);
  assertEquals(column, [255, 255, 255, 0, 0, 0, 0, 255, 255, 255]);
  const crossed = new Canvas(20, 10);
  crossed.stroke([[[2, 5], [18, 5]], [[2, 5], [18, 5]]], 4, [0, 0, 0], 0.5);
  assertEquals(crossed.data[(5 * 20 + 10) * 3], 128); // drawn once, not twice
  const slanted = new Canvas(20, 20);
  slanted.stroke([[[0, 0], [20, 13]]], 2, [0, 0, 0]);
  assert(new Set(slanted.data).size > 10); // shades between black and white
});

Deno.test("drawCurve() puts the first and last value in the corners they belong to", () => {
  const canvas = drawCurve([{ name: "loss", points: [[0, 1], [100, 0]] }], {
    title: "t",
    xLabel: "step",
    yLabel: "loss",
  });
  const pixels = bluePixels(canvas);
  const first = pixels.reduce((a, b) => b[0] < a[0] ? b : a);
  const last = pixels.reduce((a, b) => b[0] > a[0] ? b : a);
  assert(first[0] < 80 && first[1] < 110, `${first}`);
  assertAlmostEquals(last[0], 932, 3);
  assertAlmostEquals(last[1], 540 - 28 - 34, 3);
  assert(columnsOf(pixels) > 800); // without gaps
});

Deno.test("drawCurve() draws what it can of empty, single, equal and non-finite values", () => {
  const blue = (points: Point[]) => bluePixels(drawCurve([{ name: "loss", points }])).length;
  assertEquals(blue([]), 0);
  assertEquals(blue([[NaN, 1], [1, NaN], [2, Infinity], [3, -1e300]]), 0);
  assert(blue([[5, 1]]) > 20); // a dot
  assert(blue([[1, 2], [1, 2]]) > 3); // the same point twice
  assert(blue([[0, 3], [9, 3]]) > 800); // a level line
  const gap = bluePixels(drawCurve([{ name: "loss", points: [[0, 1], [1, 1], [2, NaN], [3, 1], [4, 1]] }]));
  assert(columnsOf(gap) > 300 && columnsOf(gap) < 600, `${columnsOf(gap)}`); // half of the width
  assertEquals([drawCurve([]).width, drawCurve([], { width: 300, height: 200 }).height], [960, 200]);
  assert(new Set(drawCurve([]).data).size > 10); // the words that say so
});

Deno.test("drawCurve() names several lines and leaves faint ones out of the legend", () => {
  const points: Point[] = [[0, 0], [1, 0]];
  const legend = (isFaint: boolean) => {
    const { data, width } = drawCurve([{ name: "train", points }, { name: "test", points, isFaint }]);
    const isInk = (_: unknown, i: number) => data[i] < 255 && i % (width * 3) > width * 1.5; // in the right half
    return data.subarray(0, width * 26 * 3).some(isInk);
  };
  assertEquals([legend(false), legend(true)], [true, false]);
});

Deno.test("movingAverage() keeps lines, leaves out NaN, and spans its window", () => {
  const line = Array.from({ length: 30 }, (_, i): Point => [i, 2 * i]);
  const middle = movingAverage(line, 5).slice(0, 28);
  middle.forEach(([x, y]) => assertAlmostEquals(y, 2 * x, 1e-9));
  assertEquals(movingAverage([[0, 1], [1, NaN], [2, 4], [3, 4]], 3), [[0, 1], [1, 2.5], [2, 4], [3, 4]]);
  assertEquals(movingAverage([[0, NaN], [1, NaN]], 3).map(([, y]) => y), [NaN, NaN]);
  assertEquals(movingAverage([], 3), []);
});

Deno.test("drawLossCurve() smooths long runs and draws short ones as they are", () => {
  const records = (count: number) =>
    Array.from({ length: count }, (_, i): MetricsRecord => ({
      step: i + 1,
      epoch: i,
      loss: i % 10 === 3 ? null : 1 / (i + 1),
      lr: 0,
      grad_norm: 0,
      images_per_second: 0,
      data_wait: 0,
      skipped_steps: 0,
      seconds: 0,
    }));
  assertEquals(bluePixels(drawLossCurve([], "empty")).length, 0);
  const short = columnsOf(bluePixels(drawLossCurve(records(20), "short")));
  assert(short > 300 && short < 800, `${short}`); // a gap for each null
  assert(columnsOf(bluePixels(drawLossCurve(records(200), "long"))) > 800); // bridged by the mean
});
