/** Measuring one configuration, each part in a runtime of its own, so that memory starts at nothing. */
import { openRuntime, type Runtime } from "../gpu/runtime.ts";
import { tuneKernels } from "../gpu/tuner.ts";
import { RunError } from "../util/errors.ts";
import { prepare } from "./cases.ts";
import type { BenchConfig } from "./configurations.ts";
import { groupTimes } from "./groups.ts";
import { FeatureStep, TrainingStep } from "./model.ts";
import { bandwidthOf, type Peaks } from "./peaks.ts";
import { type DispatchTime, dispatchTimes, timestampPeriod } from "./profile.ts";
import type { KernelReport, RateReport, SplitReport, StepReport } from "./report.ts";
import { kernelUses } from "./shapes.ts";
import { type Clock, medianStep, millisecondsPerRun } from "./timing.ts";
import { describe, stepOperations, workOf } from "./work.ts";

/** Runs `work` on a WebGPU runtime opened for it alone. Throws `RunError` where there is no adapter. */
export async function onFreshRuntime<Result>(work: (runtime: Runtime) => Promise<Result>): Promise<Result> {
  let runtime = await openRuntime();
  if (runtime.memory().bytesPeak > 0) {
    await runtime.close(); // somebody used it before
    runtime = await openRuntime();
  }
  try {
    if (runtime.backend !== "webgpu") {
      throw new RunError(
        "mae bench measures a WebGPU adapter, and none was found; mae doctor names the driver to install",
      );
    }
    return await work(runtime);
  } finally {
    await runtime.close();
  }
}

function clockOf(runtime: Runtime): Clock {
  return { now: () => performance.now(), settle: () => runtime.settle() };
}

/** A whole training step, its memory, and where its time goes. */
export function measureStep(config: BenchConfig, peaks: Peaks, seconds: number): Promise<StepReport> {
  return onFreshRuntime(async (runtime) => {
    const step = new TrainingStep(config);
    step.run();
    await tuneKernels(); // what the first step has used
    const rate = await measureRate(runtime, config, () => step.run(), seconds);
    const operations = stepOperations(config);
    const gflops = operations / rate.millisecondsPerStep / 1e6;
    const { parameters } = step;
    const split = await splitOf(runtime, () => step.run(), rate.millisecondsPerStep, seconds);
    step.dispose();
    return { ...rate, parameters, operations, gflops, share: gflops / peaks.f32, split };
  });
}

/** The encoder on whole images. */
export function measureFeatures(config: BenchConfig, seconds: number): Promise<RateReport> {
  return onFreshRuntime(async (runtime) => {
    const step = new FeatureStep(config);
    step.run();
    await tuneKernels();
    const rate = await measureRate(runtime, config, () => step.run(), seconds);
    step.dispose();
    return rate;
  });
}

async function measureRate(
  runtime: Runtime,
  { batch }: BenchConfig,
  step: () => void,
  seconds: number,
): Promise<RateReport> {
  const { median, steps } = await medianStep(clockOf(runtime), step, seconds);
  return {
    imagesPerSecond: 1000 * batch / median,
    millisecondsPerStep: median,
    steps,
    peakBytes: runtime.memory().bytesPeak,
  };
}

/** Steps whose dispatches are timed together take at least this, so that the wait at the end is small beside it. */
const shortestProfile = 300; // ms

/**
 * Times single dispatches and the steps that they make up, a few times, and takes the fastest. What lies outside kernels
 * is found within one measurement: two would differ by more than it.
 */
async function splitOf(
  runtime: Runtime,
  step: () => void,
  milliseconds: number,
  seconds: number,
): Promise<SplitReport | null> {
  const period = await timestampPeriod(runtime);
  if (period === null) return null;
  const steps = Math.ceil(shortestProfile / milliseconds);
  const tries = 3 * steps * milliseconds > 1000 * Math.max(seconds, 1) ? 1 : 3;
  let best: { times: DispatchTime[]; wall: number } | null = null;
  for (let i = 0; i < tries; i++) {
    const start = performance.now();
    const { times, end } = await dispatchTimes(runtime, period, () => {
      for (let done = 0; done < steps; done++) step();
    });
    const wall = end - start;
    if (best === null || wall < best.wall) best = { times, wall };
  }
  return best && splitReport(best.times, best.wall, steps);
}

/** Shares of `wall` milliseconds, in which so many steps made these dispatches. */
export function splitReport(times: readonly DispatchTime[], wall: number, steps: number): SplitReport {
  const total = times.reduce((sum, time) => sum + time.milliseconds, 0);
  return {
    millisecondsPerStep: wall / steps,
    kernels: groupTimes(times).map(({ name, dispatches, milliseconds }) => ({
      name,
      dispatches: dispatches / steps,
      milliseconds: milliseconds / steps,
      share: milliseconds / wall,
    })),
    outside: { milliseconds: (wall - total) / steps, share: 1 - total / wall },
  };
}

/** Every kernel at the sizes of the configuration. */
export function measureKernels(
  config: BenchConfig,
  peaks: Peaks,
  seconds: number,
  onKernel: (name: string) => void = () => {},
): Promise<KernelReport[]> {
  return onFreshRuntime(async (runtime) => {
    const reports: KernelReport[] = [];
    for (const { shape, count } of kernelUses(config)) {
      const { name, sizes } = describe(shape);
      onKernel(`${name} ${sizes}`);
      const { run, besides, dispose } = prepare(shape);
      run();
      await tuneKernels();
      // A kernel takes a tenth of the time of a step's measurement: there are many.
      const effort = { seconds: seconds / 10, tries: 3 };
      const clock = clockOf(runtime);
      const whole = await millisecondsPerRun(clock, run, effort);
      const rest = besides ? await millisecondsPerRun(clock, besides, effort) : 0;
      dispose();
      await runtime.settle();
      runtime.trim();
      const milliseconds = Math.max(whole - rest, whole / 100); // noise must not make it nothing
      const { bound, amount } = workOf(shape);
      const rate = amount / milliseconds / 1e6;
      const peak = bound === "arithmetic" ? peaks.f32 : bandwidthOf(peaks);
      reports.push({ name, sizes, count, milliseconds, bound, amount, rate, share: rate / peak });
    }
    return reports;
  });
}
