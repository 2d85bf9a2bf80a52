/** Curves over training: the loss, or any other number, against steps or epochs. */

import { Canvas, type Color, type Point, type TextStyle } from "./canvas.ts";
import { measureText, shortenText } from "./font.ts";
import type { MetricsRecord } from "./metrics.ts";
import { niceTicks, type Ticks } from "./ticks.ts";

const DARK: Color = [24, 24, 27];
const GRAY: Color = [113, 113, 122];
const AXIS: Color = [161, 161, 170];
const GRID: Color = [236, 236, 239];
const PALETTE: readonly Color[] = [[37, 99, 235], [234, 88, 12], [22, 163, 74], [147, 51, 234], [
  8,
  145,
  178,
]];
const TITLE: TextStyle = { size: 22, color: DARK, bold: true };
const TEXT: TextStyle = { size: 15, color: GRAY };
const MARGIN = 28;
/** Larger values than these are drawn as gaps: a chart that shows them shows nothing else. */
const LARGEST = 1e30;

/** A line of a chart. */
export interface Series {
  /** Shown in the legend, where there is more than one. */
  readonly name: string;
  /** Points in the order they are connected; those with NaN or an infinity leave a gap. */
  readonly points: readonly Point[];
  /** Drawn pale and thin, without a place in the legend: raw values behind a smoothed line. */
  readonly isFaint?: boolean;
  /** Index of its colour; by default its place among the lines. */
  readonly color?: number;
}

/** Words and size of a chart. */
export interface CurveOptions {
  /** Bold, at the top. */
  readonly title?: string;
  /** Below the right end of the x axis. */
  readonly xLabel?: string;
  /** Above the y axis. */
  readonly yLabel?: string;
  /** Values that the x axis reaches at least. */
  readonly xReach?: readonly number[];
  /** Values that the y axis reaches at least. */
  readonly yReach?: readonly number[];
  /** Width in pixels, 960 by default; at least 240. */
  readonly width?: number;
  /** Height in pixels, 540 by default; at least 180. */
  readonly height?: number;
}

/** The plotting area in pixels and the values at its edges. */
interface Frame {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly xTicks: Ticks;
  readonly yTicks: Ticks;
  /** Smallest and largest x; the x axis ends with the data, the y axis at a tick. */
  readonly xRange: readonly [number, number];
}

function isDrawable([x, y]: Point): boolean {
  return Math.abs(x) < LARGEST && Math.abs(y) < LARGEST; // false for NaN
}

function rangeOf(values: Iterable<number>): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? [low, high] : [0, 1];
}

function frameOf(
  series: readonly Series[],
  { title, yLabel, xReach = [], yReach = [], width = 960, height = 540 }: CurveOptions,
): Frame {
  const points = series.flatMap((line) => line.points.filter(isDrawable));
  const xRange = rangeOf([...points.map(([x]) => x), ...xReach]);
  const xTicks = niceTicks(...xRange, Math.max(2, Math.floor(width / 120)), true);
  const yTicks = niceTicks(
    ...rangeOf([...points.map(([, y]) => y), ...yReach]),
    Math.max(2, Math.floor(height / 80)),
  );
  const labelWidth = Math.max(...yTicks.labels.map((label) => measureText(label, TEXT.size)));
  const top = MARGIN + (title ? 36 : 0) + (yLabel ? 28 : 8);
  return {
    left: Math.round(MARGIN + labelWidth + 12),
    top,
    right: width - MARGIN,
    bottom: height - MARGIN - 34,
    xTicks,
    yTicks,
    xRange: xRange[0] < xRange[1] ? xRange : [xTicks.low, xTicks.high],
  };
}

const placeX = ({ left, right, xRange: [low, high] }: Frame, x: number): number =>
  left + (x - low) / (high - low) * (right - left);

const placeY = ({ top, bottom, yTicks: { low, high } }: Frame, y: number): number =>
  bottom - (y - low) / (high - low) * (bottom - top);

function drawAxes(canvas: Canvas, frame: Frame, options: CurveOptions): void {
  const { left, right, top, bottom, xTicks, yTicks, xRange } = frame;
  yTicks.values.forEach((value, i) => {
    const y = Math.round(placeY(frame, value));
    canvas.fill(left, y, right - left, 1, GRID);
    canvas.text(yTicks.labels[i], left - 12, y + 5, { ...TEXT, align: "right" });
  });
  canvas.fill(left, bottom, right - left, 1, AXIS);
  xTicks.values.forEach((value, i) => {
    if (value < xRange[0] || value > xRange[1]) return;
    const x = Math.round(placeX(frame, value));
    canvas.fill(x, bottom, 1, 6, AXIS);
    canvas.text(xTicks.labels[i], x, bottom + 23, { ...TEXT, align: "center" });
  });
  const title = shortenText(options.title ?? "", TITLE.size, canvas.width - 2 * MARGIN);
  canvas.text(title, MARGIN, MARGIN + 18, TITLE);
  canvas.text(options.yLabel ?? "", MARGIN, top - 16, TEXT);
  canvas.text(options.xLabel ?? "", right, bottom + 46, { ...TEXT, align: "right" });
}

