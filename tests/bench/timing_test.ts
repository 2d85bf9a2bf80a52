import { type Clock, median, medianStep, millisecondsPerRun } from "../../src/bench/timing.ts";
import { assert, assertEquals } from "../deps.ts";

/** A device that takes some time per run, more for the first, and a host that waits for it. */
class FakeDevice implements Clock {
  #time = 0;
  #queued = 0;
  runs = 0;
  waits = 0;

  constructor(readonly perRun: number, readonly wait: number, readonly compiling = 1000) {}

  now(): number {
    return this.#time;
  }

  run = (): void => {
    this.#queued += this.perRun + (this.runs === 0 ? this.compiling : 0);
    this.runs++;
  };

  /** Milliseconds of work that nobody has waited for. */
  get queued(): number {
    return this.#queued;
  }

  settle(): Promise<void> {
    this.#time += this.#queued + this.wait;
    this.#queued = 0;
    this.waits++;
    return Promise.resolve();
  }
}

const near = (actual: number, expected: number) =>
  assert(Math.abs(actual - expected) <= 1e-9 * expected, `${actual} instead of ${expected}`);

Deno.test("millisecondsPerRun() leaves out compiling and the wait at the end", async () => {
  for (const perRun of [0.02, 0.3, 7, 5000]) {
    const device = new FakeDevice(perRun, 11);
    near(await millisecondsPerRun(device, device.run, { seconds: 0.3, tries: 3 }), perRun);
  }
});

Deno.test("millisecondsPerRun() makes enough runs for the time given, and not many more", async () => {
  const device = new FakeDevice(0.1, 11);
  await millisecondsPerRun(device, device.run, { seconds: 3, tries: 3 });
  assert(device.runs > 10_000 && device.runs < 60_000, `${device.runs} runs`); // 1 s a try
  const slow = new FakeDevice(2000, 11);
  await millisecondsPerRun(slow, slow.run, { seconds: 1, tries: 2 });
  assertEquals(slow.runs, 1 + 2 * (1 + 2));
});

Deno.test("millisecondsPerRun() of nothing is the wait, not a negative time", async () => {
  let time = 0;
  const waits = [50, 40, 30, 20, 10];
  const clock = { now: () => time, settle: () => Promise.resolve(void (time += waits.shift() ?? 10)) };
  assert(await millisecondsPerRun(clock, () => {}, { seconds: 0.001, tries: 1 }) > 0);
});

Deno.test("millisecondsPerRun() is never far below the truth when some runs are slowed down", async () => {
  // One run seems to take as long as many, because something else was busy whenever one was timed.
  const device = new FakeDevice(1, 11, 0);
  let slowdown = 0;
  const slowed = {
    now: () => device.now() + slowdown,
    settle: () => {
      if (device.queued <= 1) slowdown += 900;
      return device.settle();
    },
  };
  const found = await millisecondsPerRun(slowed, device.run, { seconds: 0.02, tries: 3 });
  assert(found > 0.5, `${found}`); // without care it would be 0.004
});

Deno.test("medianStep() waits after groups of steps when they are short, and after each when they are long", async () => {
  const short = new FakeDevice(1, 11);
  const { median, steps } = await medianStep(short, short.run, 3);
  assert(median > 1 && median < 1.04, `${median}`); // the wait spread over a group
  assert(steps > 1500 && short.waits < 20, `${steps} steps, ${short.waits} waits`);
  const long = new FakeDevice(20_000, 11);
  assertEquals(await medianStep(long, long.run, 30), { median: 20_011, steps: 3 });
  assertEquals(long.runs, 4);
});

Deno.test("medianStep() of steps that are longer than all the time given makes two of them", async () => {
  const long = new FakeDevice(20_000, 11);
  assertEquals(await medianStep(long, long.run, 1), { median: 20_011, steps: 2 });
  assertEquals(long.runs, 3);
});

Deno.test("median() is the middle, or between the two in the middle", () => {
  assertEquals(median([3, 1, 2]), 2);
  assertEquals(median([4, 1, 2, 3]), 2.5);
});
