/** Timing kernels by the wall clock. */
import { tf } from "../deps/tfjs.ts";
import { currentWebGpu, submitPending } from "./runtime.ts";

/** Milliseconds that the device takes for so many runs, the wait for it included (about 11 ms). */
export type Stopwatch = (record: () => void, runs: number) => Promise<number>;

/**
 * Records the runs and times them from their submission, all at once, to their end. Must not be called while anything
 * else uses the device.
 */
export async function timeRuns(record: () => void, runs: number): Promise<number> {
  const gpu = currentWebGpu();
  if (!gpu) throw new Error("Timing kernels needs the WebGPU backend");
  const { backend, device } = gpu;
  submitPending(backend);
  const flag = "WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE"; // dispatches after which tfjs submits
  const before = tf.env().getNumber(flag);
  tf.env().set(flag, Number.MAX_SAFE_INTEGER);
  try {
    for (let run = 0; run < runs; run++) tf.tidy(record);
  } finally {
    tf.env().set(flag, before);
  }
  backend.ensureCommandEncoderReady();
  backend.endComputePassEncoder();
  const start = performance.now();
  submitPending(backend);
  await device.queue.onSubmittedWorkDone();
  return performance.now() - start;
}

/** How thoroughly runs are timed. */
export interface Thoroughness {
  /** Milliseconds of work to time at once: many times what a wait is uncertain by. */
  readonly milliseconds: number;
  /** How often; the shortest time counts. */
  readonly tries: number;
}

/** More runs at once take the host longer to record than the device to make. */
const mostRuns = 2048;
/** Milliseconds of the shortest run that so many runs can time; the host needs longer to record one. */
const shortestTold = 0.01;

/**
 * Milliseconds of one run of a kernel that has run before, from the difference between many runs and none. Times too
 * short to tell are all the same.
 * @param best of others so far: timing ends early when this one is clearly slower, and gives what it looks like then
 */
export async function timeOfRun(
  record: () => void,
  best: number,
  { milliseconds, tries }: Thoroughness,
  time: Stopwatch,
): Promise<number> {
  const wait = await time(record, 0);
  const perRun = async (runs: number) => Math.max(0, await time(record, runs) - wait) / runs;
  // First a rough idea, from few runs.
  let runs = 1;
  let shortest = await perRun(runs);
  while (shortest * runs < milliseconds / 2 && runs < mostRuns) {
    runs *= 4;
    shortest = await perRun(runs);
  }
  if (shortest > 2 * best) return shortest;
  const many = Math.max(runs, Math.min(mostRuns, Math.ceil(milliseconds / shortest)));
  shortest = Infinity;
  for (let i = 0; i < tries; i++) {
    shortest = Math.min(shortest, await perRun(many));
    if (shortest > 1.2 * best) break;
  }
  return Math.max(shortest, shortestTold);
}
