/** The figure at the end of a run that evaluates: its loss and its accuracy over the epochs. */
import { encodePng } from "../formats/png.ts";
import { drawTrainingCurves } from "../report/training_curves.ts";
import { readMetrics } from "../report/metrics.ts";
import { messageOf, RunError } from "../util/errors.ts";
import { baseName, joinPath, writeFileAtomic } from "../util/files.ts";
import type { RunParts } from "./training_job.ts";

/**
 * Draws what the run has logged, and writes it as PNG and for TensorBoard.
 * @returns the file
 * @throws {RunError} when it cannot be written
 */
export async function drawCurveFigure(
  { folder, log }: Pick<RunParts, "folder" | "log">,
  step: number,
): Promise<string> {
  const path = joinPath(folder.figures, `curves-step-${String(step).padStart(8, "0")}.png`);
  const picture = drawTrainingCurves(await readMetrics(folder.metrics), baseName(folder.path));
  try {
    await Deno.mkdir(folder.figures, { recursive: true });
    await writeFileAtomic(path, encodePng(picture));
  } catch (error) {
    throw new RunError(
      `The figure could not be written to ${path} (${messageOf(error)}); the checkpoint of step ${step} is ` +
        "intact, free some space and draw it with --resume",
    );
  }
  await log.image(step, "curves", picture);
  return path;
}
