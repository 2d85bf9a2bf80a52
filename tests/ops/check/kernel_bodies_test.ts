/** Every kernel against its composed definition, value and every gradient, over shapes that include ragged ones. */
import { assert, assertEquals } from "../../deps.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { readTensor } from "../../../src/gpu/tensors.ts";
import { cpuLanes } from "../../../src/gpu/target.ts";
import { attention } from "../../../src/ops/attention/attention.ts";
import { layerNorm } from "../../../src/ops/norm/layer_norm.ts";
import { linear } from "../../../src/ops/product/linear.ts";
import { product } from "../../../src/ops/product/matmul.ts";
import { withBody } from "../../../src/ops/operation.ts";
import { patchEmbed } from "../../../src/ops/pixels/patch_embed.ts";
import { maskedPixelLoss } from "../../../src/ops/loss/pixel_loss.ts";
import { partialSumsOfSquares } from "../../../src/ops/update/sum_of_squares.ts";
import { testOnWebGpu } from "../../support/backends.ts";
import { assertRelative, randomTensor, valueAndGradients } from "../../support/compare.ts";

type Operation = (...inputs: tf.Tensor[]) => tf.Tensor;

/** Runs both bodies, each chosen while operations are recorded, and compares them relative to the largest value. */
async function compareBodies(
  what: string,
  operation: Operation,
  inputs: tf.Tensor[],
  bound = 2e-5,
): Promise<void> {
  const upstream = randomTensor(operation(...inputs).shape, 99);
  const composed = await withBody("composed", () => valueAndGradients(operation, inputs, upstream));
  const kernel = await withBody("kernel", () => valueAndGradients(operation, inputs, upstream));
  assertRelative(kernel.value, composed.value, bound, `${what}: value`);
  kernel.gradients.forEach((gradient, i) =>
    assertRelative(gradient, composed.gradients[i], bound, `${what}: gradient ${i}`)
  );
}

testOnWebGpu(
  "this machine runs the kernels of CPU adapters, or is a GPU whose operations are composed",
  (runtime) => {
    const lanes = cpuLanes();
    const expected = runtime.adapter?.software && runtime.adapter.features.includes("subgroups");
    assertEquals(lanes !== null, Boolean(expected));
    return Promise.resolve();
  },
);

// rows, inputs, outputs: one row, prime rows, widths of 4 that are no multiple of 8 or 64, more than one tile
const linearShapes = [[1, 4, 4], [7, 12, 20], [31, 36, 100], [65, 64, 68], [130, 196, 132], [3, 5, 7]];

for (const [rows, inputs, outputs] of linearShapes) {
  const shape = `${rows} x ${inputs} to ${outputs}`;
  testOnWebGpu(`linear(): kernel equals composed, ${shape}`, async () => {
    const tensors = [
      randomTensor([rows, inputs], 1),
      randomTensor([outputs, inputs], 2),
      randomTensor([outputs], 3),
    ];
    await compareBodies("plain", (x, weight, bias) => linear(x, weight, bias), tensors);
    await compareBodies(
      "GELU",
      (x, weight, bias) => linear(x, weight, bias, { activation: "gelu" }),
      tensors,
    );
    await compareBodies(
      "residual",
      (x, weight, bias, residual) => linear(x, weight, bias, { residual }),
      [...tensors, randomTensor([rows, outputs], 4)],
    );
  });
}

for (const [rows, width] of [[1, 4], [3, 20], [17, 36], [300, 64], [5, 772], [2, 7]]) {
  testOnWebGpu(`layerNorm(): kernel equals composed, ${rows} x ${width}`, async () => {
    const inputs = [
      tf.add(randomTensor([rows, width], 1), 3),
      randomTensor([width], 2),
      randomTensor([width], 3),
    ];
    await compareBodies("layer norm", (x, gain, bias) => layerNorm(x, gain, bias), inputs);
  });
}

// images, tokens, heads, head width: one token, prime tokens, more than one block of keys, narrow and odd heads
for (
  const [images, tokens, heads, width] of [[2, 1, 2, 4], [1, 7, 3, 12], [2, 65, 1, 20], [1, 131, 2, 36], [
    2,
    5,
    2,
    3,
  ]]
) {
  testOnWebGpu(`attention(): kernel equals composed, ${images}x${tokens}x${heads}x${width}`, async () => {
    const packed = tf.mul(randomTensor([images, tokens, 3 * heads * width], 1), 2);
    await compareBodies("attention", (x) => attention(x, heads), [packed], 5e-5);
  });
}

