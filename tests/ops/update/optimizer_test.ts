/** The optimizer's kernels against their composed definitions, in one piece and in parts, for every family of kernels. */
import { assert, assertEquals, assertThrows } from "../../deps.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { partsOf } from "../../../src/gpu/parts.ts";
import { withTarget } from "../../../src/gpu/target.ts";
import { readTensor, readTensors } from "../../../src/gpu/tensors.ts";
import { accumulate } from "../../../src/ops/update/accumulate.ts";
import { type AdamWSegment, adamWUpdate } from "../../../src/ops/update/adamw.ts";
import { larsUpdate } from "../../../src/ops/update/lars.ts";
import { movingAverage } from "../../../src/ops/update/moving_average.ts";
import { type BodyName, withBody } from "../../../src/ops/operation.ts";
import { packLayout, packValues, unpackValues } from "../../../src/ops/update/pack.ts";
import { Control, controlSize } from "../../../src/ops/update/step_control.ts";
import { partialSumsOfSquares } from "../../../src/ops/update/sum_of_squares.ts";
import { testOnBackends, testOnWebGpu } from "../../support/backends.ts";
import { assertClose, assertRelative, randomTensor } from "../../support/compare.ts";
import { testOnTargets } from "../../support/targets.ts";

/** One value, sizes that are no multiple of four, one that fills its last workgroup, and two of several parts. */
const sizes = [1, 3, 64, 77, 256, 260, 1028, 1031];

/** A device whose bindings hold 256 values. */
const smallBindings = { bindingBytes: 1024 };

function decided(proceed: 0 | 1): tf.Tensor {
  const control = new Float32Array(controlSize);
  control[Control.proceed] = proceed;
  control[Control.gradientScale] = 0.5;
  control[Control.correction1] = 0.19;
  control[Control.correction2] = 0.31;
  return tf.tensor1d(control);
}

function variableOf(tensor: tf.Tensor): tf.Variable {
  return tf.variable(tensor, false);
}

/** Parameter and moments after an update. */
async function updated(size: number, segments: AdamWSegment[], proceed: 0 | 1): Promise<Float32Array[]> {
  const state = {
    parameter: variableOf(randomTensor([size], 1)),
    expAvg: variableOf(randomTensor([size], 2)),
    expAvgSq: variableOf(tf.square(randomTensor([size], 3))),
  };
  const gradient = randomTensor([size], 4);
  adamWUpdate(state, gradient, decided(proceed), { segments, beta1: 0.9, beta2: 0.95, eps: 1e-8 });
  return await readTensors([state.parameter, state.expAvg, state.expAvgSq]);
}

/** The values in two or three runs with rates of their own, or in one. */
function segmentsOf(size: number): AdamWSegment[] {
  const counts = size < 8 ? [size] : [4, 4 * Math.floor(size / 8), size - 4 - 4 * Math.floor(size / 8)];
  return counts.filter((count) => count > 0)
    .map((count, i) => ({ count, learningRate: 0.01 * (i + 1), weightDecay: 0.3 * i }));
}

testOnTargets("adamWUpdate(): kernel equals composed, whole, in segments and in parts", async (record) => {
  for (const size of sizes) {
    const whole = [{ count: size, learningRate: 0.02, weightDecay: 0.1 }];
    for (const segments of [whole, segmentsOf(size)]) {
      for (const proceed of [1, 0] as const) {
        const expected = await withBody("composed", () => updated(size, segments, proceed));
        for (const changes of [{}, smallBindings]) {
          const run = () => withBody("kernel", () => updated(size, segments, proceed));
          const actual = await record(() => withTarget(changes, run));
          actual.forEach((values, i) =>
            assertRelative(values, expected[i], 2e-6, `${size} values, tensor ${i}`)
          );
        }
      }
    }
  }
});

testOnBackends("adamWUpdate() refuses segments that do not cover the parameter", () => {
  const state = { parameter: tf.variable(tf.ones([8])) };
  const settings = { segments: [{ count: 4, learningRate: 1, weightDecay: 0 }], beta1: 0, beta2: 0, eps: 1 };
  assertThrows(
    () =>
      adamWUpdate(
        { ...state, expAvg: state.parameter, expAvgSq: state.parameter },
        tf.ones([8]),
        decided(1),
        settings,
      ),
    RangeError,
    "Segments of 4 values and a gradient of 8 do not fit a parameter of 8",
  );
  return Promise.resolve();
});

/** Parameter and momentum after an update; and the gradient, which stays. */
async function larsUpdated(size: number, trust: number | null, proceed: 0 | 1): Promise<Float32Array[]> {
  const state = {
    parameter: variableOf(randomTensor([size], 1)),
    momentum: variableOf(randomTensor([size], 2)),
  };
  const gradient = randomTensor([size], 3);
  const settings = { learningRate: 0.1, momentum: 0.9, weightDecay: 0.2, trust };
  larsUpdate(state, gradient, decided(proceed), settings);
  return await readTensors([state.parameter, state.momentum, gradient]);
}

