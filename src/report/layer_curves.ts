/** Statistics of an encoder over its depth, as small charts side by side. */
import type { Point } from "./canvas.ts";
import { Canvas, type Color } from "./canvas.ts";
import { type CurveOptions, drawCurve, type Series } from "./curve.ts";
import { shortenText, wrapText } from "./font.ts";

const DARK: Color = [24, 24, 27];
const GRAY: Color = [113, 113, 122];
const MARGIN = 28;
const [WIDTH, HEIGHT] = [640, 340];
const COLUMNS = 2;

/** What one chart shows over depth. */
export interface DepthChart {
  /** Above its y axis. */
  readonly label: string;
  /**
   * Lines by name: a value per layer, the embedding first and NaN where there is none; or several per layer, which are drawn
   * pale with their mean over them.
   */
  readonly lines: Readonly<Record<string, readonly (number | readonly number[])[]>>;
  /** Values that the y axis reaches at least. */
  readonly reach?: readonly number[];
  /** The largest value that there can be, drawn as a pale line across. */
  readonly limit?: number;
}

/** Lines of a chart: heads pale behind their mean. */
function seriesOf(lines: DepthChart["lines"]): Series[] {
  const names = Object.keys(lines);
  const each = names.map((name, color): Series[] => {
    const values = lines[name].map((value) => typeof value === "number" ? [value] : value);
    const many = Math.max(...values.map(({ length }) => length));
    const pointsBy = (pick: (all: readonly number[]) => number) =>
      values.map((all, layer): Point => [layer, all.length === 0 ? NaN : pick(all)]);
    const mean = (all: readonly number[]) => all.reduce((sum, value) => sum + value, 0) / all.length;
    const single = Array.from({ length: many > 1 ? many : 0 }, (_, i): Series => ({
      name: `${name} ${i + 1}`,
      points: pointsBy((all) => all[i] ?? NaN),
      isFaint: true,
      color,
    }));
    return [...single, { name, points: pointsBy(mean), color }];
  });
  return [...each.flatMap((series) => series.slice(0, -1)), ...each.flatMap((series) => series.slice(-1))];
}

/** The line across. */
function limitOf(limit: number | undefined, depth: number): Series[] {
  if (limit === undefined) return [];
  return [{ name: "limit", points: [[0, limit], [depth, limit]], isFaint: true, color: 1 }];
}

/**
 * Draws charts in two columns, all over the same depth: 0 is the embedding, k what the k-th block gives.
 *
 * @param charts at least one
 * @param depth blocks of the encoder
 * @param text title, and notes below it
 */
export function drawDepthCharts(
  charts: readonly DepthChart[],
  depth: number,
  { title, notes = [] }: { readonly title: string; readonly notes?: readonly string[] },
): Canvas {
  const width = COLUMNS * WIDTH;
  const lines = notes.flatMap((note) => wrapText(note, 15, width - 2 * MARGIN));
  const top = MARGIN + 26 + 22 * lines.length;
  const canvas = new Canvas(width, top + Math.ceil(charts.length / COLUMNS) * HEIGHT);
  const fitting = shortenText(title, 22, width - 2 * MARGIN);
  canvas.text(fitting, MARGIN, MARGIN + 18, { size: 22, color: DARK, bold: true });
  lines.forEach((line, i) => canvas.text(line, MARGIN, MARGIN + 44 + 22 * i, { size: 15, color: GRAY }));
  charts.forEach(({ label, lines, reach, limit }, i) => {
    const options: CurveOptions = {
      width: WIDTH,
      height: HEIGHT,
      yLabel: label,
      xLabel: "block",
      xReach: [0, depth],
      yReach: reach,
    };
    const chart = drawCurve([...limitOf(limit, depth), ...seriesOf(lines)], options);
    canvas.draw(chart.data, WIDTH, HEIGHT, i % COLUMNS * WIDTH, top + Math.floor(i / COLUMNS) * HEIGHT, 1);
  });
  return canvas;
}