testOnWebGpu(
  "attention(): scores that overflow exp() without a shift stay finite in both bodies",
  async () => {
    const packed = tf.mul(randomTensor([1, 9, 24], 1), 40);
    await compareBodies("attention", (x) => attention(x, 2), [packed], 1e-4);
  },
);

for (const values of [4, 12, 192, 30]) {
  testOnWebGpu(`maskedPixelLoss(): kernel equals composed, patches of ${values} values`, async () => {
    const patches = randomTensor([3, 7, values], 1);
    const mask = tf.tensor2d([[1, 1, 0, 1, 0, 1, 1], [0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1]]);
    for (const normalize of [false, true]) {
      const operation: Operation = (x) => maskedPixelLoss(x, patches, mask, normalize);
      await compareBodies(`normalize ${normalize}`, operation, [randomTensor([3, 7, values], 2)]);
    }
  });
}

testOnWebGpu("patchEmbed(): kernel equals composed, ragged patches", async () => {
  for (const [channels, p, q, width] of [[3, 4, 4, 12], [5, 2, 2, 20], [1, 3, 5, 8]]) {
    const patches = randomTensor([2, 3, channels * p * q], 1);
    const weights = [randomTensor([width, channels, p, q], 2), randomTensor([width], 3)];
    await compareBodies(
      `${channels}x${p}x${q}`,
      (weight, bias) => patchEmbed(patches, weight, bias),
      weights,
    );
  }
});

testOnWebGpu("product(): all three forms equal tfjs's, with k no multiple of 8", async () => {
  if (cpuLanes() === null) return; // a GPU has no such kernel: the first test of this file says so
  for (const [m, k, n] of [[4, 4, 4], [68, 12, 36], [132, 100, 68]]) {
    const a = { NN: [m, k], NT: [m, k], TN: [k, m] };
    const b = { NN: [k, n], NT: [n, k], TN: [k, n] };
    for (const form of ["NN", "NT", "TN"] as const) {
      const [left, right] = [
        randomTensor(a[form], 1) as tf.Tensor2D,
        randomTensor(b[form], 2) as tf.Tensor2D,
      ];
      const expected = await readTensor(tf.matMul(left, right, form === "TN", form === "NT"));
      const { value, columnSums } = product(form, left, right, { columnSums: form === "TN" });
      assertRelative(await readTensor(value), expected, 1e-5, `${form} ${m}x${k}x${n}`);
      if (columnSums) {
        assertRelative(await readTensor(columnSums), await tf.sum(left, 0).data(), 1e-5, "column sums");
      }
    }
  }
});

testOnWebGpu(
  "partialSumsOfSquares(): kernel and composed have the same total, over ragged sizes",
  async () => {
    const tensors = [1, 3, 4, 257, 4096, 70_004].map((size, i) => randomTensor([size], 1 + i));
    const totals: number[] = [];
    for (const body of ["composed", "kernel"] as const) {
      const partials = await readTensor(withBody(body, () => partialSumsOfSquares(tensors)));
      totals.push(partials.reduce((sum, value) => sum + value, 0));
    }
    assertRelative([totals[1]], [totals[0]], 1e-6, "total");
    assert(totals[0] > 70_000);
  },
);

testOnWebGpu("kernels give the same bits run after run", async () => {
  const inputs = [randomTensor([2, 33, 96], 1), randomTensor([36, 96], 2), randomTensor([36], 3)];
  const operation: Operation = (x, weight, bias) =>
    linear(attention(x, 4), tf.slice(weight, [0, 0], [36, 32]), bias);
  const run = async () => {
    const value = await readTensor(operation(...inputs));
    const [gradient] = (await valueAndGradients(
      (x) => attention(x, 4),
      inputs.slice(0, 1),
      randomTensor([2, 33, 32], 5),
    )).gradients;
    return [value, gradient];
  };
  const first = await run();
  for (let i = 0; i < 3; i++) assertEquals(await run(), first);
});
