import { groupTimes } from "../../src/bench/groups.ts";
import { makeStep } from "../../src/bench/model.ts";
import { arithmetic } from "../../src/bench/peaks.ts";
import { dispatchTimes, periodFrom, timestampPeriod } from "../../src/bench/profile.ts";
import { kernelUses } from "../../src/bench/shapes.ts";
import { tf } from "../../src/deps/tfjs.ts";
import { currentWebGpu, type Runtime } from "../../src/gpu/runtime.ts";
import { kernelTarget, type Target } from "../../src/gpu/target.ts";
import { assert, assertEquals, assertThrows } from "../deps.ts";
import { testOnWebGpu } from "../support/backends.ts";
import { countDispatches } from "../support/dispatches.ts";
import { smallConfig } from "./support.ts";

/** Devices without time stamps have nothing to test here. */
function hasStamps({ adapter }: Runtime): boolean {
  return adapter?.features.includes("timestamp-query") ?? false;
}

testOnWebGpu("timestampPeriod() is there where the device has time stamps", async (runtime) => {
  const period = await timestampPeriod(runtime);
  if (!hasStamps(runtime)) assertEquals(period, null);
  else assert(period !== null && period > 0.5 && period < 1000, `${period}`);
});

/** Two kernels in milliseconds and the ticks that they took. */
const period = (shortMs: number, shortTicks: number, longMs: number, longTicks: number) =>
  periodFrom({ milliseconds: shortMs, ticks: shortTicks }, { milliseconds: longMs, ticks: longTicks });

Deno.test("periodFrom() finds the length of a tick, whatever the wait after the work", () => {
  assertEquals(period(160, 150e6, 612, 600e6), 1);
  assertEquals(period(160, 155e6, 700, 590e6), 1); // the clock is less exact
  assertEquals(period(162, 15e6, 612, 60e6), 10);
  // Another program that stops both for a while changes nothing: stamps and clock see the same.
  assertEquals(period(250, 240e6, 612, 600e6), 1);
});

Deno.test("periodFrom() refuses ticks that do not grow with the work, or not as the clock does", () => {
  assertEquals(period(160, 2e6, 610, 2e6), null);
  assertEquals(period(160, 2e6, 610, 3e6), null);
  assertEquals(period(160, 0, 610, 0), null);
  assertEquals(period(160, 2e6, 610, 40e6), null);
  assertEquals(period(600, 15e6, 610, 60e6), null);
});

testOnWebGpu("dispatchTimes() names every dispatch, in order, with its time", async (runtime) => {
  if (!hasStamps(runtime)) return;
  const { run } = arithmetic(kernelTarget() as Target, "f32");
  const x = tf.ones([64, 64]);
  const { times } = await dispatchTimes(runtime, 1, () => {
    tf.tidy(() => {
      tf.sqrt(x);
      run();
      tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D);
    });
  });
  const names = times.map(({ name }) => name.replace(/_\d.*/, ""));
  assertEquals(names.slice(0, 2), ["tfjs Sqrt", "bench_arithmetic_f32"]);
  assert(names.length > 2 && names.slice(2).every((name) => name === "tfjs BatchMatMul"), `${names}`);
  assert(times.every(({ milliseconds }) => milliseconds >= 0), JSON.stringify(times));
  assert(times[1].milliseconds > 0, "millions of multiply-adds take time");
});

testOnWebGpu("dispatchTimes() leaves the backend as it was, also after an error", async (runtime) => {
  if (!hasStamps(runtime)) return;
  const gpu = currentWebGpu();
  const kept = () => [gpu?.backend.ensureCommandEncoderReady, tf.engine().runKernel];
  const before = kept();
  await dispatchTimes(runtime, 1, () => tf.dispose(tf.add(1, 2)));
  const failing = dispatchTimes(runtime, 1, () => {
    throw new RangeError("No");
  });
  const error = await failing.catch((error) => error);
  assertThrows(() => {
    throw error;
  }, RangeError);
  assertEquals(kept(), before);
});

testOnWebGpu(
  "a step records the products, norms and attentions that its sizes give, in f32, f16 and with remat",
  async (runtime) => {
    if (!hasStamps(runtime) || kernelTarget()?.family !== "lanes") return;
    const config = await smallConfig();
    const halves = kernelTarget()?.half ? [{ precision: "f16" as const }] : [];
    for (const changes of [{}, ...halves, { remat: true }]) {
      const given = { ...config, ...changes };
      const step = makeStep("pretrain", given);
      const { times } = await dispatchTimes(runtime, 1, () => step.run());
      assertEquals(times.length, countDispatches(() => step.run()));
      step.dispose();
      const groups = new Map(groupTimes(times).map(({ name, dispatches }) => [name, dispatches]));
      const derived = new Map<string, number>();
      for (const { shape, count } of kernelUses(given)) {
        if (shape.kind !== "product" && !("direction" in shape && shape.direction === "forward")) continue;
        const name = shape.kind === "product" ? `product ${shape.form}` : `${shape.kind} forward`;
        derived.set(name, (derived.get(name) ?? 0) + count);
      }
      for (
        const name of ["product NT", "product NN", "product TN", "layer norm forward", "attention forward"]
      ) {
        assertEquals(groups.get(name), derived.get(name), `${name} ${JSON.stringify(changes)}`);
      }
    }
  },
);
