import { assertEquals, assertThrows } from "../deps.ts";
import { tf } from "../../src/deps/tfjs.ts";
import type { StoredTensor } from "../../src/formats/dtypes.ts";
import { readTensor } from "../../src/gpu/tensors.ts";
import { LinearProbe } from "../../src/models/linear_probe.ts";
import { normalizeBatch } from "../../src/ops/norm/batch_norm.ts";
import { softCrossEntropy } from "../../src/ops/loss/cross_entropy.ts";
import { linear } from "../../src/ops/product/linear.ts";
import { Lars } from "../../src/optim/lars.ts";
import { InputError } from "../../src/util/errors.ts";
import { testOnBackends } from "../support/backends.ts";
import { assertClose, assertRelative, randomTensor } from "../support/compare.ts";
import { Fixture } from "../support/fixtures.ts";

async function openGolden() {
  const fixture = await Fixture.read("linprobe.safetensors");
  const probe = new LinearProbe({ width: 12, classes: 5 });
  const state = new Map<string, StoredTensor>([
    ["head.0.running_mean", { shape: [12], dtype: "F32", data: new Float32Array(12) }],
    ["head.0.running_var", { shape: [12], dtype: "F32", data: new Float32Array(12).fill(1) }],
    ["head.0.num_batches_tracked", { shape: [], dtype: "I64", data: new BigInt64Array(1) }],
    ["head.1.weight", fixture.get("weight")],
    ["head.1.bias", fixture.get("bias")],
  ]);
  probe.loadState(state);
  const labels = [...fixture.values("y")];
  return { fixture, probe, labels };
}

testOnBackends("two batches of the probe and its evaluation equal PyTorch's", async () => {
  const { fixture, probe, labels } = await openGolden();
  for (const [batch, key] of [["x1", "train1"], ["x2", "train2"]]) {
    const x = fixture.tensor(batch);
    const { loss, gradients } = probe.lossAndGradients(x, labels);
    assertRelative(await readTensor(loss), fixture.values(`${key}/loss`), 2e-6, `${key} loss`);
    for (const name of ["weight", "bias"]) {
      const gradient = await readTensor(gradients.get(`head.1.${name}`) as tf.Tensor);
      assertRelative(gradient, fixture.values(`${key}/grad_${name}`), 1e-4, `${key} ${name}`);
    }
    for (const name of ["running_mean", "running_var"]) {
      const running = await readTensor(probe.parameters.get(`head.0.${name}`) as tf.Variable);
      assertClose(running, fixture.values(`${key}/${name}`), 2e-6, `${key} ${name}`);
    }
    const normalized = normalizeBatch(x, 1e-6);
    assertClose(await readTensor(normalized), fixture.values(`${key}/bn_out`), 2e-5, `${key} batch norm`);
    const targets = tf.oneHot(tf.tensor1d(labels, "int32"), 5, 1, 0, "float32");
    const [weight, bias] = ["weight", "bias"].map((name) =>
      probe.parameters.get(`head.1.${name}`) as tf.Variable
    );
    const logits = (x: tf.Tensor) => linear(normalizeBatch(x, 1e-6), weight, bias);
    assertClose(await readTensor(logits(x)), fixture.values(`${key}/logits`), 2e-5, `${key} logits`);
    const dx = tf.grad((x: tf.Tensor) => softCrossEntropy(logits(x), targets))(x);
    // The constant column is divided by √1e-6, which makes its rounding large.
    assertRelative(await readTensor(dx), fixture.values(`${key}/grad_x`), 1e-4, `${key} gradient of x`);
  }
  const logits = await readTensor(probe.logits(fixture.tensor("x1")));
  assertClose(logits, fixture.values("eval/logits_x1"), 2e-5, "evaluation");
});

testOnBackends("the probe learns to tell separable features apart, the same bits twice", async () => {
  const labels = Array.from({ length: 12 }, (_, i) => i % 3);
  const offset = tf.mul(tf.oneHot(tf.tensor1d(labels, "int32"), 8, 1, 0, "float32"), 3);
  const x = tf.add(randomTensor([12, 8], 1), offset);
  const train = async () => {
    const probe = new LinearProbe({ width: 8, classes: 3 }, { seed: 4 });
    const names = [...probe.trainable.keys()];
    assertEquals(names, ["head.1.weight", "head.1.bias"]);
    const optimizer = new Lars(probe.trainable, [{ weightDecay: 0, lrScale: 1, names }]);
    for (let step = 0; step < 100; step++) {
      const { loss, gradients } = probe.lossAndGradients(x, labels);
      optimizer.accumulate(loss, gradients);
      optimizer.step(10);
    }
    return { classes: [...await readTensor(tf.argMax(probe.logits(x), 1))], state: await probe.state() };
  };
  const [first, second] = [await train(), await train()];
  assertEquals(first.classes, labels);
  assertEquals(second, first);
});

testOnBackends("a probe leaves no tensors behind, and says what does not fit", () => {
  const features = tf.ones([4, 6]);
  const before = tf.memory().numTensors;
  const probe = new LinearProbe({ width: 6, classes: 2 });
  const { loss, gradients } = probe.lossAndGradients(features, [0, 1, 0, 1]);
  tf.dispose([loss, ...gradients.values()]);
  assertThrows(() => probe.loadState(new Map()), InputError, " missing: head.0.running_mean");
  assertThrows(() => probe.lossAndGradients(features, [0, 1]), RangeError, "4 images were given 2 labels");
  assertThrows(
    () => probe.lossAndGradients(features, [0, 1, 2, 0]),
    RangeError,
    "A label must be a whole number from 0 to 1, not 2",
  );
  assertThrows(
    () => probe.lossAndGradients(features, features),
    RangeError,
    "Labels must be [4, 2], not [4,6]",
  );
  probe.dispose();
  assertEquals(tf.memory().numTensors, before);
  return Promise.resolve();
});
