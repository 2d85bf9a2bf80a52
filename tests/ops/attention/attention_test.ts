/** Attention by kernel, for every kind of device, against the composed definition. */
import { assertEquals } from "../../deps.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { isHalf } from "../../../src/gpu/half.ts";
import { readTensor } from "../../../src/gpu/tensors.ts";
import { withTarget } from "../../../src/gpu/target.ts";
import { attention } from "../../../src/ops/attention/attention.ts";
import { attentionKernel, attentionKernelGradient } from "../../../src/ops/attention/attention_kernel.ts";
import { withBody } from "../../../src/ops/operation.ts";
import { testOnWebGpu } from "../../support/backends.ts";
import { assertRelative, randomTensor, valueAndGradients } from "../../support/compare.ts";
import { halfAvailable, testOnTargets, toHalf } from "../../support/targets.ts";

type Record = <Result>(work: () => Result) => Result;

/** Images, tokens, heads and width of a head. */
type Sizes = readonly [images: number, tokens: number, heads: number, width: number];

// One token, ragged blocks, one and several blocks, heads of one, two and three chunks, full and not.
const sizes: Sizes[] = [
  [2, 1, 2, 4],
  [1, 7, 3, 12],
  [1, 33, 2, 32],
  [2, 65, 1, 12],
  [1, 40, 2, 64],
  [1, 62, 1, 64],
  [1, 19, 1, 80],
  [1, 70, 1, 36],
];

function packedValues([images, tokens, heads, width]: Sizes, scale = 2): tf.Tensor {
  return tf.mul(randomTensor([images, tokens, 3 * heads * width], 1), scale);
}

async function runBoth(sizes: Sizes, record: Record, scale = 2) {
  const [images, tokens, heads, width] = sizes;
  const packed = packedValues(sizes, scale);
  const upstream = randomTensor([images, tokens, heads * width], 2);
  const run = () => valueAndGradients((x) => attention(x, heads), [packed], upstream);
  return { expected: await withBody("composed", run), actual: await record(() => withBody("kernel", run)) };
}

async function compare(sizes: Sizes, record: Record): Promise<void> {
  const [, , heads, width] = sizes;
  const { expected, actual } = await runBoth(sizes, record);
  assertRelative(actual.value, expected.value, 5e-5, "value");
  // Queries, keys and values apart: their gradients differ in size.
  const part = (gradient: Float32Array, which: number) =>
    gradient.filter((_, i) => Math.floor(i / (heads * width)) % 3 === which);
  for (const [which, name] of ["query", "key", "value"].entries()) {
    const wanted = part(expected.gradients[0], which);
    assertRelative(part(actual.gradients[0], which), wanted, 5e-5, `gradient of ${name}`);
  }
}

for (const shape of sizes) {
  testOnTargets(`attention(): kernel equals composed, ${shape.join(" x ")}`, async (record) => {
    await compare(shape, record);
  });
}

testOnWebGpu("attention(): tiles in 16 KiB of workgroup memory", async () => {
  await compare([1, 34, 1, 64], (work) => withTarget({ family: "tiles", workgroupBytes: 16384 }, work));
});

testOnTargets("attention(): scores that overflow exp() without a shift stay finite", async (record) => {
  const { expected, actual } = await runBoth([1, 37, 2, 8], record, 40);
  assertRelative(actual.value, expected.value, 1e-4, "value");
  assertRelative(actual.gradients[0], expected.gradients[0], 1e-4, "gradient");
});

for (const shape of [[2, 7, 2, 12], [1, 33, 1, 36]] as const) {
  testOnTargets(`attentionKernel(): half precision, ${shape.join(" x ")}`, async (record) => {
    if (!halfAvailable()) return;
    const [images, tokens, heads, headWidth] = shape;
    const named = { images, tokens, heads, headWidth };
    const packed = toHalf(packedValues(shape));
    const upstream = randomTensor([images, tokens, heads * headWidth], 2);
    const halfUpstream = toHalf(upstream);
    const single = tf.tensor(await readTensor(packed), packed.shape);
    const run = () => valueAndGradients((x) => attention(x, heads), [single], upstream);
    const expected = await withBody("composed", run);

    const [attended, logTotal] = record(() => attentionKernel(packed, named));
    assertEquals([isHalf(attended), isHalf(logTotal)], [true, false]);
    assertRelative(await readTensor(attended), expected.value, 2e-3, "value");
    const compareGradient = async (given: tf.Tensor, packed: tf.Tensor, attended: tf.Tensor) => {
      const gradient = record(() => attentionKernelGradient(given, packed, attended, logTotal, named));
      assertEquals([isHalf(gradient), gradient.shape], [isHalf(packed), packed.shape]);
      assertRelative(await readTensor(gradient), expected.gradients[0], 2e-3, "gradient");
    };
    await compareGradient(halfUpstream, packed, attended);
    if (tokens > 7) return; // every pair of precisions once, with little code to compile
    await compareGradient(upstream, packed, attended);
    await compareGradient(halfUpstream, single, tf.tensor(await readTensor(attended), attended.shape));
  });
}

testOnTargets("attention() by kernel gives the same bits run after run", async (record) => {
  const packed = packedValues([2, 35, 1, 36]);
  const upstream = randomTensor([2, 35, 36], 3);
  const run = () => record(() => valueAndGradients((x) => attention(x, 1), [packed], upstream));
  assertEquals(await run(), await run());
});
