/** What `inspectEncoder` sees, against plain loops on the host with the weights of fixture `mae_a`. */
import { tf } from "../../src/deps/tfjs.ts";
import { readTensor } from "../../src/gpu/tensors.ts";
import { eachAttentionRow } from "../../src/models/attention_statistics.ts";
import { createClassifier } from "../../src/models/classifier.ts";
import { inspectEncoder } from "../../src/models/inspect_encoder.ts";
import { applyNorm, attentionBranch, mlpBranch } from "../../src/nn/block.ts";
import { attention } from "../../src/ops/attention/attention.ts";
import { linear } from "../../src/ops/product/linear.ts";
import { patchify } from "../../src/ops/pixels/patchify.ts";
import { assertAlmostEquals, assertEquals } from "../deps.ts";
import { testOnBackends } from "../support/backends.ts";
import { assertClose } from "../support/compare.ts";
import { Fixture } from "../support/fixtures.ts";

const encoder = { width: 48, depth: 2, heads: 3, mlpRatio: 4 };

async function openGolden(normEpsilon?: number) {
  const fixture = await Fixture.read("mae_a.safetensors");
  const classifier = createClassifier({
    encoder,
    imageSize: [32, 32],
    patchSize: [8, 8],
    pooling: "class_token",
    classes: 1,
    trainBlocks: 0,
    normEpsilon,
  });
  classifier.loadEncoder(fixture.under("init/"));
  const images = tf.transpose(fixture.tensor("images"), [0, 2, 3, 1]);
  return { fixture, classifier, patches: patchify(images, [8, 8]) };
}

/** softmax(q·k / √d) of each head, [heads][T][T], by loops over a packed product [T, 3·heads·d]. */
function hostProbabilities(packed: Float32Array, tokens: number, heads: number): number[][][] {
  const width = packed.length / tokens / 3;
  const size = width / heads;
  return Array.from({ length: heads }, (_, head) =>
    Array.from({ length: tokens }, (_, query) => {
      const scores = Array.from({ length: tokens }, (_, key) => {
        let sum = 0;
        for (let i = head * size; i < (head + 1) * size; i++) {
          sum += packed[query * 3 * width + i] * packed[key * 3 * width + width + i];
        }
        return Math.exp(sum / Math.sqrt(size));
      });
      const total = scores.reduce((sum, value) => sum + value, 0);
      return scores.map((value) => value / total);
    }));
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const entropyOf = (row: readonly number[]) => row.reduce((sum, p) => sum - p * Math.log(p), 0);

/** Mean distance in pixels between patch `from` of a 4 x 4 grid and the patches it looks at. */
function distanceOf(row: readonly number[], from: number): number {
  const place = (patch: number) => [8 * Math.floor(patch / 4), 8 * (patch % 4)];
  const shares = row.slice(1);
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.reduce((sum, share, to) => {
    const [[y, x], [v, u]] = [place(from), place(to)];
    return sum + share / total * Math.sqrt((y - v) ** 2 + (x - u) ** 2);
  }, 0);
}

testOnBackends("inspectEncoder() sees what plain loops on the host compute", async () => {
  for (const epsilon of [undefined, 0.5]) await compareWithLoops(epsilon);
});

async function compareWithLoops(epsilon?: number): Promise<void> {
  const { classifier, patches } = await openGolden(epsilon);
  const image = tf.slice(patches, [1, 0, 0], [1, 16, 192]);
  const before = tf.memory().numTensors;
  const layers = await inspectEncoder(classifier, image);
  assertEquals(tf.memory().numTensors, before);
  assertEquals([layers.length, layers[0].attention], [3, null]);

  const { parameters } = classifier;
  const qkv = (i: number) =>
    ["weight", "bias"].map((part) => parameters.get(`blocks.${i}.attn.qkv.${part}`) as tf.Tensor);
  const named = (name: string) => parameters.get(name) as tf.Tensor;
  const weight = tf.reshape(named("patch_embed.proj.weight"), [48, 192]);
  const order = tf.transpose(tf.reshape(image, [16, 64, 3]), [0, 2, 1]); // patches are pixel by pixel, weights by channel
  const embedded = tf.add(
    tf.matMul(tf.reshape(order, [16, 192]), weight, false, true),
    named("patch_embed.proj.bias"),
  );
  const all = tf.concat([tf.reshape(named("cls_token"), [1, 48]), embedded]);
  let x: tf.Tensor = tf.add(tf.expandDims(all, 0), named("pos_embed"));
  for (let i = 0; i < 2; i++) {
    const [weight, bias] = qkv(i);
    const packed = await readTensor(
      linear(applyNorm(parameters, `blocks.${i}.norm1`, x, epsilon), weight, bias),
    );
    const expected = hostProbabilities(packed, 17, 3);
    const { attention } = layers[i + 1];
    if (attention === null) throw new Error("a block without attention");
    expected.forEach((rows, head) => {
      const row = attention.classToken[head];
      assertClose(row, rows[0], 1e-6, `class token's attention, block ${i}, head ${head}`);
      assertAlmostEquals(row.reduce((sum, p) => sum + p, 0), 1, 1e-6);
      const what = [attention.classEntropy, attention.entropy, attention.distance].map((all) => all[head]);
      const byLoops = [
        entropyOf(rows[0]),
        mean(rows.slice(1).map(entropyOf)),
        mean(rows.slice(1).map(distanceOf)),
      ];
      assertClose(what, byLoops, 2e-5, `statistics of block ${i}, head ${head}`);
    });
    const attended = attentionBranch(parameters, `blocks.${i}`, 3, x, { epsilon });
    x = mlpBranch(parameters, `blocks.${i}`, attended, { epsilon });
    const norm = Math.sqrt(
      (await readTensor(tf.slice(x, [0, 0, 0], [1, 1, 48]))).reduce((sum, v) => sum + v * v, 0),
    );
    assertAlmostEquals(layers[i + 1].tokens.classNorm, norm, 1e-4);
  }
  classifier.dispose();
}

testOnBackends("weights of eachAttentionRow() times the values are the official attention", async () => {
  const { fixture, classifier } = await openGolden();
  const { parameters } = classifier;
  const x = tf.slice(fixture.tensor("act/blocks.0"), [2, 0, 0], [1, 5, 48]);
  const named = (name: string) => parameters.get(`blocks.1.${name}`) as tf.Tensor;
  const packed = linear(
    applyNorm(parameters, "blocks.1.norm1", x),
    named("attn.qkv.weight"),
    named("attn.qkv.bias"),
  );
  const values = await readTensor(packed); // [5, 3 · 48]
  const attended = new Float32Array(5 * 48);
  eachAttentionRow(values, 5, 3, (head, query, row) => {
    for (let i = 16 * head; i < 16 * (head + 1); i++) {
      attended[48 * query + i] = row.reduce(
        (sum, weight, key) => sum + weight * values[144 * key + 96 + i],
        0,
      );
    }
  });
  assertClose(attended, await readTensor(attention(packed, 3)), 2e-6, "attention");
  const joined = tf.tensor(attended, [1, 5, 48]);
  const half = linear(joined, named("attn.proj.weight"), named("attn.proj.bias"), { residual: x });
  const out = mlpBranch(parameters, "blocks.1", half);
  assertClose(
    await readTensor(out),
    fixture.values("act/blocks.1").slice(2 * 240, 3 * 240),
    2e-5,
    "output of block 1",
  );
  classifier.dispose();
});
