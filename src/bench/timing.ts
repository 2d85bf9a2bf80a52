/** Timing work that is recorded now and done by the device later. */

/** A clock, and waiting for the device. */
export interface Clock {
  /** Milliseconds. */
  now(): number;
  /** Waits until everything recorded is done; costs about 11 ms in Deno. */
  settle(): Promise<void>;
}

/** How long to measure. */
export interface Effort {
  /** Seconds for one figure, about; one run at least, however long it takes. */
  readonly seconds: number;
  /** Times that the measurement is repeated; the fastest counts. */
  readonly tries: number;
}

/** More runs than this between two waits tell nothing new. */
const mostRuns = 4096;

/** The mean over many runs, the wait included, may exceed the slope by this factor: else noise in the wait would count. */
const mostWait = 1.5;

/**
 * Milliseconds of one run when many follow each other: the slope between one run and many, so that the wait at the end
 * cancels out. The first run, which compiles, is not counted. Where other programs made the runs differ so much that the
 * slope is no use, it is the mean with the wait: too slow rather than too fast.
 */
export async function millisecondsPerRun(
  clock: Clock,
  run: () => void,
  { seconds, tries }: Effort,
): Promise<number> {
  const timed = async (runs: number) => {
    const start = clock.now();
    for (let i = 0; i < runs; i++) run();
    await clock.settle();
    return clock.now() - start;
  };
  await timed(1);
  const wanted = 1000 * seconds / tries;
  let one = await timed(1);
  let runs = 1;
  let many = await timed(1 + runs);
  const slope = () => (many - one) / runs;
  const mean = () => many / (1 + runs);
  while ((many - one < wanted / 2 || mean() > mostWait * slope()) && runs < mostRuns) {
    const factor = Math.max(2, Math.min(16, wanted / Math.max(many - one, wanted / 16)));
    runs = Math.min(mostRuns, Math.ceil(runs * factor));
    many = await timed(1 + runs);
  }
  for (let i = 1; i < tries; i++) {
    one = Math.min(one, await timed(1));
    many = Math.min(many, await timed(1 + runs));
  }
  return mean() > 2 * slope() ? mean() : slope();
}

/** How long whole steps took. */
export interface StepTimes {
  /** Median, in milliseconds. */
  readonly median: number;
  /** Steps that were timed. */
  readonly steps: number;
}

/** Steps are timed in groups of at least this, so that the wait after each group is small beside it. */
const shortestGroup = 300; // ms
const fewestGroups = 3;

/**
 * The median time of a step after one that compiles: for `seconds`, and three groups of steps at least, or two steps that
 * each take longer than that.
 */
export async function medianStep(clock: Clock, step: () => void, seconds: number): Promise<StepTimes> {
  const timed = async (steps: number) => {
    const start = clock.now();
    for (let i = 0; i < steps; i++) step();
    await clock.settle();
    return (clock.now() - start) / steps;
  };
  await timed(1);
  const wanted = Math.min(shortestGroup, 1000 * seconds / fewestGroups);
  let group = 1;
  let latest = await timed(group);
  while (group * latest < wanted && group < mostRuns) {
    const factor = Math.max(2, Math.min(16, wanted / (group * latest)));
    group = Math.min(mostRuns, Math.ceil(factor * group));
    latest = await timed(group);
  }
  const times = [latest];
  const fewest = latest > 1000 * seconds ? 2 : fewestGroups;
  const start = clock.now();
  while (times.length < fewest || clock.now() - start < 1000 * seconds) times.push(await timed(group));
  return { median: median(times), steps: times.length * group };
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
