/** What of a classifier is trained, what it costs, and that it repeats itself. */
import { assert, assertEquals, assertThrows } from "../deps.ts";
import { tf } from "../../src/deps/tfjs.ts";
import type { StoredTensor } from "../../src/formats/dtypes.ts";
import { openRuntime } from "../../src/gpu/runtime.ts";
import { readTensor, readTensors } from "../../src/gpu/tensors.ts";
import { type Classifier, createClassifier, type TrainOptions } from "../../src/models/classifier.ts";
import type { ClassifierConfig } from "../../src/models/classifier_config.ts";
import type { ComputeOptions } from "../../src/models/compute.ts";
import { softCrossEntropy } from "../../src/ops/loss/cross_entropy.ts";
import { withBody } from "../../src/ops/operation.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { layerDecayGroups } from "../../src/optim/groups.ts";
import { InputError } from "../../src/util/errors.ts";
import { Random, Stream } from "../../src/util/random.ts";
import { testOnBackends, testOnWebGpu } from "../support/backends.ts";
import { assertClose, assertRelative, randomTensor } from "../support/compare.ts";
import { countDispatches, countWorkgroups } from "../support/dispatches.ts";
import { halfAvailable } from "../support/targets.ts";

const base = {
  imageSize: [8, 12],
  patchSize: 4,
  encoder: { width: 24, depth: 3, heads: 2, mlpRatio: 2 },
  classes: 5,
  pooling: "average",
  headDeviation: 0.02,
} as const satisfies ClassifierConfig;
const labels = [4, 0, 2];

function open(changes: Partial<ClassifierConfig> = {}, compute: ComputeOptions = {}): Classifier {
  return createClassifier({ ...base, ...changes }, { seed: 1, ...compute });
}

const images = () => randomTensor([3, 8, 12, 3], 2);

async function lossAndGradients(model: Classifier, options: TrainOptions = {}) {
  const { loss, gradients } = model.lossAndGradients(images(), labels, options);
  const values = await readTensors([...gradients.values()]);
  return {
    loss: (await readTensor(loss))[0],
    gradients: new Map([...gradients.keys()].map((name, i) => [name, values[i]])),
  };
}

/** Names that start with one of these are trained. */
const trainedParts: [ClassifierConfig["trainBlocks"], string[]][] = [
  [0, ["head."]],
  [0.5, ["blocks.2.norm2.", "blocks.2.mlp.", "fc_norm.", "head."]],
  [1, ["blocks.2.", "fc_norm.", "head."]],
  [2, ["blocks.1.", "blocks.2.", "fc_norm.", "head."]],
  [3, ["blocks.", "fc_norm.", "head."]],
  ["all", [""]],
];

for (const [trainBlocks, parts] of trainedParts) {
  testOnBackends(
    `training ${trainBlocks} blocks gives the full model's gradients, and no others`,
    async () => {
      const whole = open();
      const part = open({ trainBlocks });
      assertEquals([...part.parameters.keys()], [...whole.parameters.keys()]);
      const [expected, actual] = [await lossAndGradients(whole), await lossAndGradients(part)];
      const names = [...whole.parameters.keys()].filter((name) =>
        parts.some((start) => name.startsWith(start))
      );
      assertEquals([...actual.gradients.keys()], names);
      assertEquals([...part.trainable.keys()], names);
      assertEquals(actual.loss, expected.loss);
      for (const [name, gradient] of actual.gradients) {
        assertEquals(gradient, expected.gradients.get(name), name);
      }
    },
  );
}

testOnWebGpu("frozen blocks run no kernels on the way back and keep nothing", () => {
  const [x, targets] = [images(), tf.softmax(randomTensor([3, 5], 3))];
  const dispatches = (depth: number, work: (model: Classifier) => void, trainBlocks: number | "all") => {
    const model = open({ trainBlocks, encoder: { ...base.encoder, depth } });
    tf.tidy(() => work(model)); // whatever is prepared once
    return countDispatches(() => tf.tidy(() => work(model)));
  };
  const infer = (model: Classifier) => void model.logits(x);
  const train = (model: Classifier) => void model.lossAndGradients(x, labels);
  const oneBlock = dispatches(4, infer, "all") - dispatches(3, infer, "all");
  assert(oneBlock >= 7); // norm, product, attention, product; norm, two products
  for (const trainBlocks of [0, 0.5, 1, 2]) {
    const more = dispatches(4, train, trainBlocks) - dispatches(3, train, trainBlocks);
    assertEquals(more, oneBlock, `${trainBlocks} blocks trained`);
  }
  assert(dispatches(4, train, "all") - dispatches(3, train, "all") > 2 * oneBlock);
  assert(dispatches(3, train, 3) < dispatches(3, train, "all"));
  const steps = [0, 0.5, 1, 2, 3].map((trainBlocks) => dispatches(3, train, trainBlocks));
  steps.slice(1).forEach((count, i) => assert(count > steps[i], steps.join()));

  // What a frozen encoder computes is freed before the way back starts.
  const kept = (trainBlocks: number | "all") => {
    const model = open({ trainBlocks });
    const before = tf.memory().numTensors;
    let count = 0;
    const { value, grads } = tf.variableGrads(() => {
      const logits = model.logits(x);
      count = tf.memory().numTensors - before;
      return softCrossEntropy(logits, targets);
    }, [...model.trainable.values()]);
    tf.dispose([value, ...Object.values(grads)]);
    return count;
  };
  const counts = [0, 0.5, 1, 2, 3].map(kept);
  counts.slice(1).forEach((count, i) => assert(count > counts[i], counts.join()));
  return Promise.resolve();
});

