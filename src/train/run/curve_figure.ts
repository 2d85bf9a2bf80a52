/** The figure at the end of a run that evaluates: its loss and its accuracy over the epochs. */
import { drawTrainingCurves } from "../../report/training_curves.ts";
import { readMetrics } from "../../report/metrics.ts";
import { baseName } from "../../util/files.ts";
import type { RunParts } from "./training_job.ts";
import { writeFigure } from "./write_figure.ts";

/**
 * Draws what the run has logged, and writes it as PNG and for TensorBoard.
 * @returns the file
 * @throws {RunError} when it cannot be written
 */
export async function drawCurveFigure(
  parts: Pick<RunParts, "folder" | "log">,
  step: number,
): Promise<string> {
  const { folder } = parts;
  const picture = drawTrainingCurves(await readMetrics(folder.metrics), baseName(folder.path));
  return await writeFigure(parts, "curves", step, picture);
}
