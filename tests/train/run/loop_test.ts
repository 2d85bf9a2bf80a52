import { type LoopJob, runLoop } from "../../../src/train/run/loop.ts";
import { assertEquals, assertRejects } from "../../deps.ts";

/** Runs a loop whose steps take `stepTime` ms each, and gives what it did in order: `make 0`, `log 2`, … */
async function did(job: Partial<LoopJob>, stepTime = 1): Promise<{ did: string[]; end: unknown }> {
  const did: string[] = [];
  let time = 0;
  const note = (what: string) => (step: number) => {
    did.push(`${what} ${step}`);
    return Promise.resolve();
  };
  const end = await runLoop({
    steps: 6,
    startStep: 0,
    stepsPerEpoch: 3,
    logEvery: 1000,
    checkpointEvery: { every: 1000, unit: "step" },
    makeStep: (step) => {
      time += stepTime;
      return note("make")(step);
    },
    settle: note("settle"),
    onStep: note("step"),
    log: note("log"),
    save: note("save"),
    now: () => time,
    ...job,
  });
  return { did, end };
}

const only = (what: string, { did }: { did: string[] }): number[] =>
  did.filter((line) => line.startsWith(`${what} `)).map((line) => Number(line.slice(what.length + 1)));

Deno.test("runLoop() makes, logs, reports and saves in this order", async () => {
  const { did: order, end } = await did({
    steps: 3,
    logEvery: 2,
    checkpointEvery: { every: 2, unit: "step" },
  });
  assertEquals(order, [
    ...["make 0", "settle 1", "step 1"],
    ...["make 1", "log 2", "step 2", "save 2"],
    ...["make 2", "log 3", "step 3", "save 3"],
  ]);
  assertEquals(end, { step: 3, interrupted: false });
});

Deno.test("runLoop() logs at the end whatever log_every is", async () => {
  assertEquals(only("log", await did({ logEvery: 4 })), [4, 6]);
  assertEquals(only("log", await did({ logEvery: 3 })), [3, 6]);
  assertEquals(only("log", await did({ logEvery: 100 })), [6]);
  assertEquals(only("log", await did({ logEvery: 1 })), [1, 2, 3, 4, 5, 6]);
});

Deno.test("runLoop() saves every so many steps, epochs or minutes, and once at the end", async () => {
  const saves = async (every: number, unit: "step" | "epoch" | "minute", stepTime?: number) =>
    only("save", await did({ steps: 9, checkpointEvery: { every, unit } }, stepTime));
  assertEquals(await saves(2, "step"), [2, 4, 6, 8, 9]);
  assertEquals(await saves(3, "step"), [3, 6, 9]);
  assertEquals(await saves(1, "epoch"), [3, 6, 9]);
  assertEquals(await saves(2, "epoch"), [6, 9]);
  assertEquals(await saves(1, "minute", 25_000), [3, 6, 9]);
  assertEquals(await saves(2, "minute", 70_000), [2, 4, 6, 8, 9]);
  assertEquals(await saves(1, "minute", 10), [9]);
});

Deno.test("runLoop() goes on from a step with the schedule of the whole run", async () => {
  const result = await did({
    steps: 9,
    startStep: 4,
    logEvery: 2,
    checkpointEvery: { every: 3, unit: "step" },
  });
  assertEquals(only("make", result), [4, 5, 6, 7, 8]);
  assertEquals(only("log", result), [6, 8, 9]);
  assertEquals(only("save", result), [6, 9]);
});

Deno.test("runLoop() has nothing to do, and nothing to save, when all steps were made", async () => {
  assertEquals(await did({ startStep: 6 }), { did: [], end: { step: 6, interrupted: false } });
});

Deno.test("runLoop() stops after the step in progress and saves it", async () => {
  const controller = new AbortController();
  const result = await did({
    signal: controller.signal,
    onStep: (step) => step === 2 && controller.abort(),
  });
  assertEquals([only("make", result), only("save", result), only("log", result)], [[0, 1], [2], []]);
  assertEquals(result.end, { step: 2, interrupted: true });
});

Deno.test("runLoop() saves only once when it is stopped where a checkpoint is due", async () => {
  const controller = new AbortController();
  const result = await did({
    signal: controller.signal,
    checkpointEvery: { every: 2, unit: "step" },
    onStep: (step) => step === 4 && controller.abort(),
  });
  assertEquals(only("save", result), [2, 4]);
});

Deno.test("runLoop() that is stopped before its first step saves a new run, and not a resumed one", async () => {
  assertEquals(await did({ signal: AbortSignal.abort() }), {
    did: ["save 0"],
    end: { step: 0, interrupted: true },
  });
  assertEquals(await did({ signal: AbortSignal.abort(), startStep: 3 }), {
    did: [],
    end: { step: 3, interrupted: true },
  });
});

Deno.test("runLoop() is not interrupted by a signal in its last step", async () => {
  const controller = new AbortController();
  const result = await did({ signal: controller.signal, onStep: (step) => step === 6 && controller.abort() });
  assertEquals(result.end, { step: 6, interrupted: false });
});

Deno.test("runLoop() waits for the device after the first step and then twice a second", async () => {
  assertEquals(only("settle", await did({ steps: 9 }, 260)), [1, 3, 5, 7, 9]);
  assertEquals(only("settle", await did({ steps: 9 }, 1)), [1]);
  assertEquals(only("settle", await did({ steps: 3 }, 2000)), [1, 2, 3]);
});

Deno.test("runLoop() ends with the error of a step, and saves nothing after it", async () => {
  const saves: number[] = [];
  await assertRejects(
    () =>
      did({
        checkpointEvery: { every: 1, unit: "step" },
        makeStep: (step) => step === 2 ? Promise.reject(new Error("broke")) : Promise.resolve(),
        save: (step) => Promise.resolve(void saves.push(step)),
      }),
    Error,
    "broke",
  );
  assertEquals(saves, [1, 2]);
});

Deno.test("runLoop() saves what was made where the signal ends a step that waits, and passes other errors on", async () => {
  const controller = new AbortController();
  const made: number[] = [];
  const waits = (step: number) => {
    if (step === 2) controller.abort();
    if (controller.signal.aborted) return Promise.reject(controller.signal.reason);
    made.push(step);
    return Promise.resolve();
  };
  const result = await did({ signal: controller.signal, makeStep: waits });
  assertEquals([made, only("save", result), result.end], [[0, 1], [2], { step: 2, interrupted: true }]);
  const fails = () => Promise.reject(new Error("the device is lost"));
  await assertRejects(() => did({ signal: new AbortController().signal, makeStep: fails }), Error, "is lost");
});