testOnBackends(
  "inference equals training's forward pass bit for bit, and keeps no block's input",
  async () => {
    const x = images();
    const targets = tf.softmax(randomTensor([3, 5], 3));
    for (const trainBlocks of [0, 0.5, 2, "all"] as const) {
      const model = open({ trainBlocks });
      let recorded: tf.Tensor | undefined;
      tf.variableGrads(() => {
        recorded = tf.keep(model.logits(x));
        return softCrossEntropy(recorded, targets);
      }, [...model.trainable.values()]);
      const before = tf.memory().numTensors;
      const logits = model.logits(x);
      assertEquals(tf.memory().numTensors - before, 3, "logits, features, patches");
      assertEquals(await readTensor(logits), await readTensor(recorded as tf.Tensor), `${trainBlocks}`);
      recorded?.dispose();
    }
  },
);

testOnBackends(
  "remat gives the same loss and gradients, bit for bit, with drop path and frozen blocks",
  async () => {
    const dropPathDraws = new Random(3).uniformArray(2 * 3 * 3);
    for (const trainBlocks of [0.5, 2, "all"] as const) {
      const [plain, remat] = [false, true].map((remat) => open({ trainBlocks, dropPath: 0.4 }, { remat }));
      const options = { dropPathDraws };
      assertEquals(await lossAndGradients(remat, options), await lossAndGradients(plain, options));
    }
  },
);

testOnBackends("five steps give the same bits twice, with drop path, accumulation and clipping", async () => {
  const train = async () => {
    const model = open({ dropPath: 0.3 });
    const groups = layerDecayGroups(model.trainable, { weightDecay: 0.05, layerDecay: 0.75, depth: 3 });
    const optimizer = new AdamW(model.trainable, groups, { betas: [0.9, 0.999], clipNorm: 1 });
    for (let step = 0; step < 5; step++) {
      for (const micro of [0, 1]) {
        const dropPathDraws = new Random(1, Stream.dropPath, step, micro).uniformArray(
          model.dropPathDrawCount(3),
        );
        const { loss, gradients } = model.lossAndGradients(images(), labels, { dropPathDraws });
        optimizer.accumulate(loss, gradients);
      }
      optimizer.step(1e-3);
    }
    return await model.state();
  };
  const [first, second] = [await train(), await train()];
  assertEquals(second, first);
  const start = await open({ dropPath: 0.3 }).state();
  for (const [name, { data }] of first) {
    assert(data.some((value, i) => value !== start.get(name)?.data[i]), name);
  }
});

testOnWebGpu("f16 stays close to f32 with drop path, frozen blocks and remat", async () => {
  if (!halfAvailable()) return;
  const dropPathDraws = new Random(3).uniformArray(2 * 3 * 3);
  for (const pooling of ["average", "class_token"] as const) {
    for (const trainBlocks of [0, 1, "all"] as const) {
      const config = { trainBlocks, pooling, dropPath: 0.4 };
      const expected = await lossAndGradients(open(config), { dropPathDraws });
      const half = open(config, { precision: "f16", remat: true });
      const actual = await lossAndGradients(half, { dropPathDraws });
      assertRelative([actual.loss], [expected.loss], 1e-3, "loss");
      for (const [name, gradient] of expected.gradients) {
        if (name.endsWith("qkv.bias")) continue; // the key third is zero but for rounding
        assertRelative(actual.gradients.get(name) as Float32Array, gradient, 3e-2, `${trainBlocks}: ${name}`);
      }
    }
  }
});

