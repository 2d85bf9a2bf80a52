import { assertEquals, assertThrows } from "../../deps.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { readTensor } from "../../../src/gpu/tensors.ts";
import { assembleTokens, replaceMasked, takeRows } from "../../../src/ops/tokens/gather_tokens.ts";
import { linear } from "../../../src/ops/product/linear.ts";
import { layerNorm } from "../../../src/ops/norm/layer_norm.ts";
import { attention } from "../../../src/ops/attention/attention.ts";
import { maskFromNoise } from "../../../src/ops/tokens/masking.ts";
import { withBody } from "../../../src/ops/operation.ts";
import { maskedPixelLoss } from "../../../src/ops/loss/pixel_loss.ts";
import {
  addPositions,
  dropClassToken,
  removedTokens,
  scatterTokens,
} from "../../../src/ops/tokens/scatter_tokens.ts";
import { testOnBackends, testOnWebGpu } from "../../support/backends.ts";
import { assertRelative, numericGradients, randomTensor, valueAndGradients } from "../../support/compare.ts";
import { countDispatches } from "../../support/dispatches.ts";
import { testOnTargets } from "../../support/targets.ts";
import { Random } from "../../../src/util/random.ts";

/** Ragged sizes: 3 images, 7 patches of which 2 are kept, width 5. */
const [images, length, width] = [3, 7, 5];
const masking = () => maskFromNoise(new Random(1).uniformArray(images * length), images, length, 0.7);

testOnBackends("takeRows() takes each image's own rows", async () => {
  const rows = tf.reshape(tf.range(0, images * length * 2), [images, length, 2]);
  const taken = await readTensor(takeRows(rows, tf.tensor2d([[6, 0], [1, 1], [3, 2]], [3, 2], "int32")));
  assertEquals([...taken], [12, 13, 0, 1, 16, 17, 16, 17, 34, 35, 32, 33]);
});

const gradientCases: Record<string, () => [(...x: tf.Tensor[]) => tf.Tensor, tf.Tensor[]]> = {
  assembleTokens: () => {
    const { idsKeep, kept } = masking();
    const positions = randomTensor([1, 1 + length, width], 3);
    return [
      (tokens, cls) => assembleTokens(tokens, cls, positions, idsKeep),
      [randomTensor([images, kept, width], 4), randomTensor([1, 1, width], 5)],
    ];
  },
  replaceMasked: () => {
    const { mask } = masking();
    return [
      (tokens, token) => replaceMasked(tokens, token, mask),
      [randomTensor([images, length, width], 4), randomTensor([1, 1, width], 5)],
    ];
  },
  scatterTokens: () => {
    const own = masking();
    const positions = randomTensor([1, 1 + length, width], 3);
    return [
      (tokens, token) => scatterTokens(tokens, token, positions, own),
      [randomTensor([images, 1 + own.kept, width], 4), randomTensor([1, 1, width], 5)],
    ];
  },
  removedTokens: () => {
    const own = masking();
    return [(x) => removedTokens(x, own), [randomTensor([images, 1 + length, width], 4)]];
  },
  dropClassToken: () => [dropClassToken, [randomTensor([images, 1 + length, width], 4)]],
  addPositions: () => {
    const positions = randomTensor([1, length, width], 3);
    return [(tokens) => addPositions(tokens, positions), [randomTensor([images, length, width], 4)]];
  },
  "linear with residual": () => [
    (x, weight, bias, residual) => linear(x, weight, bias, { residual }),
    [randomTensor([2, 3, 5], 1), randomTensor([7, 5], 2), randomTensor([7], 3), randomTensor([2, 3, 7], 4)],
  ],
  "linear with GELU": () => [
    (x, weight, bias) => linear(x, weight, bias, { activation: "gelu" }),
    [randomTensor([1, 3, 5], 1), randomTensor([7, 5], 2), randomTensor([7], 3)],
  ],
  "layerNorm of one row": () => [
    (x, gain, bias) => layerNorm(x, gain, bias),
    [randomTensor([1, 13], 1), randomTensor([13], 2), randomTensor([13], 3)],
  ],
  "attention with odd head width": () => [(x) => attention(x, 3), [randomTensor([1, 4, 45], 1)]],
  "attention over one token": () => [(x) => attention(x, 2), [randomTensor([2, 1, 12], 1)]],
  maskedPixelLoss: () => {
    const { mask } = masking();
    const patches = randomTensor([images, length, 6], 8);
    return [(x) => maskedPixelLoss(x, patches, mask, true), [randomTensor([images, length, 6], 9)]];
  },
};

for (const [name, makeCase] of Object.entries(gradientCases)) {
  testOnBackends(`${name} has the gradients of its own finite differences`, async (runtime) => {
    const [operation, inputs] = makeCase();
    const value = operation(...inputs);
    const upstream = randomTensor(value.shape, 77);
    const { gradients } = await valueAndGradients(operation, inputs, upstream);
    // On WebGPU every probe costs a readback, so there the CPU's analytic gradients are enough: see the golden tests.
    if (runtime.backend === "cpu") {
      const numeric = await numericGradients(operation, inputs, upstream);
      gradients.forEach((gradient, i) => assertRelative(gradient, numeric[i], 5e-3, `${name}, input ${i}`));
    } else gradients.forEach((gradient) => assertEquals(gradient.every(Number.isFinite), true));
  });
}

