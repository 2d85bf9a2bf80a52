import { assertEquals, assertThrows } from "../deps.ts";
import { tf } from "../../src/deps/tfjs.ts";
import { readTensor, readTensors, writeVariable } from "../../src/gpu/tensors.ts";
import { Ema } from "../../src/optim/ema.ts";
import { InputError } from "../../src/util/errors.ts";
import { testOnBackends } from "../support/backends.ts";
import { assertClose, randomTensor } from "../support/compare.ts";

/** Two that are averaged together, and one by itself. */
const shapes = { "a.weight": [5, 7], "a.bias": [3], "b.weight": [257, 256] };

function open(): Map<string, tf.Variable> {
  return new Map(
    Object.entries(shapes).map(([name, shape], i) => [name, tf.variable(randomTensor(shape, i))]),
  );
}

async function change(parameters: Map<string, tf.Variable>, step: number): Promise<Float32Array[]> {
  for (const [name, variable] of parameters) {
    const next = randomTensor(shapes[name as keyof typeof shapes], 10 * step);
    writeVariable(variable, await readTensor(next));
    next.dispose();
  }
  return await readTensors([...parameters.values()]);
}

testOnBackends("Ema follows its formula on the host over five steps", async () => {
  const parameters = open();
  const ema = new Ema(parameters, 0.75);
  const expected = (await readTensors([...parameters.values()])).map((values) => Float64Array.from(values));
  for (let step = 1; step <= 5; step++) {
    const weights = await change(parameters, step);
    ema.update();
    expected.forEach((average, i) =>
      average.forEach((own, k) => average[k] = 0.75 * own + 0.25 * weights[i][k])
    );
  }
  const averages = ema.averages;
  assertEquals([...averages.keys()], [...parameters.keys()]);
  const actual = await readTensors([...averages.values()]);
  actual.forEach((values, i) => assertClose(values, expected[i], 1e-6, `average ${i}`));
});

testOnBackends("Ema.exchange() swaps weights and averages, and twice changes nothing", async () => {
  const parameters = open();
  const ema = new Ema(parameters, 0.9);
  const weights = await change(parameters, 1);
  ema.update();
  const read = async () => [
    await readTensors([...parameters.values()]),
    await readTensors([...ema.averages.values()]),
  ];
  const before = await read();
  assertEquals(before[0], weights);
  ema.exchange();
  assertEquals(await read(), [before[1], before[0]]);
  ema.exchange();
  assertEquals(await read(), before);
  ema.update(); // works on the right ones afterwards
  const [same, averages] = await read();
  assertEquals(same, weights);
  averages.forEach((values, i) => {
    const expected = before[1][i].map((own, k) => 0.9 * own + 0.1 * weights[i][k]);
    assertClose(values, expected, 1e-6, `average ${i}`);
  });
});

testOnBackends("Ema goes on where a saved state stops, bit for bit, and leaves nothing behind", async () => {
  const parameters = open();
  const tensors = tf.memory().numTensors;
  const [whole, first] = [new Ema(parameters, 0.9), new Ema(parameters, 0.9)];
  await change(parameters, 1);
  whole.update();
  first.update();
  const second = new Ema(parameters, 0.9);
  second.loadState(await first.state());
  await change(parameters, 2);
  whole.update();
  second.update();
  assertEquals(await second.state(), await whole.state());
  assertThrows(() => second.loadState(new Map()), InputError, " missing: a.weight");
  for (const ema of [whole, first, second]) ema.dispose();
  assertEquals(tf.memory().numTensors, tensors);
  assertThrows(() => new Ema(parameters, 1.5), RangeError, "The decay must be in [0, 1], not 1.5");
});