testOnBackends("drop path leaves out what the draws say, and scales the rest", async () => {
  const model = open({ dropPath: 0.5 });
  const state = await model.state();
  const draws = new Float32Array(2 * 3 * 3).fill(0.999);
  draws.fill(0, 2 * 2 * 3); // the last block is left out of every image
  // The second block's rate is 0.25: with its last layers divided by 0.75 nothing need be left out.
  const plain = open({ encoder: { ...base.encoder, depth: 2 } });
  const scaled = new Map<string, StoredTensor>();
  for (const [name, { shape, data }] of state) {
    if (name.startsWith("blocks.2.")) continue;
    const factor = /^blocks\.1\.(attn\.proj|mlp\.fc2)\./.test(name) ? 0.75 : 1;
    scaled.set(name, { shape, dtype: "F32", data: (data as Float32Array).map((value) => value / factor) });
  }
  plain.loadState(scaled);
  for (const body of ["kernel", "composed"] as const) {
    const actual = withBody(body, () => model.logits(images(), { dropPathDraws: draws }));
    const expected = withBody(body, () => plain.logits(images()));
    assertClose(await readTensor(actual), await readTensor(expected), 2e-6, body);
  }
  assertThrows(
    () => model.logits(images(), { dropPathDraws: new Float32Array(4) }),
    RangeError,
    "Drop path needs 18 draws for 3 images, not 4",
  );
});

testOnBackends("labels as classes and as shares, images and their patches give the same loss", async () => {
  const model = open();
  const shares = tf.oneHot(tf.tensor1d(labels, "int32"), 5, 1, 0, "float32") as tf.Tensor2D;
  const losses = [labels, Uint32Array.from(labels), shares].map((given) =>
    model.lossAndGradients(images(), given).loss
  );
  const [first, ...others] = await readTensors(losses);
  for (const other of others) assertEquals(other, first);
  assert(!shares.isDisposed);
  assertThrows(
    () => model.logits(tf.zeros([1, 12, 8, 3])),
    RangeError,
    "Images must be [N, 8, 12, 3] or patches [N, 6, 48], not [1,12,8,3]",
  );
});

Deno.test("first values are the official ones: head, norms, biases, deviations", async () => {
  await openRuntime({ backend: "cpu" });
  const model = createClassifier({
    ...base,
    encoder: { ...base.encoder, width: 96 },
    headDeviation: undefined,
  });
  const deviation = async (name: string) => {
    const { data } = (await model.state()).get(name) ?? { data: [] };
    const values = Float64Array.from(data as Float32Array);
    return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
  };
  assertRelative([await deviation("head.weight")], [2e-5], 0.1, "head");
  assertRelative([await deviation("blocks.1.attn.qkv.weight")], [0.02], 0.03, "linear layers");
  assertRelative([await deviation("pos_embed")], [0.02], 0.1, "positions");
  assertRelative([await deviation("patch_embed.proj.weight")], [1 / Math.sqrt(3 * 48)], 0.05, "patches");
  assertEquals([await deviation("head.bias"), await deviation("blocks.0.mlp.fc1.bias")], [0, 0]);
  assertEquals(await deviation("fc_norm.weight"), 1);
  model.dispose();
});

Deno.test("impossible configurations are refused with one sentence", async () => {
  await openRuntime({ backend: "cpu" });
  for (const trainBlocks of [4, 1.5, -1, NaN]) {
    assertThrows(
      () => open({ trainBlocks }),
      InputError,
      `${trainBlocks} blocks cannot be trained: give 0, 0.5 or a whole number up to 3, or all`,
    );
  }
  assertThrows(() => open({ classes: 0 }), RangeError, "classes must be a whole number from 1, not 0");
  assertThrows(() => open({ dropPath: 1 }), RangeError, "dropPath must be in [0, 1), not 1");
  assertThrows(() => open({ encoder: { ...base.encoder, heads: 5 } }), RangeError, "multiple of its 5 heads");
  assertThrows(() => open({}, { precision: "f16" }), InputError, "shader-f16");
});

testOnBackends("every layer norm adds the configuration's epsilon", async ({ backend }) => {
  const features = async (normEpsilon: number | undefined, body: "composed" | "kernel") => {
    const model = open({ normEpsilon });
    const made = withBody(body, () => model.features(images()));
    const values = await readTensor(made);
    made.dispose();
    model.dispose();
    return values;
  };
  const usual = await features(undefined, "composed");
  assertEquals(await features(1e-6, "composed"), usual);
  const own = await features(0.5, "composed");
  if (backend === "webgpu") assertClose(await features(0.5, "kernel"), own, 2e-5, "kernels");
  assert(own.some((value, i) => Math.abs(value - usual[i]) > 0.05));
});

testOnWebGpu("behind the last attention only the class token goes on where that is pooled", () => {
  const workgroupsOf = (pooling: "average" | "class_token") => {
    const encoder = { width: 48, depth: 1, heads: 3, mlpRatio: 4 };
    const model = createClassifier({
      encoder,
      imageSize: [64, 64],
      patchSize: [4, 4],
      channels: 3,
      classes: 2,
      pooling,
    });
    const workgroups = countWorkgroups(() => void model.features(tf.zeros([2, 64, 64, 3])));
    model.dispose();
    return workgroups;
  };
  // The two products of an MLP on 514 tokens are a good part of all there is to do.
  const [average, classToken] = [workgroupsOf("average"), workgroupsOf("class_token")];
  assert(classToken < 0.9 * average, `${classToken} workgroups beside ${average}`);
  return Promise.resolve();
});
