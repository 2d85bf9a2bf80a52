import {
  augmentationStream,
  epochOrder,
  type EpochPlan,
  placeOf,
  planEpoch,
  substituteSample,
} from "../../src/data/sampler.ts";
import { InputError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertNotEquals, assertThrows } from "../deps.ts";

Deno.test("planEpoch() drops what fills no step", () => {
  assertEquals(planEpoch(100, 1, 8, 3).stepsPerEpoch, 4);
  assertEquals(planEpoch(24, 1, 8, 3).stepsPerEpoch, 1);
  assertEquals(planEpoch(6, 100, 16, 1).stepsPerEpoch, 37);
});

Deno.test("planEpoch() repeats the images just often enough when told auto", () => {
  assertEquals([planEpoch(6, "auto", 16, 1).repeat, planEpoch(6, "auto", 16, 1).stepsPerEpoch], [3, 1]);
  assertEquals([planEpoch(16, "auto", 16, 1).repeat, planEpoch(16, "auto", 16, 1).stepsPerEpoch], [1, 1]);
  assertEquals(planEpoch(1000, "auto", 16, 2).repeat, 1);
  assertEquals(planEpoch(1, "auto", 64, 4).repeat, 256);
});

Deno.test("planEpoch() refuses an epoch without a step", () => {
  assertThrows(
    () => planEpoch(6, 2, 16, 2),
    InputError,
    "One step takes 32 images (optim.batch_size × optim.accumulate), an epoch has 6 images × data.repeat 2",
  );
});

Deno.test("epochOrder() draws every sample equally often, in another order each epoch and for each seed", () => {
  const order = epochOrder(1, 0, 50, 3);
  assertEquals([...order].sort((a, b) => a - b), Array.from({ length: 150 }, (_, i) => Math.floor(i / 3)));
  assertEquals(epochOrder(1, 0, 50, 3), order);
  assertNotEquals(epochOrder(1, 1, 50, 3), order);
  assertNotEquals(epochOrder(2, 0, 50, 3), order);
});

Deno.test("placeOf() walks through epochs, steps and positions without gap", () => {
  const plan = planEpoch(50, 1, 4, 3); // 12 images a step, 4 steps, 48 positions an epoch
  let next = { epoch: 0, position: 0 };
  for (let microBatch = 0; microBatch < 40; microBatch++) {
    const { epoch, step, firstPosition } = placeOf(microBatch, plan);
    assertEquals({ epoch, position: firstPosition }, next);
    assertEquals(step, Math.floor(microBatch / 3));
    next = firstPosition + 4 === 48
      ? { epoch: epoch + 1, position: 0 }
      : { epoch, position: firstPosition + 4 };
  }
});

Deno.test("placeOf() deals the positions of an epoch to processes, none twice and none to nobody", () => {
  const whole = planEpoch(50, 1, 6, 2);
  const positions = (plan: EpochPlan, microBatches: number) =>
    Array.from({ length: microBatches }, (_, i) => placeOf(i, plan)).flatMap(({ epoch, firstPosition }) =>
      Array.from({ length: plan.batchSize }, (_, i) => epoch * 1000 + firstPosition + i)
    );
  const parts = [0, 1, 2].map((index) => planEpoch(50, 1, 2, 2, { index, count: 3 }));
  assertEquals(parts.map(({ stepsPerEpoch }) => stepsPerEpoch), [4, 4, 4]);
  const dealt = parts.map((plan) => positions(plan, 20));
  assertEquals(dealt.flat().sort((a, b) => a - b), positions(whole, 20));
  assertEquals(dealt[1].slice(0, 4), [2, 3, 8, 9]);
  for (const part of [{ index: 2, count: 2 }, { index: -1, count: 2 }, { index: 0, count: 0.5 }]) {
    assertThrows(() => planEpoch(50, 1, 2, 2, part), InputError, "is none");
  }
});

Deno.test("substituteSample() is a function of place and attempt and reaches every sample", () => {
  const seen = new Set<number>();
  for (let attempt = 1; attempt < 200; attempt++) {
    const sample = substituteSample(5, 2, 17, attempt, 9);
    assertEquals(substituteSample(5, 2, 17, attempt, 9), sample);
    seen.add(sample);
  }
  assertEquals(seen.size, 9);
});

Deno.test("augmentationStream() differs by seed, epoch and position", () => {
  const first = [[1, 0, 0], [2, 0, 0], [1, 1, 0], [1, 0, 1]].map(([seed, epoch, position]) =>
    augmentationStream(seed, epoch, position).bits()
  );
  assertEquals(new Set(first).size, 4);
  assert(augmentationStream(1, 0, 0).bits() === first[0]);
});
