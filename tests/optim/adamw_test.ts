import { assert, assertEquals, assertThrows } from "../deps.ts";
import { tf } from "../../src/deps/tfjs.ts";
import { readTensor, readTensors } from "../../src/gpu/tensors.ts";
import { withBody } from "../../src/ops/operation.ts";
import { Control } from "../../src/ops/update/step_control.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import type { ParameterGroup } from "../../src/optim/groups.ts";
import { testOnBackends, testOnWebGpu } from "../support/backends.ts";
import { assertClose, randomTensor } from "../support/compare.ts";
import { countDispatches } from "../support/dispatches.ts";

/** Two ragged parameters with fixed values. */
function parameters(): Map<string, tf.Variable> {
  return new Map<string, tf.Variable>([
    ["a.weight", tf.variable(tf.tensor2d([[1, -2, 3], [0.5, 0, -0.25]]))],
    ["a.bias", tf.variable(tf.tensor1d([0.1]))],
  ]);
}

const groups = [
  { weightDecay: 0.1, lrScale: 1, names: ["a.weight"] },
  { weightDecay: 0, lrScale: 0.5, names: ["a.bias"] },
];

function gradients(scale: number): Map<string, tf.Tensor> {
  return new Map<string, tf.Tensor>([
    ["a.weight", tf.mul(tf.tensor2d([[1, 2, -1], [0, 3, 1e-3]]), scale)],
    ["a.bias", tf.mul(tf.tensor1d([-4]), scale)],
  ]);
}

/** AdamW on the host in float64, from its formula. */
function reference(steps: number[], lr: number, decay: number, start: number): number {
  let [p, m, v] = [start, 0, 0];
  steps.forEach((g, i) => {
    m = 0.9 * m + 0.1 * g;
    v = 0.95 * v + 0.05 * g * g;
    p = p * (1 - lr * decay) -
      lr * (m / (1 - 0.9 ** (i + 1))) / (Math.sqrt(v / (1 - 0.95 ** (i + 1))) + 1e-8);
  });
  return p;
}

testOnBackends("AdamW follows its formula, with decay and learning-rate scale per group", async () => {
  const own = parameters();
  const optimizer = new AdamW(own, groups);
  for (const scale of [1, -0.5, 2]) {
    optimizer.accumulate(tf.scalar(1), gradients(scale));
    optimizer.step(0.01);
  }
  const weight = await readTensor(own.get("a.weight") as tf.Variable);
  const bias = await readTensor(own.get("a.bias") as tf.Variable);
  assertClose([weight[0]], [reference([1, -0.5, 2], 0.01, 0.1, 1)], 2e-6, "weight");
  assertClose([weight[4]], [reference([3, -1.5, 6], 0.01, 0.1, 0)], 2e-6, "weight");
  assertClose([bias[0]], [reference([-4, 2, -8], 0.005, 0, 0.1)], 2e-6, "bias");
});

testOnBackends("AdamW averages accumulated micro-batches and clips by the global norm", async () => {
  const clipNorm = 0.5;
  const once = parameters();
  const first = new AdamW(once, groups, { clipNorm });
  first.accumulate(tf.scalar(2), gradients(1));
  first.step(0.01);
  const twice = parameters();
  const second = new AdamW(twice, groups, { clipNorm });
  second.accumulate(tf.scalar(1), gradients(0.5));
  second.accumulate(tf.scalar(3), gradients(1.5));
  second.step(0.01);
  for (const name of once.keys()) {
    const [a, b] = await Promise.all([once, twice].map((own) => readTensor(own.get(name) as tf.Variable)));
    assertClose(b, a, 1e-6, name);
  }
  const control = await readTensor(second.control);
  const norm = Math.sqrt(1 + 4 + 1 + 9 + 1e-6 + 16);
  assertClose([control[Control.lossSum], control[Control.normSum]], [2, norm], 1e-5, "logged loss and norm");
  assertClose([control[Control.gradientScale]], [clipNorm / (norm + 1e-6) / 2], 1e-6, "gradient scale");
});

testOnBackends("a step that is not finite changes nothing and is counted", async () => {
  for (const bad of ["loss", "gradient NaN", "gradient infinite"]) {
    const own = parameters();
    const optimizer = new AdamW(own, groups);
    optimizer.accumulate(tf.scalar(1), gradients(1));
    optimizer.step(0.01);
    const before = await Promise.all([...own.values(), ...optimizer.variables.values()].map(readTensor));
    const broken = gradients(1);
    if (bad !== "loss") {
      broken.get("a.bias")?.dispose();
      broken.set("a.bias", tf.tensor1d([bad.endsWith("NaN") ? NaN : Infinity]));
    }
    optimizer.accumulate(tf.scalar(bad === "loss" ? NaN : 1), broken);
    optimizer.step(0.01);
    const after = await Promise.all([...own.values(), ...optimizer.variables.values()].map(readTensor));
    const controlBefore = before.pop() as Float32Array;
    const control = after.pop() as Float32Array;
    assertEquals(after, before, bad);
    assertEquals(control[Control.skipped], 1);
    assertEquals(control[Control.skippedInRow], 1);
    assertEquals(control[Control.updates], controlBefore[Control.updates]);
    assertEquals(control[Control.lossSum], 1);
    optimizer.accumulate(tf.scalar(1), gradients(1));
    optimizer.step(0.01);
    const recovered = await readTensor(optimizer.control);
    assertEquals(recovered[Control.skippedInRow], 0);
    assertEquals(recovered[Control.updates], 2);
  }
});

