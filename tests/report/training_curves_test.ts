import type { Canvas, Color } from "../../src/report/canvas.ts";
import type { MetricsRecord } from "../../src/report/metrics.ts";
import { drawTrainingCurves } from "../../src/report/training_curves.ts";
import { assert, assertEquals } from "../deps.ts";

const record = (step: number, extra: Record<string, number | null> = {}): MetricsRecord => ({
  step,
  epoch: step / 10,
  loss: 2 / step,
  lr: 1e-3,
  grad_norm: 1,
  images_per_second: 1,
  data_wait: 0,
  skipped_steps: 0,
  seconds: step,
  ...extra,
});

/** Rows from the first to the last pixel of a colour; null where it is nowhere. */
function rowsOf({ data, width, height }: Canvas, [r, g, b]: Color): [number, number] | null {
  const rows = Array.from({ length: height }, (_, y) => y).filter((y) => {
    for (let at = y * width * 3; at < (y + 1) * width * 3; at += 3) {
      if (data[at] === r && data[at + 1] === g && data[at + 2] === b) return true;
    }
    return false;
  });
  return rows.length === 0 ? null : [rows[0], rows[rows.length - 1]];
}

const [validation, top1, top5]: Color[] = [[234, 88, 12], [22, 163, 74], [147, 51, 234]];

Deno.test("drawTrainingCurves() draws losses above accuracies", () => {
  const records = Array.from(
    { length: 60 },
    (_, i) => record(i + 1, i % 10 === 9 ? { val_loss: 1, val_top1: i / 60, val_top5: 0.5 + i / 120 } : {}),
  );
  const canvas = drawTrainingCurves(records, "run");
  const [losses, first, five] = [validation, top1, top5].map((color) => rowsOf(canvas, color));
  assert(losses && first && five);
  assert(losses[1] < 420 && first[0] > 420 && five[0] > 420);
});

Deno.test("drawTrainingCurves() draws what there is: one evaluation, equal ones, none", () => {
  const one = drawTrainingCurves([record(10, { val_loss: null, val_top1: 1 })], "run");
  assert(rowsOf(one, top1) !== null);
  assertEquals(rowsOf(one, top5), null);
  const equal = drawTrainingCurves([10, 20].map((step) => record(step, { val_loss: 1, val_top1: 1 })), "run");
  const [top] = rowsOf(equal, top1) ?? [0];
  assert(top < 420 + 100, `${top}`); // at the upper end: the axis ends at 100 %
  assertEquals(drawTrainingCurves([], "run").width, 960);
});
