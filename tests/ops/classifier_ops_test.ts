/** Operations of classifiers: kernels against composed bodies, and both against plain loops, for every family of kernels. */
import { assert, assertEquals, assertThrows } from "../deps.ts";
import { tf } from "../../src/deps/tfjs.ts";
import { readTensor, readTensors } from "../../src/gpu/tensors.ts";
import { normalizeBatch, normalizeColumns } from "../../src/ops/batch_norm.ts";
import { embedTokens } from "../../src/ops/embed_tokens.ts";
import { linear } from "../../src/ops/linear.ts";
import { withBody } from "../../src/ops/operation.ts";
import { poolTokens } from "../../src/ops/pool_tokens.ts";
import { type Affine, attentionResidual, mlpResidual } from "../../src/ops/residual_branch.ts";
import { addScaled, scaleImages } from "../../src/ops/scaled_residual.ts";
import { withoutGradient } from "../../src/ops/without_gradient.ts";
import { testOnBackends } from "../support/backends.ts";
import {
  assertClose,
  assertRelative,
  numericGradients,
  randomTensor,
  valueAndGradients,
} from "../support/compare.ts";
import { halfAvailable, testOnTargets } from "../support/targets.ts";

type Operation = (...inputs: tf.Tensor[]) => tf.Tensor;
type Case = [Operation, tf.Tensor[]];

function tokenCases(images: number, length: number, width: number): Record<string, Case> {
  const tokens = (places: number, seed = 1) => randomTensor([images, places, width], seed);
  const scale = tf.relu(randomTensor([images], 8));
  return {
    embedTokens: [embedTokens, [
      tokens(length),
      randomTensor([1, 1, width], 2),
      randomTensor([1, 1 + length, width], 3),
    ]],
    "poolTokens, average": [(x) => poolTokens(x, "average"), [tokens(1 + length)]],
    "poolTokens, class token": [(x) => poolTokens(x, "class_token"), [tokens(1 + length)]],
    addScaled: [(x, branch) => addScaled(x, branch, scale), [tokens(length), tokens(length, 2)]],
  };
}

// images, patches, width: one of each, primes, widths without kernels, more than one workgroup
for (const [images, length, width] of [[1, 1, 4], [3, 7, 20], [5, 3, 5], [13, 65, 36]]) {
  const shape = `${images} images, ${length} patches, width ${width}`;
  testOnTargets(
    `token operations of classifiers: kernels equal composed bodies, ${shape}`,
    async (record) => {
      for (const [name, [operation, inputs]] of Object.entries(tokenCases(images, length, width))) {
        const upstream = randomTensor(operation(...inputs).shape, 77);
        const run = () => valueAndGradients(operation, inputs, upstream);
        const composed = await withBody("composed", run);
        const kernel = await record(() => withBody("kernel", run));
        assertRelative(kernel.value, composed.value, 1e-6, `${name}: value`);
        assertEquals(kernel.gradients.length, inputs.length);
        composed.gradients.forEach((gradient, i) =>
          assertRelative(kernel.gradients[i], gradient, 2e-6, `${name}: gradient ${i}`)
        );
      }
      const [x, scale] = [randomTensor([images, length, width], 1), randomTensor([images], 8)];
      const [composed, kernel] = (["composed", "kernel"] as const).map((body) =>
        record(() => withBody(body, () => scaleImages(x, scale)))
      );
      assertEquals(await readTensor(kernel), await readTensor(composed), "scaleImages");
    },
  );
}