testOnWebGpu("AdamW gives the same from its composed body and its kernel", async () => {
  const results: Float32Array[][] = [];
  for (const body of ["composed", "kernel"] as const) {
    const own = new Map([["w", tf.variable(tf.randomNormal([7, 11], 0, 1, "float32", 5))]]);
    const optimizer = new AdamW(own, [{ weightDecay: 0.05, lrScale: 1, names: ["w"] }], { clipNorm: 1 });
    for (let step = 0; step < 5; step++) {
      withBody(body, () => {
        optimizer.accumulate(
          tf.scalar(step),
          new Map([["w", tf.randomNormal([7, 11], 0, 1, "float32", 1 + step)]]),
        );
        optimizer.step(1e-2);
      });
    }
    results.push(await Promise.all([...own.values(), ...optimizer.variables.values()].map(readTensor)));
  }
  results[0].forEach((composed, i) => assertClose(results[1][i], composed, 2e-6, `tensor ${i}`));
});

/** Small parameters of two groups, and a large one of each. */
function manyParameters(): Map<string, tf.Variable> {
  const shapes: Record<string, number[]> = { "large.weight": [257, 256], "large.bias": [65_536] };
  for (let i = 0; i < 20; i++) {
    Object.assign(shapes, { [`${i}.weight`]: [i + 1, 7], [`${i}.bias`]: [3 * i + 1] });
  }
  return new Map(
    Object.entries(shapes).map(([name, shape], i) => [name, tf.variable(randomTensor(shape, 1 + i))]),
  );
}

function manyGroups(own: ReadonlyMap<string, unknown>): ParameterGroup[] {
  const [biases, weights] = [".bias", ".weight"].map((end) =>
    [...own.keys()].filter((name) => name.endsWith(end))
  );
  return [{ weightDecay: 0, lrScale: 1, names: biases }, { weightDecay: 0.3, lrScale: 0.5, names: weights }];
}

function randomGradients(own: ReadonlyMap<string, tf.Variable>, seed: number): Map<string, tf.Tensor> {
  return new Map([...own].map(([name, { shape }], i) => [name, randomTensor(shape, 1 + seed + i)]));
}

testOnWebGpu(
  "AdamW gives the same from both bodies for small and large parameters, accumulated",
  async () => {
    const results: Float32Array[][] = [];
    for (const body of ["composed", "kernel"] as const) {
      const own = manyParameters();
      const optimizer = new AdamW(own, manyGroups(own), { clipNorm: 1 });
      withBody(body, () => {
        for (let step = 0; step < 3; step++) {
          for (let micro = 0; micro < 2; micro++) {
            optimizer.accumulate(tf.scalar(micro), randomGradients(own, 1000 * step + 500 * micro));
          }
          optimizer.step(1e-2);
        }
      });
      results.push(await readTensors([...own.values(), ...optimizer.variables.values()]));
      for (const variable of own.values()) variable.dispose();
      optimizer.dispose();
    }
    results[0].forEach((composed, i) => assertClose(results[1][i], composed, 3e-6, `tensor ${i}`));
  },
);

testOnWebGpu("AdamW launches as many kernels for forty small parameters as for two", () => {
  const counts = [2, 40].map((size) => {
    const own = new Map([...manyParameters()].filter(([name]) => !name.startsWith("large")).slice(0, size));
    const optimizer = new AdamW(own, manyGroups(own));
    optimizer.accumulate(tf.scalar(1), randomGradients(own, 1));
    return countDispatches(() => optimizer.step(0.1));
  });
  assertEquals(counts, [3, 3]); // sum of squares, decision, update
  return Promise.resolve();
});

testOnBackends("AdamW goes on from what is assigned to parameters and moments between steps", async () => {
  const run = async (restart: boolean) => {
    const own = parameters();
    let optimizer = new AdamW(own, groups);
    for (let step = 0; step < 4; step++) {
      optimizer.accumulate(tf.scalar(1), gradients(step + 1));
      optimizer.step(0.01);
      if (step === 1) {
        own.get("a.bias")?.assign(tf.tensor1d([5]));
        optimizer.variables.get("exp_avg.a.weight")?.assign(tf.fill([2, 3], 0.25));
      }
      if (step === 2 && restart) {
        const saved = await optimizer.state();
        optimizer.dispose();
        optimizer = new AdamW(own, groups);
        optimizer.loadState(saved);
      }
    }
    return await readTensors([...own.values(), ...optimizer.variables.values()]);
  };
  const [without, restarted] = [await run(false), await run(true)];
  assertEquals(restarted, without);
  assertClose([without[1][0]], [5], 0.05, "the assigned bias, two steps later");
  assert(without[2][4] > 0.25 * 0.9 ** 2, "the assigned moment counts");
});

testOnBackends(
  "AdamW refuses groups that do not cover the parameters, and its state survives a round trip",
  async () => {
    assertThrows(() => new AdamW(parameters(), groups.slice(1)), Error, "exactly one group");
    const optimizer = new AdamW(parameters(), groups);
    assertThrows(() => optimizer.step(0.1), Error, "Nothing was accumulated");
    optimizer.accumulate(tf.scalar(1), gradients(1));
    optimizer.step(0.01);
    const saved = await optimizer.state();
    assert(saved.has("exp_avg.a.weight") && saved.has("exp_avg_sq.a.bias") && saved.has("control"));
    const other = new AdamW(parameters(), groups);
    other.loadState(saved);
    assertEquals(await other.state(), saved);
    const before = tf.memory().numTensors;
    other.dispose();
    assertEquals(before - tf.memory().numTensors, 5);
  },
);
