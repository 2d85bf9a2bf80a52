/** The choice of plans by measurement, and what is remembered of it. */
import { assert, assertEquals } from "../deps.ts";
import { tf } from "../../src/deps/tfjs.ts";
import { allocateOutput, launch } from "../../src/gpu/kernel.ts";
import { openRuntime } from "../../src/gpu/runtime.ts";
import { type Stopwatch, timeOfRun } from "../../src/gpu/stopwatch.ts";
import { withTarget } from "../../src/gpu/target.ts";
import { readTensor } from "../../src/gpu/tensors.ts";
import {
  choosePlan,
  setTuning,
  type Tunable,
  tuneFor,
  tuneKernels,
  type TuneOptions,
} from "../../src/gpu/tuner.ts";
import { readAdapterCache } from "../../src/gpu/tuner_cache.ts";
import { product } from "../../src/ops/product/matmul.ts";
import { randomTensor } from "../support/compare.ts";
import { inFolder } from "../support/folder.ts";

interface Plan {
  readonly turns: number;
}

/** A kernel that does nothing, whose time a clock makes up; it remembers what was run. */
class Pretended implements Tunable<Plan> {
  readonly runs: number[] = [];
  current = 0;
  constructor(readonly key: string, readonly candidates: readonly Plan[]) {}

  operands(): tf.Tensor[] {
    return [tf.zeros([4])];
  }

  run({ turns }: Plan): void {
    this.runs.push(turns);
    this.current = turns;
  }

  /** A run takes as many milliseconds as its plan has turns. */
  readonly time = (record: () => void, runs: number): Promise<number> => {
    if (runs > 0) record();
    return Promise.resolve(11 + runs * this.current);
  };

  choose(): Plan {
    return choosePlan(this.key, () => this);
  }
}

/** A fresh device, which knows no plans. */
async function freshRuntime(): Promise<void> {
  const open = await openRuntime({ backend: "webgpu" });
  await open.close();
  await openRuntime({ backend: "webgpu" });
}

function testTuning(name: string, test: (path: string) => Promise<void>): void {
  Deno.test(name, () =>
    inFolder(async (folder) => {
      await freshRuntime();
      await test(`${folder}/deeper/tuner.json`);
    }));
}

const turns = (...counts: number[]): Plan[] => counts.map((turns) => ({ turns }));

testTuning(
  "the first plan serves until the kernel is timed, then the fastest; what is timed once is not timed again",
  async (path) => {
    const kernel = new Pretended("slow first", turns(5, 7, 2, 3));
    assertEquals(kernel.choose(), { turns: 5 });
    const before = tf.memory().numTensors;
    const { timed, changed } = await tuneKernels({ path, time: kernel.time });
    assertEquals([timed, changed, tf.memory().numTensors], [1, 1, before]);
    assertEquals(kernel.choose(), { turns: 2 });
    const { length } = kernel.runs;
    assertEquals((await tuneKernels({ path, time: kernel.time })).timed, 0);
    assertEquals(kernel.runs.length, length);
  },
);

testTuning(
  "a plan that is hardly faster does not replace the first, and a much slower one is timed once",
  async (path) => {
    const kernel = new Pretended("close", turns(100, 98, 1000));
    kernel.choose();
    assertEquals((await tuneKernels({ path, time: kernel.time })).changed, 0);
    assertEquals(kernel.choose(), { turns: 100 });
    const count = (turns: number) => kernel.runs.filter((run) => run === turns).length;
    assertEquals(count(1000), 2, "a run to see whether it runs, and one to time");
    assert(count(98) > count(1000));
  },
);

testTuning("a kernel with one plan is not timed, nor one whose plan was remembered", async (path) => {
  new Pretended("single", turns(3)).choose();
  const first = new Pretended("several", turns(3, 1));
  first.choose();
  assertEquals((await tuneKernels({ path, time: first.time })).timed, 1);
  await freshRuntime();
  const again = new Pretended("several", turns(3, 1));
  assertEquals(again.choose(), { turns: 3 });
  assertEquals((await tuneKernels({ path, time: again.time })).timed, 0);
  assertEquals([again.choose(), again.runs], [{ turns: 1 }, []]);
  // What is remembered but no candidate any more is timed anew.
  await freshRuntime();
  const changed = new Pretended("several", turns(3, 2));
  changed.choose();
  assertEquals((await tuneKernels({ path, time: changed.time })).timed, 1);
  assertEquals(changed.choose(), { turns: 2 });
});

testTuning(
  "turned off, the first plan serves, nothing is timed, and no file is read or written",
  async (path) => {
    const kernel = new Pretended("off", turns(3, 1));
    kernel.choose();
    await tuneKernels({ path, time: kernel.time });
    await Deno.remove(path);
    setTuning(false);
    try {
      assertEquals(kernel.choose(), { turns: 3 });
      const other = new Pretended("off too", turns(3, 1));
      other.choose();
      assertEquals((await tuneKernels({ path, time: other.time })).timed, 0);
      let tried = false;
      await tuneFor("off", () => void (tried = true), { path });
      assertEquals([other.runs, tried], [[], false]);
    } finally {
      setTuning(true);
    }
    assertEquals(kernel.choose(), { turns: 1 });
    assertEquals(await Array.fromAsync(Deno.readDir(path.replace("/tuner.json", ""))), []);
  },
);