testOnBackends("poolTokens() and embedTokens() equal loops on the host", async () => {
  const [images, length, width] = [3, 7, 12];
  const tokens = randomTensor([images, 1 + length, width], 1);
  const x = await readTensor(tokens);
  const mean = Float32Array.from({ length: images * width }, (_, k) => {
    const [n, i] = [Math.floor(k / width), k % width];
    let sum = 0;
    for (let t = 1; t <= length; t++) sum += x[(n * (1 + length) + t) * width + i];
    return sum / length;
  });
  assertClose(await readTensor(poolTokens(tokens, "average")), mean, 1e-6, "average");
  const first = Float32Array.from(
    mean,
    (_, k) => x[Math.floor(k / width) * (1 + length) * width + k % width],
  );
  assertEquals(await readTensor(poolTokens(tokens, "class_token")), first);

  const [patches, classToken, positions] = [
    randomTensor([images, length, width], 2),
    randomTensor([1, 1, width], 3),
    randomTensor([1, 1 + length, width], 4),
  ];
  const [p, c, e] = await readTensors([patches, classToken, positions]);
  const expected = x.map((_, k) => {
    const [n, t, i] = [Math.floor(k / width / (1 + length)), Math.floor(k / width) % (1 + length), k % width];
    return (t === 0 ? c[i] : p[(n * length + t - 1) * width + i]) + e[t * width + i];
  });
  assertClose(await readTensor(embedTokens(patches, classToken, positions)), expected, 1e-6, "embedded");
});

const gradientCases: Record<string, () => Case> = {
  ...Object.fromEntries(
    Object.keys({ embedTokens: 0, "poolTokens, average": 0, "poolTokens, class token": 0, addScaled: 0 })
      .map((name) => [name, () => tokenCases(2, 3, 5)[name]]),
  ),
  normalizeBatch: () => [(x) => normalizeBatch(x, 1e-2), [randomTensor([7, 5], 1)]],
  normalizeColumns: () => {
    const statistics = { mean: randomTensor([5], 2), variance: tf.square(randomTensor([5], 3)) };
    return [(x) => normalizeColumns(x, statistics, 1e-2), [randomTensor([7, 5], 1)]];
  },
};

for (const [name, makeCase] of Object.entries(gradientCases)) {
  testOnBackends(`${name} has the gradients of its own finite differences`, async (runtime) => {
    const [operation, inputs] = makeCase();
    const upstream = randomTensor(operation(...inputs).shape, 77);
    const { gradients } = await valueAndGradients(operation, inputs, upstream);
    // On WebGPU every probe costs a readback: there the kernels are held against the composed bodies.
    if (runtime.backend === "cpu") {
      const numeric = await numericGradients(operation, inputs, upstream);
      gradients.forEach((gradient, i) => assertRelative(gradient, numeric[i], 5e-3, `${name}, input ${i}`));
    } else gradients.forEach((gradient) => assert(gradient.every(Number.isFinite)));
  });
}

/** Both halves of a block with a scale per image: the inputs are x and every parameter. */
function branchCases(images: number, halfScale: number | null): Record<string, Case> {
  const [tokens, width, hidden, heads] = [11, 24, 40, 3];
  const affine = (weight: tf.Tensor, bias: tf.Tensor): Affine => ({ weight, bias });
  const pair = (seed: number, outputs: number, inputs: number) => [
    tf.div(randomTensor([outputs, inputs], seed), Math.sqrt(inputs)),
    randomTensor([outputs], seed + 1),
  ];
  const norm = [tf.add(randomTensor([width], 1), 1), randomTensor([width], 2)];
  const x = randomTensor([images, tokens, width], 9);
  const scale = tf.tensor1d(Array.from({ length: images }, (_, n) => n % 3 === 1 ? 0 : 1.25));
  const options = { halfScale, scale };
  return {
    attentionResidual: [
      (x, a, b, c, d, e, f) => {
        const parameters = { norm: affine(a, b), qkv: affine(c, d), proj: affine(e, f), heads };
        return attentionResidual(x, parameters, options);
      },
      [x, ...norm, ...pair(3, 3 * width, width), ...pair(5, width, width)],
    ],
    mlpResidual: [
      (x, a, b, c, d, e, f) =>
        mlpResidual(x, { norm: affine(a, b), fc1: affine(c, d), fc2: affine(e, f) }, options),
      [x, ...norm, ...pair(3, hidden, width), ...pair(5, width, hidden)],
    ],
  };
}