testOnTargets("larsUpdate(): kernel equals composed, adapting or not, in parts as well", async (record) => {
  for (const size of sizes) {
    for (const trust of [0.001, null]) {
      for (const proceed of [1, 0] as const) {
        const expected = await withBody("composed", () => larsUpdated(size, trust, proceed));
        for (const changes of [{}, smallBindings]) {
          const run = () => withBody("kernel", () => larsUpdated(size, trust, proceed));
          const actual = await record(() => withTarget(changes, run));
          actual.forEach((values, i) =>
            assertRelative(values, expected[i], 2e-6, `${size} values, tensor ${i}`)
          );
          if (proceed === 0) assertEquals(actual[0], await readTensor(randomTensor([size], 1)));
        }
      }
    }
  }
});

testOnTargets("larsUpdate(): a norm of zero leaves the gradient as it is", async (record) => {
  for (const [start, gradient] of [[0, 3], [2, 0], [0, 0]]) {
    const results = (["composed", "kernel"] as const).map((body) =>
      record(() => {
        const parameter = variableOf(tf.fill([3, 5], start));
        const momentum = variableOf(tf.fill([3, 5], 1));
        const settings = { learningRate: 0.5, momentum: 0.5, weightDecay: 0, trust: 0.001 };
        withBody(body, () =>
          larsUpdate({ parameter, momentum }, tf.fill([3, 5], gradient), decided(1), settings));
        return momentum;
      })
    );
    // The control halves the gradient.
    for (const one of results) {
      assertEquals(await readTensor(one), new Float32Array(15).fill(0.5 + gradient / 2));
    }
  }
});

testOnTargets("movingAverage(): kernel equals its formula on the host, in parts as well", async (record) => {
  for (const size of sizes) {
    const [start, value] = await readTensors([randomTensor([size], 1), randomTensor([size], 2)]);
    const expected = start.map((own, i) => 0.9 * own + 0.1 * value[i]);
    for (const changes of [{}, smallBindings]) {
      for (const body of ["composed", "kernel"] as const) {
        const average = variableOf(tf.tensor1d(start));
        record(() =>
          withTarget(changes, () => withBody(body, () => movingAverage(average, tf.tensor1d(value), 0.9)))
        );
        assertClose(await readTensor(average), expected, 5e-7, `${size} values, ${body}`);
      }
    }
  }
});

testOnTargets(
  "partialSumsOfSquares(): the total equals the composed one, in parts as well",
  async (record) => {
    const tensors = [...sizes, 70_004].map((size, i) => randomTensor([size], 1 + i));
    const total = (partials: Float32Array) => partials.reduce((sum, value) => sum + value, 0);
    const expected = total(await readTensor(withBody("composed", () => partialSumsOfSquares(tensors))));
    for (const changes of [{}, smallBindings]) {
      const partials = record(() => withTarget(changes, () => partialSumsOfSquares(tensors)));
      assertRelative([total(await readTensor(partials))], [expected], 1e-6, JSON.stringify(changes));
    }
    const broken = record(() => partialSumsOfSquares([tf.tensor1d([1, NaN, 0, 0]), tf.ones([8])]));
    assert(Number.isNaN(total(await readTensor(broken))));
  },
);

testOnTargets("accumulate(): kernel equals composed, in parts as well, and adds in place", async (record) => {
  for (const size of sizes) {
    for (const changes of [{}, smallBindings]) {
      const [sum, term] = [randomTensor([size], 1), randomTensor([size], 2)];
      const expected = await readTensor(tf.add(sum, term));
      const result = record(() => withTarget(changes, () => accumulate(sum, term)));
      assertEquals(result, sum);
      assert(term.isDisposed);
      assertEquals([...await readTensor(result)], [...expected], `${size} values`);
    }
  }
});

testOnBackends("accumulate() leaves other tensors of the same values alone", async () => {
  const shared = randomTensor([4, 3], 1);
  const before = await readTensor(shared);
  const result = accumulate(tf.reshape(shared, [12]), tf.ones([12]));
  assertEquals(await readTensor(shared), before);
  assertClose(await readTensor(result), before.map((value) => value + 1), 1e-6, "sum");
});

testOnBackends("packValues() and unpackValues() copy every value, with zeros between", async () => {
  const tensors = [
    randomTensor([3], 1),
    randomTensor([64], 2),
    randomTensor([5, 13], 3),
    randomTensor([1], 4),
  ];
  const layout = packLayout(tensors.map(({ size }) => size));
  assertEquals(layout, { size: 320, firsts: [0, 64, 128, 256] });
  for (const body of ["composed", "kernel"] as BodyName[]) {
    // What a recycled buffer held must not show between the tensors.
    tf.fill([320], NaN).dispose();
    const packed = withBody(body, () => packValues(tensors, layout));
    const expected = new Float32Array(320);
    for (const [i, tensor] of tensors.entries()) expected.set(await readTensor(tensor), layout.firsts[i]);
    assertEquals(await readTensor(packed), expected, body);
    const variables = tensors.map(({ shape }) => variableOf(tf.zeros(shape)));
    withBody(body, () => unpackValues(packed, layout, variables));
    assertEquals(await readTensors(variables), await readTensors(tensors), body);
  }
});

testOnWebGpu("partsOf() covers every value, in parts that start where bindings may", () => {
  for (const size of [1, 256, 257, 1000]) {
    const parts = withTarget(smallBindings, () => partsOf(size));
    let next = 0;
    for (const { first, count } of parts) {
      assertEquals(first, next);
      assert(first % 64 === 0 && count <= 256);
      next += count;
    }
    assertEquals(next, size);
  }
  return Promise.resolve();
});
