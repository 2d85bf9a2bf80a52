/** The loop that every training job shares: when to log, when to save, when to stop. */
import type { Interval } from "../config/types.ts";

/** What a job does at each of the loop's moments. Steps count from 1 when done. */
export interface LoopJob {
  /** Total optimizer steps, and those made before. */
  readonly steps: number;
  readonly startStep: number;
  readonly stepsPerEpoch: number;
  readonly logEvery: number;
  readonly checkpointEvery: Interval;
  /** Records one optimizer step; must not wait for the device. `step` is the number made before it. */
  readonly makeStep: (step: number) => Promise<void>;
  /** Waits for the device and throws what it reports. */
  readonly settle: () => Promise<void>;
  /** After every step. */
  readonly onStep: (step: number) => void;
  /** Every `logEvery` steps and at the end. */
  readonly log: (step: number) => Promise<void>;
  /** On the schedule, at the end, and when stopped. */
  readonly save: (step: number) => Promise<void>;
  readonly signal?: AbortSignal;
}

/** How far the host may run ahead of the device. */
const longestUnsettled = 500; // ms

/** Runs until the last step or until the signal; returns the steps made. */
export async function runLoop(job: LoopJob): Promise<{ step: number; interrupted: boolean }> {
  let step = job.startStep;
  let saved = job.startStep;
  let lastSave = performance.now();
  let lastSettled = performance.now();
  while (step < job.steps && !job.signal?.aborted) {
    await job.makeStep(step);
    step++;
    // Without waiting now and then the host would queue steps faster than the device makes them, and an error or a
    // signal would be noticed late. Once in half a second costs about two per cent at most.
    if (performance.now() - lastSettled > longestUnsettled) {
      await job.settle();
      lastSettled = performance.now();
    }
    if (step % job.logEvery === 0 || step === job.steps) await job.log(step);
    job.onStep(step);
    if (isDue(job.checkpointEvery, step, job.stepsPerEpoch, lastSave) && step < job.steps) {
      await job.save(step);
      saved = step;
      lastSave = performance.now();
    }
  }
  const interrupted = step < job.steps;
  if (saved !== step || step === 0) await job.save(step);
  return { step, interrupted };
}

function isDue({ every, unit }: Interval, step: number, stepsPerEpoch: number, lastSave: number): boolean {
  if (unit === "minute") return performance.now() - lastSave >= every * 60_000;
  return step % (unit === "epoch" ? every * stepsPerEpoch : every) === 0;
}