/** The line's runs of drawable points, in pixels. */
function pixelRuns(points: readonly Point[], frame: Frame): Point[][] {
  const runs: Point[][] = [[]];
  for (const point of points) {
    if (isDrawable(point)) runs[runs.length - 1].push([placeX(frame, point[0]), placeY(frame, point[1])]);
    else runs.push([]);
  }
  return runs.filter((run) => run.length > 0);
}

function drawSeries(canvas: Canvas, { points, isFaint }: Series, color: Color, frame: Frame): void {
  const runs = pixelRuns(points, frame);
  canvas.stroke(runs, isFaint ? 1.2 : 2.4, color, isFaint ? 0.3 : 1);
  const isDot = ([[x, y], ...rest]: Point[]) => rest.every((point) => point[0] === x && point[1] === y);
  if (!isFaint) canvas.stroke(runs.filter(isDot), 7, color);
}

function drawLegend(
  canvas: Canvas,
  series: readonly Series[],
  colors: readonly Color[],
  { right, top }: Frame,
): void {
  let x = right;
  for (let i = series.length - 1; i >= 0; i--) {
    if (series[i].isFaint) continue;
    canvas.text(series[i].name, x, top - 16, { ...TEXT, align: "right" });
    x -= measureText(series[i].name, TEXT.size) + 12;
    canvas.stroke([[[x - 20, top - 21], [x, top - 21]]], 3, colors[i]);
    x -= 44;
  }
}

/**
 * Draws lines over common axes. No points at all give empty axes that say so; one point, equal values, NaN and infinities
 * are drawn as far as they can be.
 *
 * @param series the lines, the first below the others
 * @param options words and size
 */
export function drawCurve(series: readonly Series[], options: CurveOptions = {}): Canvas {
  const { width = 960, height = 540 } = options;
  const canvas = new Canvas(Math.max(240, width), Math.max(180, height));
  const frame = frameOf(series, { ...options, width: canvas.width, height: canvas.height });
  const colors = series.map(({ color }, i) => PALETTE[(color ?? i) % PALETTE.length]);
  drawAxes(canvas, frame, options);
  series.forEach((line, i) => drawSeries(canvas, line, colors[i], frame));
  if (series.filter(({ isFaint }) => !isFaint).length > 1) drawLegend(canvas, series, colors, frame);
  if (!series.some(({ points }) => points.some(isDrawable))) {
    const [x, y] = [(frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2];
    canvas.text("no values yet", x, y, { ...TEXT, align: "center" });
  }
  return canvas;
}

/**
 * Means over the `window` points around each point, those that cannot be drawn left out; x stays. Towards the start the
 * window narrows on both sides, so that a steep first fall is not flattened; at the end it lacks its later half.
 */
export function movingAverage(points: readonly Point[], window: number): Point[] {
  const sums = [0];
  const counts = [0];
  points.forEach((point, i) => {
    const counted = isDrawable(point);
    sums.push(sums[i] + (counted ? point[1] : 0));
    counts.push(counts[i] + (counted ? 1 : 0));
  });
  return points.map(([x], i): Point => {
    const half = Math.min(Math.floor(window / 2), i);
    const [from, to] = [i - half, Math.min(i + half + 1, points.length)];
    return [x, (sums[to] - sums[from]) / (counts[to] - counts[from])]; // NaN, a gap, where none is left
  });
}

/**
 * The loss against the step: every logged value, and where they are many a smoothed line over them.
 *
 * @param records what `readMetrics` gives
 * @param title what was trained
 */
export function drawLossCurve(records: readonly MetricsRecord[], title: string): Canvas {
  const points = records.map(({ step, loss }): Point => [step, loss ?? NaN]);
  const options: CurveOptions = { title, xLabel: "step", yLabel: "loss" };
  if (points.length < 40) return drawCurve([{ name: "loss", points }], options);
  const smooth = movingAverage(points, Math.ceil(points.length / 20));
  return drawCurve([
    { name: "loss", points, isFaint: true, color: 0 },
    { name: "smoothed", points: smooth, color: 0 },
  ], options);
}
