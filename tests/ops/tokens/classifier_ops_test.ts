/** Operations of classifiers: kernels against composed bodies, and both against plain loops, for every family of kernels. */
import { assert, assertEquals, assertThrows } from "../../deps.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { readTensor, readTensors } from "../../../src/gpu/tensors.ts";
import { normalizeBatch, normalizeColumns } from "../../../src/ops/norm/batch_norm.ts";
import { embedTokens } from "../../../src/ops/tokens/embed_tokens.ts";
import { linear } from "../../../src/ops/product/linear.ts";
import { withBody } from "../../../src/ops/operation.ts";
import { poolTokens, takeClassToken } from "../../../src/ops/tokens/pool_tokens.ts";
import { withoutGradient } from "../../../src/ops/without_gradient.ts";
import { testOnBackends } from "../../support/backends.ts";
import {
  assertClose,
  assertRelative,
  numericGradients,
  randomTensor,
  valueAndGradients,
} from "../../support/compare.ts";
import { testOnTargets } from "../../support/targets.ts";

type Operation = (...inputs: tf.Tensor[]) => tf.Tensor;
type Case = [Operation, tf.Tensor[]];

function tokenCases(images: number, length: number, width: number): Record<string, Case> {
  const tokens = (places: number, seed = 1) => randomTensor([images, places, width], seed);
  return {
    embedTokens: [embedTokens, [
      tokens(length),
      randomTensor([1, 1, width], 2),
      randomTensor([1, 1 + length, width], 3),
    ]],
    "poolTokens, average": [(x) => poolTokens(x, "average"), [tokens(1 + length)]],
    "poolTokens, class token": [(x) => poolTokens(x, "class_token"), [tokens(1 + length)]],
    takeClassToken: [takeClassToken, [tokens(1 + length)]],
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
  assertEquals(takeClassToken(tokens).shape, [images, 1, width]);
  assertEquals(await readTensor(takeClassToken(tokens)), first);

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
    Object.keys({ embedTokens: 0, "poolTokens, average": 0, "poolTokens, class token": 0, takeClassToken: 0 })
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
    () => normalizeBatch(tf.zeros([1, 4]), 1e-6),
    RangeError,
    "two rows or more, [N, D], not [1,4]",
  );
  return Promise.resolve();
});
