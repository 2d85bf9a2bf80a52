/** The halves of a block as one operation, whole and with drop path, against the same made of smaller operations. */
import { assert, assertEquals, assertThrows } from "../../deps.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { readTensor, readTensors } from "../../../src/gpu/tensors.ts";
import { withBody } from "../../../src/ops/operation.ts";
import type { KeptImages } from "../../../src/ops/branch/kept_images.ts";
import { type Affine, attentionResidual, mlpResidual } from "../../../src/ops/branch/residual_branch.ts";
import { testOnBackends, testOnWebGpu } from "../../support/backends.ts";
import { assertClose, assertRelative, randomTensor, valueAndGradients } from "../../support/compare.ts";
import { halfAvailable, testOnTargets } from "../../support/targets.ts";

/** A half of a block, x and every parameter. */
type Case = readonly [(...inputs: tf.Tensor[]) => tf.Tensor, tf.Tensor[]];

// 11 tokens, so that the rows of some images are no multiple of anything.
const [tokens, width, hidden, heads] = [11, 24, 40, 3];

function branchCases(
  images: number,
  options: { halfScale?: number | null; kept?: KeptImages },
): Record<string, Case> {
  const affine = (weight: tf.Tensor, bias: tf.Tensor): Affine => ({ weight, bias });
  const pair = (seed: number, outputs: number, inputs: number) => [
    tf.div(randomTensor([outputs, inputs], seed), Math.sqrt(inputs)),
    randomTensor([outputs], seed + 1),
  ];
  const norm = [tf.add(randomTensor([width], 1), 1), randomTensor([width], 2)];
  const x = randomTensor([images, tokens, width], 9);
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

// Of a batch: all, the first, the last, runs and single ones, none.
const keeps = [[5, [0, 1, 2, 3, 4]], [5, [0, 2, 3]], [5, [1, 4]], [2, [1]], [1, [0]], [3, []]] as const;

for (const halfScale of [null, 64]) {
  const precision = halfScale === null ? "f32" : "f16";
  testOnTargets(`halves of a block with drop path: kernels equal composed, ${precision}`, async (record) => {
    if (halfScale !== null && !halfAvailable()) return;
    for (const [images, kept] of keeps) {
      const options = { halfScale, kept: { images: kept, scale: 1.25 } };
      for (const [name, [operation, inputs]] of Object.entries(branchCases(images, options))) {
        const upstream = randomTensor(inputs[0].shape, 77);
        const run = () => valueAndGradients(operation, inputs, upstream);
        const composed = await withBody("composed", run);
        const kernel = await record(() => withBody("kernel", run));
        const bound = halfScale === null ? 2e-5 : 2e-2;
        const what = `${name} of images ${kept} of ${images}`;
        assertRelative(kernel.value, composed.value, bound, `${what}: value`);
        assertEquals(kernel.gradients.length, inputs.length);
        composed.gradients.forEach((gradient, i) =>
          assertRelative(kernel.gradients[i], gradient, bound, `${what}: gradient ${i}`)
        );
      }
    }
  });
}

testOnBackends("an image that is left out passes a half of a block unchanged, both ways", async () => {
  for (const kept of [[0], []]) {
    const cases = branchCases(2, { kept: { images: kept, scale: 1.25 } });
    for (const [name, [operation, inputs]] of Object.entries(cases)) {
      const upstream = randomTensor(inputs[0].shape, 77);
      const { value, gradients } = await valueAndGradients(operation, inputs, upstream);
      const [x, dy] = await readTensors([inputs[0], upstream]);
      const out = kept.length * x.length / 2;
      assertEquals(value.slice(out), x.slice(out), name);
      assertClose(gradients[0].slice(out), dy.slice(out), 1e-6, name);
      assert(value.slice(0, out).every((one, i) => one !== x[i]));
      const changes = gradients.slice(1).map((gradient) => gradient.some((one) => one !== 0));
      assertEquals(new Set(changes), new Set([kept.length > 0]), `${name}: gradients of parameters`);
    }
  }
});

testOnTargets("drop path: nothing that a larger batch left behind reaches the next", async (record) => {
  const kept = { images: [0, 2, 3], scale: 1.25 };
  for (const name of ["attentionResidual", "mlpResidual"]) {
    const run = async (options: Parameters<typeof branchCases>[1], spoiled: boolean) => {
      const [operation, [x, ...parameters]] = branchCases(5, options)[name];
      const inputs = [spoiled ? tf.fill(x.shape, NaN) : x, ...parameters];
      return await record(() => valueAndGradients(operation, inputs, randomTensor(x.shape, 77)));
    };
    const before = await run({ kept }, false);
    await run({}, true);
    assertEquals(await run({ kept }, false), before, name);
  }
});

testOnWebGpu(
  "drop path: a batch of which more or fewer images are left needs no new memory",
  async (runtime) => {
    const allocated = async (images: readonly number[]) => {
      tf.engine().startScope();
      for (const [operation, inputs] of Object.values(branchCases(5, { kept: { images, scale: 1.25 } }))) {
        await valueAndGradients(operation, inputs, randomTensor(inputs[0].shape, 77));
      }
      tf.engine().endScope();
      await runtime.settle();
      return runtime.memory().bytesAllocated;
    };
    await allocated([0, 1, 2, 3, 4]);
    const bytes = await allocated([1]); // with the zeros that a smaller part is followed by
    assertEquals([await allocated([0, 2, 3]), await allocated([0, 1, 2, 4])], [bytes, bytes]);
  },
);

testOnBackends("halves of a block refuse images that are not there or not in order", () => {
  for (const images of [[0, 2], [1, 0], [1, 1], [-1], [0.5]]) {
    const { mlpResidual: [operation, inputs] } = branchCases(2, { kept: { images, scale: 1 } });
    assertThrows(() => operation(...inputs), RangeError, "Images of a branch must rise within 0 to 1, not");
  }
  return Promise.resolve();
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
