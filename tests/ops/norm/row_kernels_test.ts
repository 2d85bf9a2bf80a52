/** Layer norm and pixel loss by kernel, for every kind of device, against their composed definitions. */
import { assertEquals } from "../../deps.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { readTensor } from "../../../src/gpu/tensors.ts";
import { layerNorm } from "../../../src/ops/norm/layer_norm.ts";
import { layerNormKernel, layerNormKernelGradients } from "../../../src/ops/norm/layer_norm_kernel.ts";
import { withBody } from "../../../src/ops/operation.ts";
import { maskedPixelLoss } from "../../../src/ops/loss/pixel_loss.ts";
import { assertRelative, randomTensor, valueAndGradients } from "../../support/compare.ts";
import { halfAvailable, testOnTargets, toHalf } from "../../support/targets.ts";

const names = ["x", "gain", "bias"];

function layerNormInputs(rows: number, width: number): tf.Tensor[] {
  return [tf.add(randomTensor([rows, width], 1), 3), randomTensor([width], 2), randomTensor([width], 3)];
}

// Short rows (a subgroup each), long ones (a workgroup), ones too wide for registers, several pieces of rows.
for (const [rows, width] of [[1, 4], [3, 20], [19, 100], [300, 36], [5, 772], [2, 8260], [3, 16_388]]) {
  testOnTargets(`layerNorm(): kernel equals composed, ${rows} x ${width}`, async (record) => {
    const inputs = layerNormInputs(rows, width);
    const upstream = randomTensor([rows, width], 4);
    const run = () => valueAndGradients((x, gain, bias) => layerNorm(x, gain, bias), inputs, upstream);
    const expected = await withBody("composed", run);
    const actual = await record(() => withBody("kernel", run));
    assertRelative(actual.value, expected.value, 2e-5, "value");
    names.forEach((name, i) =>
      assertRelative(actual.gradients[i], expected.gradients[i], 2e-5, `gradient of ${name}`)
    );
  });
}

for (const [rows, width] of [[7, 48], [140, 260], [2, 8260]]) {
  testOnTargets(
    `layerNormKernel(): half precision and a gradient to add, ${rows} x ${width}`,
    async (record) => {
      if (!halfAvailable()) return;
      const [x, gain, bias] = layerNormInputs(rows, width) as [tf.Tensor2D, tf.Tensor, tf.Tensor];
      const [single, singleStatistics] = record(() => layerNormKernel(x, gain, bias, 1e-6));
      const [half, statistics] = record(() => layerNormKernel(x, gain, bias, 1e-6, { half: true }));
      assertRelative(await readTensor(half), await readTensor(single), 1e-3, "value in half");
      assertEquals(await readTensor(statistics), await readTensor(singleStatistics));

      const dy = toHalf(randomTensor([rows, width], 5)) as tf.Tensor2D;
      const rounded = tf.tensor2d(await readTensor(dy), [rows, width]);
      const add = randomTensor([rows, width], 6);
      const [dx, ...rest] = record(() => layerNormKernelGradients(dy, x, gain, statistics, { add }));
      const [plain, ...others] = record(() => layerNormKernelGradients(rounded, x, gain, statistics));
      assertRelative(await readTensor(dx), await readTensor(tf.add(plain, add)), 1e-6, "gradient of x");
      for (const [i, gradient] of rest.entries()) {
        assertRelative(await readTensor(gradient), await readTensor(others[i]), 1e-6, names[i + 1]);
      }
    },
  );
}

// Patches of whole quads and not, short and long; 21 patches are no multiple of 4 either.
for (const [length, values] of [[7, 4], [7, 48], [8, 30], [3, 588], [2, 8196]]) {
  testOnTargets(`maskedPixelLoss(): kernel equals composed, patches of ${values} values`, async (record) => {
    const patches = tf.add(randomTensor([3, length, values], 1), 2);
    const prediction = randomTensor([3, length, values], 2);
    const places = tf.range(0, 3 * length, 1, "float32");
    // A cast from truth values, as the masking makes it on the device: tfjs leaves integers in the buffer.
    const mask = tf.reshape(tf.cast(tf.greater(tf.mod(places, 3), 0), "float32"), [3, length]);
    for (const normalize of [false, true]) {
      const run = () =>
        valueAndGradients((x) => maskedPixelLoss(x, patches, mask, normalize), [prediction], tf.scalar(1.7));
      const expected = await withBody("composed", run);
      const actual = await record(() => withBody("kernel", run));
      assertRelative(actual.value, expected.value, 2e-5, `normalize ${normalize}: value`);
      assertRelative(actual.gradients[0], expected.gradients[0], 2e-5, `normalize ${normalize}: gradient`);
    }
  });
}

testOnTargets("maskedPixelLoss(): NaN by kernel when nothing is removed", async (record) => {
  const patches = randomTensor([2, 3, 8], 1);
  const loss = record(() =>
    withBody("kernel", () => maskedPixelLoss(patches, patches, tf.zeros([2, 3]), true))
  );
  assertEquals(await readTensor(loss), new Float32Array([NaN]));
});

testOnTargets(
  "layerNorm() and maskedPixelLoss() by kernel give the same bits run after run",
  async (record) => {
    const [x, gain, bias] = layerNormInputs(260, 96);
    const patches = randomTensor([260, 96], 4);
    const mask = tf.ones([260]);
    const run = () =>
      valueAndGradients(
        (x, gain, bias) => maskedPixelLoss(layerNorm(x, gain, bias), patches, mask, true),
        [x, gain, bias],
        tf.scalar(1),
      );
    const [first, second] = [await record(run), await record(run)];
    assertEquals(first, second);
  },
);
