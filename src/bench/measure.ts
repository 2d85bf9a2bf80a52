/** Measuring one configuration, each part in a runtime of its own, so that memory starts at nothing. */
import { openRuntime, type Runtime } from "../gpu/runtime.ts";
import { tuneKernels } from "../gpu/tuner.ts";
import { RunError } from "../util/errors.ts";
import { prepare } from "./cases.ts";
import type { BenchConfig, BenchWork } from "./configurations.ts";
import { groupTimes } from "./groups.ts";
import { makeStep } from "./model.ts";
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

/** A whole step of some work, its memory, and where its time goes. */
export function measureStep(
  work: BenchWork,
  config: BenchConfig,
  peaks: Peaks,
  seconds: number,
): Promise<StepReport> {
  return onFreshRuntime(async (runtime) => {
    const step = makeStep(work, config);
    step.run();
    await tuneKernels(); // what the first step has used
    const rate = await measureRate(runtime, config, () => step.run(), seconds);
    const operations = stepOperations(config, work);
    const gflops = operations / rate.millisecondsPerStep / 1e6;
    const { parameters } = step;
    const split = await splitOf(runtime, () => step.run(), rate.millisecondsPerStep, seconds);
    step.dispose();
    return { ...rate, parameters, operations, gflops, share: gflops / peaks.f32, split };
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
    residentBytes: Deno.memoryUsage().rss,
  };
}

/** Groups of steps for the split take at least this, so that the wait at their end is a hundredth of it. */
const shortestProfile = 1000; // ms

/** Some steps as they are, and the same number with every dispatch timed. */
export interface ProfiledSteps {
  /** Steps of each kind. */
  readonly steps: number;
  /** Milliseconds of the steps as they are, before the others and after them. */
  readonly plain: readonly [before: number, after: number];
  /** Milliseconds of those with every dispatch timed. */
  readonly profiled: number;
  /** Their dispatches. */
  readonly times: readonly DispatchTime[];
}

/**
 * Times groups of steps as they are and with every dispatch timed, by turns: a machine that becomes slower meanwhile
 * does so for neighbours alike. Each profiled group is compared with the mean of the plain ones before and after it; of
 * up to three the one with the middle share of kernels counts.
 */
async function splitOf(
  runtime: Runtime,
  step: () => void,
  milliseconds: number,
  seconds: number,
): Promise<SplitReport | null> {
  const period = await timestampPeriod(runtime);
  if (period === null) return null;
  const steps = Math.ceil(Math.min(shortestProfile, 1000 * seconds) / milliseconds);
  const group = () => {
    for (let done = 0; done < steps; done++) step();
  };
  const timePlain = async () => {
    const start = performance.now();
    group();
    await runtime.settle();
    return performance.now() - start;
  };
  const found: ProfiledSteps[] = [];
  const tries = 2 * steps * milliseconds > 1000 * seconds ? 1 : 3;
  let before = await timePlain();
  while (found.length < tries) {
    const start = performance.now();
    const { times, end } = await dispatchTimes(runtime, period, group);
    const after = await timePlain();
    found.push({ steps, plain: [before, after], profiled: end - start, times });
    before = after;
  }
  found.sort((a, b) => inKernels(a) - inKernels(b));
  return splitReport(found[Math.floor(found.length / 2)]);
}

/** Share of the plain steps' time that their kernels take, by the times of the others. */
function inKernels({ plain, times }: ProfiledSteps): number {
  return times.reduce((sum, { milliseconds }) => sum + milliseconds, 0) / mean(plain);
}

function mean([a, b]: readonly [number, number]): number {
  return (a + b) / 2;
}

/**
 * The split of a step's time. Timing a dispatch costs time outside it (a compute pass of its own, which on a software
 * adapter can make steps a third longer), but hardly makes the dispatch itself longer. So shares are of the steps as they
 * are, and what their kernels do not account for lies outside: recording and uploads that the device waits for, starting
 * kernels, and the wait at the end of a group. It is below zero where kernels overlap that are timed one after the other,
 * or by noise, of which `spread` tells how much there was.
 */
export function splitReport(found: ProfiledSteps): SplitReport {
  const { steps, profiled, times } = found;
  const [before, after] = found.plain;
  const plain = mean(found.plain);
  const kernels = groupTimes(times).map(({ name, dispatches, milliseconds }) => ({
    name,
    dispatches: dispatches / steps,
    milliseconds: milliseconds / steps,
    share: milliseconds / plain,
  }));
  const share = 1 - inKernels(found);
  return {
    millisecondsPerStep: plain / steps,
    profiledMillisecondsPerStep: profiled / steps,
    kernels,
    outside: { milliseconds: share * plain / steps, share },
    spread: Math.abs(before - after) / plain,
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
      // No way back takes less than a third of the way there: only noise makes it seem so.
      const milliseconds = Math.max(whole - rest, whole / 4);
      const { bound, amount } = workOf(shape);
      const rate = amount / milliseconds / 1e6;
      const peak = bound === "arithmetic" ? peaks.f32 : bandwidthOf(peaks);
      reports.push({ name, sizes, count, milliseconds, bound, amount, rate, share: rate / peak });
    }
    return reports;
  });
}
