/** What every training job does once its run is open: test and tune the device, train, draw, and say where all is. */
import { checkRunKernels } from "./kernel_check.ts";
import type { RunOptions, RunResult } from "./open_run.ts";
import { type JobWork, type RunParts, TrainingJob } from "./training_job.ts";

/** What jobs do in their own ways. */
export interface TrainingSteps {
  /** When the job began, by `performance.now()`. */
  readonly started: number;
  /** Finds the fastest plans of the job's kernels. */
  readonly tune: () => Promise<void>;
  /** What comes before the first step, where there is one to make. */
  readonly prepare?: () => Promise<void>;
  /** Draws the figure of a run that made all of its steps; gives its file, or null for none. */
  readonly draw: (facts: { readonly step: number; readonly loss: number | null }) => Promise<string | null>;
}

/** Trains from the first step that is left to the last, or until the signal, and closes the log. */
export async function runTraining(
  parts: RunParts,
  work: JobWork,
  options: RunOptions,
  { started, tune, prepare, draw }: TrainingSteps,
): Promise<RunResult> {
  const { folder, log, loader, onEvent } = parts;
  const job = new TrainingJob(parts, work);
  onEvent(job.startEvent());
  if (parts.firstBatch) {
    if (options.checkKernels !== false) await checkRunKernels(parts);
    if (options.tune !== false) await tune();
    await prepare?.();
  }
  const { step, interrupted } = await job.train();
  const figure = interrupted ? null : await draw({ step, loss: job.loss });
  await log.close();
  return {
    steps: step,
    loss: job.loss,
    checkpoint: job.checkpoint,
    metrics: folder.metrics,
    figure,
    events: folder.events,
    interrupted,
    seconds: (performance.now() - started) / 1000,
    brokenFiles: loader.broken.length,
  };
}