// images, patches, width, ratio removed: none removed, one patch, sums in several pieces, pieces of more than 64 rows
const tokenShapes = [[3, 7, 8, 0.7], [2, 5, 4, 0], [1, 1, 4, 0], [4, 70, 20, 0.75], [90, 190, 4, 0.5]];

for (const [count, patches, wide, ratio] of tokenShapes) {
  const shape = `${count} images, ${patches} patches, width ${wide}, ratio ${ratio}`;
  testOnTargets(`token operations: kernels equal the composed ones, ${shape}`, async (record) => {
    // Ordered on the device, where tfjs leaves the mask's truth values in its buffer as integers.
    const noise = tf.tensor2d(new Random(1).uniformArray(count * patches), [count, patches]);
    const own = maskFromNoise(noise, count, patches, ratio);
    const { idsKeep, kept, mask } = own;
    const positions = randomTensor([1, 1 + patches, wide], 3);
    const token = randomTensor([1, 1, wide], 5);
    const tokens = (length: number) => randomTensor([count, length, wide], 4);
    const operations: Record<string, [(...x: tf.Tensor[]) => tf.Tensor, tf.Tensor[]]> = {
      "assembleTokens, kept": [(x, cls) => assembleTokens(x, cls, positions, idsKeep), [tokens(kept), token]],
      "assembleTokens, all": [(x, cls) => assembleTokens(x, cls, positions, null), [tokens(patches), token]],
      replaceMasked: [(x, masked) => replaceMasked(x, masked, mask), [tokens(patches), token]],
      scatterTokens: [(x, masked) => scatterTokens(x, masked, positions, own), [tokens(1 + kept), token]],
      dropClassToken: [dropClassToken, [tokens(1 + patches)]],
      ...ratio > 0 && { removedTokens: [(x) => removedTokens(x, own), [tokens(1 + patches)]] },
      addPositions: [(x) => addPositions(x, positions), [tokens(1 + patches)]],
    };
    for (const [name, [operation, inputs]] of Object.entries(operations)) {
      const upstream = randomTensor(operation(...inputs).shape, 77);
      const run = () => valueAndGradients(operation, inputs, upstream);
      const composed = await withBody("composed", run);
      const kernel = await record(() => withBody("kernel", run));
      assertRelative(kernel.value, composed.value, 1e-6, `${name}: value`);
      // Sums over all removed patches are made in another order.
      composed.gradients.forEach((gradient, i) =>
        assertRelative(kernel.gradients[i], gradient, 1e-5, `${name}: gradient ${i}`)
      );
    }
    for (const sets of [1, count]) {
      const rows = randomTensor([sets, patches, wide], 6);
      const [composed, kernel] = (["composed", "kernel"] as const).map((body) =>
        record(() => withBody(body, () => takeRows(rows, idsKeep)))
      );
      assertEquals(await readTensor(kernel), await readTensor(composed), `takeRows of ${sets}`);
    }
  });
}

testOnWebGpu("scatterTokens() gives the same bits twice, by one launch forward and two back", async () => {
  const own = maskFromNoise(new Random(1).uniformArray(8 * 40), 8, 40, 0.7);
  const inputs = [randomTensor([8, 1 + own.kept, 16], 4), randomTensor([1, 1, 16], 5)];
  const positions = randomTensor([1, 41, 16], 3);
  const upstream = randomTensor([8, 41, 16], 6);
  const run = () =>
    valueAndGradients((x, token) => scatterTokens(x, token, positions, own), inputs, upstream);
  const first = await run();
  let second: ReturnType<typeof run> | undefined;
  // Forward; then forward again with its gradients, of which the mask token's takes a launch more.
  assertEquals(countDispatches(() => second = run()), 4);
  assertEquals(await second, first);
});

testOnBackends("maskedPixelLoss() is NaN when nothing is removed, as the official code's", async () => {
  const loss = maskedPixelLoss(tf.ones([1, 2, 3]), tf.ones([1, 2, 3]), tf.zeros([1, 2]), false);
  assertEquals((await readTensor(loss))[0], NaN);
});

testOnBackends("operations refuse shapes that do not fit", () => {
  assertThrows(() => linear(tf.zeros([2, 3]), tf.zeros([4, 5]), tf.zeros([4])), RangeError, "[2,3]");
  assertThrows(() => layerNorm(tf.zeros([2, 3]), tf.zeros([4]), tf.zeros([4])), RangeError, "width 4");
  assertThrows(() => attention(tf.zeros([1, 2, 10]), 3), RangeError, "multiple of 9");
  return Promise.resolve();
});
