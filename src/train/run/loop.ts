/** The loop that every training job shares: when to log, when to save, when to stop. */
import { isAbort } from "../../util/abort.ts";
import type { Interval } from "../../config/types.ts";

/** What a job does at each of the loop's moments. Steps count from 1 when done. */
export interface LoopJob {
  /** Optimizer steps of the whole run. */
  readonly steps: number;
  /** Those made before. */
  readonly startStep: number;
  /** Optimizer steps of an epoch. */
  readonly stepsPerEpoch: number;
  /** Steps between two calls of `log`. */
  readonly logEvery: number;
  /** Further steps after which `log` is called. */
  readonly logsAlso?: (step: number) => boolean;
  /** When `save` is called besides the end. */
  readonly checkpointEvery: Interval;
  /** Records one optimizer step; must not wait for the device. `step` is the number made before it. */
  readonly makeStep: (step: number) => Promise<void>;
  /** Waits for the device and throws what is wrong: at least after the first step, and twice a second. */
  readonly settle: (step: number) => Promise<void>;
  /** After every step. */
  readonly onStep: (step: number) => void;
  /** Every `logEvery` steps and at the end. */
  readonly log: (step: number) => Promise<void>;
  /** On the schedule, at the end, and when stopped. */
  readonly save: (step: number) => Promise<void>;
  /** Ends the loop after the step in progress, or before it where the step throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** A clock in milliseconds. */
  readonly now?: () => number;
}

/** How far the host may run ahead of the device. */
const longestUnsettled = 500; // ms

/** Runs until the last step or until the signal; returns the steps made. */
export async function runLoop(job: LoopJob): Promise<{ step: number; interrupted: boolean }> {
  const now = job.now ?? (() => performance.now());
  let step = job.startStep;
  let saved = job.startStep;
  let lastSave = now();
  let lastSettled = -Infinity;
  while (step < job.steps && !job.signal?.aborted) {
    try {
      await job.makeStep(step);
    } catch (error) {
      if (isAbort(error, job.signal)) break;
      throw error;
    }
    step++;
    // Without waiting now and then the host would queue steps faster than the device makes them, and an error or a
    // signal would be noticed late. Once in half a second costs about two per cent at most.
    if (now() - lastSettled > longestUnsettled) {
      await job.settle(step);
      lastSettled = now();
    }
    if (step % job.logEvery === 0 || step === job.steps || job.logsAlso?.(step)) await job.log(step);
    job.onStep(step);
    if (isDue(job, step, now() - lastSave) && step < job.steps) {
      await job.save(step);
      saved = step;
      lastSave = now();
    }
  }
  const interrupted = step < job.steps;
  if (saved !== step || step === 0) await job.save(step);
  return { step, interrupted };
}

function isDue({ checkpointEvery, stepsPerEpoch }: LoopJob, step: number, sinceSave: number): boolean {
  const { every, unit } = checkpointEvery;
  if (unit === "minute") return sinceSave >= every * 60_000;
  return step % (unit === "epoch" ? every * stepsPerEpoch : every) === 0;
}
