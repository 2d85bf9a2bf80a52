import { assertEquals, assertThrows } from "../deps.ts";
import { tf } from "../../src/deps/tfjs.ts";
import { readTensor, readTensors } from "../../src/gpu/tensors.ts";
import { withBody } from "../../src/ops/operation.ts";
import { Control } from "../../src/ops/update/step_control.ts";
import { Lars } from "../../src/optim/lars.ts";
import { testOnBackends } from "../support/backends.ts";
import { assertClose } from "../support/compare.ts";
import { Fixture } from "../support/fixtures.ts";

const names = ["w", "b", "z", "u"];

async function open() {
  const fixture = await Fixture.read("lars.safetensors");
  const parameters = new Map(names.map((name) => [name, tf.variable(fixture.tensor(`${name}0`))]));
  return { fixture, parameters };
}

function gradientsOf(fixture: Fixture, step: string): Map<string, tf.Tensor> {
  return new Map(names.map((name) => [name, fixture.tensor(`${step}/grad_${name}`)]));
}

for (const [key, weightDecay] of [["wd0", 0], ["wd01", 0.1]] as const) {
  for (const body of ["kernel", "composed"] as const) {
    testOnBackends(
      `five LARS steps equal the official ones, decay ${weightDecay}, ${body} bodies`,
      async () => {
        const { fixture, parameters } = await open();
        const optimizer = new Lars(parameters, [{ weightDecay, lrScale: 1, names }]);
        for (let step = 0; step < 5; step++) {
          withBody(body, () => {
            optimizer.accumulate(tf.scalar(1), gradientsOf(fixture, `${key}/step${step}`));
            optimizer.step(0.1);
          });
          for (const [name, parameter] of parameters) {
            const official = fixture.values(`${key}/step${step}/${name}`);
            assertClose(await readTensor(parameter), official, 1e-6, `${name} after step ${step}`);
          }
        }
      },
    );
  }
}

testOnBackends(
  "Lars averages micro-batches, scales rates by group, and goes on where a saved state stops",
  async () => {
    const { fixture, parameters } = await open();
    const groups = [{ weightDecay: 0.1, lrScale: 2, names }];
    const whole = new Lars(parameters, groups);
    for (let step = 0; step < 2; step++) {
      whole.accumulate(tf.scalar(1), gradientsOf(fixture, `wd01/step${step}`));
      whole.step(0.05);
    }
    const expected = await readTensors([...parameters.values()]);
    names.forEach((name, i) => {
      assertEquals(expected[i].length, fixture.values(`wd01/step1/${name}`).length);
    });

    const { parameters: others } = await open();
    let optimizer = new Lars(others, groups);
    for (let step = 0; step < 2; step++) {
      for (const part of [0.5, 1.5]) {
        const gradients = [...gradientsOf(fixture, `wd01/step${step}`)]
          .map(([name, gradient]) => [name, tf.mul(gradient, part)] as const);
        optimizer.accumulate(tf.scalar(part), new Map(gradients));
      }
      optimizer.step(0.05);
      const saved = await optimizer.state();
      optimizer.dispose();
      optimizer = new Lars(others, groups);
      optimizer.loadState(saved);
    }
    const actual = await readTensors([...others.values()]);
    actual.forEach((values, i) => assertClose(values, expected[i], 1e-6, names[i]));
    // A rate of 0.05, twice, is the fixture's 0.1.
    names.forEach((name, i) => assertClose(actual[i], fixture.values(`wd01/step1/${name}`), 1e-6, name));
  },
);

testOnBackends("a LARS step that is not finite changes nothing and is counted", async () => {
  const { fixture, parameters } = await open();
  const optimizer = new Lars(parameters, [{ weightDecay: 0.1, lrScale: 1, names }]);
  const before = await readTensors([...parameters.values()]);
  const gradients = gradientsOf(fixture, "wd01/step0");
  gradients.set("b", tf.tensor1d([1, NaN, 0, 0]));
  optimizer.accumulate(tf.scalar(1), gradients);
  optimizer.step(0.1);
  assertEquals(await readTensors([...parameters.values()]), before);
  assertEquals((await readTensor(optimizer.control))[Control.proceed], 0);
  assertThrows(() => optimizer.step(0.1), Error, "Nothing was accumulated");
  assertThrows(() => new Lars(parameters, []), Error, "exactly one group");
});
