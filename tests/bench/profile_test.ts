import { groupTimes } from "../../src/bench/groups.ts";
import { TrainingStep } from "../../src/bench/model.ts";
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

testOnWebGpu("timestampPeriod() is there only where the device has time stamps", async (runtime) => {
  const period = await timestampPeriod(runtime);
  if (!hasStamps(runtime)) assertEquals(period, null);
  else assert(period === null || period > 0, `${period}`); // beside other programs they may make no sense
});

Deno.test("periodFrom() finds the length of a tick, and refuses ticks that do not grow with the work", () => {
  assertEquals(periodFrom(20, 20e6, 41e6), 1);
  assertEquals(periodFrom(20, 22e6, 42e6), 1); // the clock is less exact
  assertEquals(periodFrom(20, 2e6, 4e6), 10);
  assertEquals(periodFrom(20, 2e6, 2e6), null);
  assertEquals(periodFrom(20, 2e6, 8e6), null);
  assertEquals(periodFrom(20, 0, 0), null);
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
    for (const changes of [{}, { precision: "f16" as const }, { remat: true }]) {
      const given = { ...config, ...changes };
      const step = new TrainingStep(given);
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