for (const halfScale of [null, 64]) {
  const precision = halfScale === null ? "f32" : "f16";
  testOnTargets(
    `halves of a block with a scale per image: kernels equal composed, ${precision}`,
    async (record) => {
      if (halfScale !== null && !halfAvailable()) return;
      for (const images of [1, 2, 5]) {
        for (const [name, [operation, inputs]] of Object.entries(branchCases(images, halfScale))) {
          const upstream = randomTensor(inputs[0].shape, 77);
          const run = () => valueAndGradients(operation, inputs, upstream);
          const composed = await withBody("composed", run);
          const kernel = await record(() => withBody("kernel", run));
          const bound = halfScale === null ? 2e-5 : 2e-2;
          assertRelative(kernel.value, composed.value, bound, `${name} of ${images}: value`);
          composed.gradients.forEach((gradient, i) =>
            assertRelative(kernel.gradients[i], gradient, bound, `${name} of ${images}: gradient ${i}`)
          );
        }
      }
    },
  );
}

testOnBackends("an image whose scale is 0 passes a half of a block unchanged, both ways", async () => {
  for (const [name, [operation, inputs]] of Object.entries(branchCases(2, null))) {
    const upstream = randomTensor(inputs[0].shape, 77);
    const { value, gradients } = await valueAndGradients(operation, inputs, upstream);
    const [x, dy] = await readTensors([inputs[0], upstream]);
    const second = x.length / 2;
    assertEquals(value.slice(second), x.slice(second), name);
    assertClose(gradients[0].slice(second), dy.slice(second), 1e-6, name);
    assert(value.slice(0, second).some((one, i) => one !== x[i]));
  }
});

testOnTargets("mlpResidual() gives the same bits whether there is a way back or not", async (record) => {
  const [width, hidden] = [12, 20];
  const affine = (rows: number, columns: number, seed: number): Affine => ({
    weight: randomTensor(columns === 0 ? [rows] : [rows, columns], seed),
    bias: randomTensor([rows], seed + 1),
  });
  const parameters = {
    norm: affine(width, 0, 1),
    fc1: affine(hidden, width, 3),
    fc2: affine(width, hidden, 5),
  };
  const branch = (x: tf.Tensor) => mlpResidual(x, parameters);
  const x = randomTensor([2, 5, width], 7);
  const before = tf.memory().numTensors;
  const alone = record(() => branch(x));
  assertEquals(tf.memory().numTensors, before + 1, "intermediates are freed");
  const { value } = await record(() => valueAndGradients(branch, [x], randomTensor([2, 5, width], 8)));
  assertEquals(await readTensor(alone), value);
});

testOnBackends("withoutGradient() gives the same value and keeps nothing for a way back", async () => {
  const [weight, bias, last] = [randomTensor([5, 5], 1), tf.zeros([5]), randomTensor([4, 5], 3)];
  const [x, upstream] = [randomTensor([3, 5], 2), randomTensor([3, 4], 4)];
  const frozen = (weight: tf.Tensor) => withoutGradient(x, () => linear(x, weight, bias));
  const after = (hidden: tf.Tensor): Case => [(last) => linear(hidden, last, tf.zeros([4])), [last]];
  const [recorded, expected] = [after(frozen(weight)), after(linear(x, weight, bias))];
  const [actual, plain] = await Promise.all(
    [recorded, expected].map(([operation, inputs]) => valueAndGradients(operation, inputs, upstream)),
  );
  assertEquals(actual, plain);
  assertThrows(() => tf.grads((weight: tf.Tensor) => frozen(weight))([weight]));
});

testOnBackends("operations of classifiers refuse shapes that do not fit", () => {
  const tokens = tf.zeros([2, 3, 4]);
  assertThrows(
    () => embedTokens(tokens, tf.zeros([1, 1, 4]), tf.zeros([1, 3, 4])),
    RangeError,
    "Positions [1,3,4] do not fit a class token and patches [2,3,4]",
  );
  assertThrows(
    () => addScaled(tokens, tokens, tf.zeros([3])),
    RangeError,
    "A scale [3] was given for a branch [2,3,4]",
  );
  assertThrows(
    () => normalizeBatch(tf.zeros([1, 4]), 1e-6),
    RangeError,
    "two rows or more, [N, D], not [1,4]",
  );
  return Promise.resolve();
});