testTuning("a computation is tried once and not again while its kernels are known", async (path) => {
  const kernels = [
    new Pretended("one", turns(3, 1)),
    new Pretended("two", turns(1, 3)),
    new Pretended("three", turns(1)),
  ];
  let trials = 0;
  const trial = () => {
    trials++;
    kernels.forEach((kernel) => kernel.choose());
  };
  // Each kernel is timed by its own clock: the one that ran last.
  let last = kernels[0];
  for (const kernel of kernels) {
    const { run } = kernel;
    kernel.run = (plan) => {
      last = kernel;
      run.call(kernel, plan);
    };
  }
  const started: number[] = [];
  const options: TuneOptions = {
    path,
    time: (record, runs) => {
      if (runs > 0) record();
      return Promise.resolve(11 + runs * last.current);
    },
    onStart: (count) => started.push(count),
  };
  const { timed, changed } = await tuneFor("all", trial, options);
  assertEquals([timed, changed, trials, started], [2, 1, 1, [2]]);
  await freshRuntime();
  assertEquals((await tuneFor("all", trial, options)).timed, 0);
  assertEquals([trials, started], [1, [2]]);
  assertEquals(kernels[0].choose(), { turns: 1 });
  assertEquals((await tuneFor("another", trial, options)).timed, 0);
  assertEquals([trials, started], [2, [2]]);
});

testTuning("a signal ends tuning after the kernel in progress, and what was found is kept", async (path) => {
  const kernels = [new Pretended("first", turns(3, 1)), new Pretended("second", turns(3, 1))];
  kernels.forEach((kernel) => kernel.choose());
  const controller = new AbortController();
  const time = (record: () => void, runs: number) => {
    controller.abort();
    return kernels[0].time(record, runs);
  };
  assertEquals((await tuneKernels({ path, time, signal: controller.signal })).timed, 1);
  assertEquals(kernels.map((kernel) => kernel.choose().turns), [1, 3]);
  const adapter = (await openRuntime()).adapter;
  assert(adapter);
  assertEquals(Object.keys((await readAdapterCache(adapter, path)).plans), ["first"]);
});

/** A kernel that loops; a negative number of turns is code that does not compile. */
class Loop implements Tunable<Plan> {
  readonly key = "loop";
  constructor(readonly candidates: readonly Plan[]) {}

  operands(): tf.Tensor[] {
    return [allocateOutput([64])];
  }

  run({ turns }: Plan, [x]: readonly tf.Tensor[]): void {
    const step = turns < 0 ? "nonsense();" : "sum = sin(sum) + 1.0;";
    launch({
      name: `test_loop_${turns}`,
      code: () =>
        `@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {
  var sum = x[i];
  for (var t = 0; t < ${turns}; t++) { ${step} }
  x[i] = sum;
}`,
    }, { inputs: [], inPlace: [x], workgroups: [1] });
  }
}

testTuning(
  "timed by the clock, the plan that does less wins; one that the device refuses is out, and does no harm",
  async (path) => {
    const loop = new Loop(turns(40_000, -1, 200_000, 4_000));
    assertEquals(choosePlan(loop.key, () => loop), { turns: 40_000 });
    const { timed, changed, seconds } = await tuneKernels({
      path,
      thoroughness: { milliseconds: 20, tries: 2 },
    });
    assertEquals([timed, changed], [1, 1]);
    assert(seconds > 0);
    assertEquals(choosePlan(loop.key, () => loop), { turns: 4_000 });
    (await openRuntime()).check();
  },
);

/** A clock on which a run takes so many milliseconds, and a wait up to 10 more; it counts the runs. */
function roughClock(milliseconds: number): { time: Stopwatch; total: () => number } {
  let [total, calls] = [0, 0];
  const time = (_record: () => void, runs: number) => {
    total += runs;
    return Promise.resolve(11 + runs * milliseconds + (calls++ * 7) % 10);
  };
  return { time, total: () => total };
}

Deno.test("timeOfRun() finds the time of one run under a rough clock, and gives up early on what is clearly slower", async () => {
  const thorough = { milliseconds: 80, tries: 3 };
  const timed = async (milliseconds: number, best: number) => {
    const { time, total } = roughClock(milliseconds);
    return { found: await timeOfRun(() => {}, best, thorough, time), total: total() };
  };
  for (const milliseconds of [0.05, 0.5, 3, 40, 300]) {
    const { found } = await timed(milliseconds, Infinity);
    assert(Math.abs(found / milliseconds - 1) < 0.15, `${found} for ${milliseconds}`);
  }
  const alone = await timed(3, Infinity);
  const beaten = await timed(3, 1);
  assert(beaten.found > 2 && beaten.total < alone.total / 2, `${beaten.total} of ${alone.total} runs`);
  assertEquals(
    (await timed(0.001, Infinity)).found,
    (await timed(0.002, Infinity)).found,
    "too short to tell",
  );
});

testTuning("products take the plan that was timed as the fastest, and give the same bits", async (path) => {
  const [a, b] = [randomTensor([40, 36], 1), randomTensor([36, 44], 2)];
  const target = { family: "tiles", lanes: 1, threads: 64 } as const; // few plans, which compile fast
  const run = () => readTensor(withTarget(target, () => product("NN", a, b).value));
  const before = await run();
  let calls = 0;
  const time = (record: () => void, runs: number) => {
    if (runs > 0) record();
    return Promise.resolve(11 + runs * 1000 / ++calls); // each later one is faster
  };
  const { timed, changed } = await tuneKernels({ path, time });
  assertEquals([timed, changed], [1, 1]);
  assertEquals(await run(), before);
  const { adapter } = await openRuntime();
  assert(adapter);
  const [[key, plan]] = Object.entries((await readAdapterCache(adapter, path)).plans);
  assertEquals(key, "product_tiles_1_NN_buffer_buffer_40x44x36");
  assertEquals(plan, {
    family: "tiles",
    rows: 32,
    columns: 32,
    threadRows: 4,
    threadColumns: 4,
    kStep: 32,
    lanes: 1,
  });
  tf.dispose([a, b]);
});
