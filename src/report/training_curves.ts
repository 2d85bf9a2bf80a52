/** The curves of a run with a validation set: losses above, accuracy below. */
import { Canvas, type Point } from "./canvas.ts";
import { drawCurve, movingAverage, type Series } from "./curve.ts";
import type { MetricsRecord } from "./metrics.ts";

/** From so many logged values on they are drawn pale, with a smoothed line over them. */
const MANY = 40;

/** Values of a field against the epoch; records without the field give no point. */
function pointsOf(records: readonly MetricsRecord[], name: string): Point[] {
  return records.filter((record) => name in record).map((
    record,
  ): Point => [record.epoch, record[name] ?? NaN]);
}

function trainingLoss(records: readonly MetricsRecord[]): Series[] {
  const points = pointsOf(records, "loss");
  if (points.length < MANY) return [{ name: "training", points, color: 0 }];
  return [
    { name: "training", points, color: 0, isFaint: true },
    { name: "training, smoothed", points: movingAverage(points, Math.ceil(points.length / 20)), color: 0 },
  ];
}

/** Ten points of accuracy beside values that are all alike: no axis beyond 100 %. */
function accuracyReach(points: readonly Point[]): number[] {
  const [low, high] = [Math.min(...points.map(([, y]) => y)), Math.max(...points.map(([, y]) => y))];
  if (low < high || points.length === 0) return [];
  return [low >= 10 ? low - 10 : low + 10];
}

/**
 * Losses of training (whose labels may be smoothed and mixed) and validation, and beneath them the accuracies in per cent.
 *
 * @param records what `readMetrics` gives
 * @param title what was trained
 */
export function drawTrainingCurves(records: readonly MetricsRecord[], title: string): Canvas {
  const xReach = [0, records.at(-1)?.epoch ?? 1]; // both charts lie over the same epochs
  const percent = (name: string) => pointsOf(records, name).map(([x, y]): Point => [x, 100 * y]);
  const losses = drawCurve([
    ...trainingLoss(records),
    { name: "validation", points: pointsOf(records, "val_loss"), color: 1 },
  ], { title, xLabel: "epoch", yLabel: "loss", height: 420, xReach });
  const [one, five] = [percent("val_top1"), percent("val_top5")];
  const accuracies = drawCurve([
    { name: "top-1", points: one, color: 2 },
    ...(five.length > 0 ? [{ name: "top-5", points: five, color: 3 }] : []),
  ], { xLabel: "epoch", yLabel: "validation accuracy, %", height: 380, xReach, yReach: accuracyReach(one) });
  const both = new Canvas(losses.width, losses.height + accuracies.height);
  both.draw(losses.data, losses.width, losses.height, 0, 0, 1);
  both.draw(accuracies.data, accuracies.width, accuracies.height, 0, losses.height, 1);
  return both;
}
