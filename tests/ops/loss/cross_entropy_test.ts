/** Soft-label cross-entropy: both bodies against a plain loop on the host, value and gradient, for every kind of device. */
import { assertThrows } from "../../deps.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { readTensor } from "../../../src/gpu/tensors.ts";
import { softCrossEntropy } from "../../../src/ops/loss/cross_entropy.ts";
import { type BodyName, withBody } from "../../../src/ops/operation.ts";
import { testOnBackends } from "../../support/backends.ts";
import { assertRelative, randomTensor, valueAndGradients } from "../../support/compare.ts";
import { testOnTargets } from "../../support/targets.ts";

const upstream = 1.3;

/** In double precision. */
function onHost(
  logits: Float32Array,
  labels: Float32Array,
  rows: number,
): { loss: number; gradient: number[] } {
  const classes = logits.length / rows;
  let loss = 0;
  const gradient: number[] = [];
  for (let n = 0; n < rows; n++) {
    const x = Array.from(logits.subarray(n * classes, (n + 1) * classes));
    const y = Array.from(labels.subarray(n * classes, (n + 1) * classes));
    const top = Math.max(...x);
    const logTotal = top + Math.log(x.reduce((sum, value) => sum + Math.exp(value - top), 0));
    const labelTotal = y.reduce((a, b) => a + b, 0);
    x.forEach((value, k) => {
      loss += y[k] * (logTotal - value) / rows;
      gradient.push(upstream / rows * (Math.exp(value - logTotal) * labelTotal - y[k]));
    });
  }
  return { loss, gradient };
}

async function compareWithHost(
  body: BodyName,
  { rows, classes, scale }: { rows: number; classes: number; scale: number },
  record: <Result>(work: () => Result) => Result = (work) => work(),
): Promise<void> {
  const logits = tf.add(tf.mul(randomTensor([rows, classes], 1), scale), 5);
  const labels = tf.softmax(tf.mul(randomTensor([rows, classes], 2), 2));
  const expected = onHost(await readTensor(logits), await readTensor(labels), rows);
  const run = () => valueAndGradients((x) => softCrossEntropy(x, labels), [logits], tf.scalar(upstream));
  const { value, gradients } = await record(() => withBody(body, run));
  assertRelative(value, [expected.loss], 1e-5, "loss");
  assertRelative(gradients[0], expected.gradient, 1e-5, "gradient");
}

// One class, ragged rows, rows of a subgroup, of a workgroup, and wider than registers; logits that overflow exp().
const shapes = [[1, 1, 1], [3, 10, 1], [35, 7, 2], [5, 1000, 1], [4, 1203, 90], [2, 21_843, 3]];
for (const [rows, classes, scale] of shapes) {
  testOnTargets(`softCrossEntropy(): kernel equals a loop, ${rows} x ${classes}`, async (record) => {
    await compareWithHost("kernel", { rows, classes, scale }, record);
  });
}

testOnBackends("softCrossEntropy(): composed equals a loop", async () => {
  for (const [rows, classes, scale] of shapes.slice(0, 5)) {
    await compareWithHost("composed", { rows, classes, scale });
  }
});

testOnTargets("softCrossEntropy(): labels that do not add up to 1", async (record) => {
  const [logits, labels] = [randomTensor([3, 6], 1), tf.abs(randomTensor([3, 6], 2))];
  const expected = onHost(await readTensor(logits), await readTensor(labels), 3);
  const run = () => valueAndGradients((x) => softCrossEntropy(x, labels), [logits], tf.scalar(upstream));
  for (const body of ["composed", "kernel"] as const) {
    const { value, gradients } = await record(() => withBody(body, run));
    assertRelative(value, [expected.loss], 1e-5, `${body}: loss`);
    assertRelative(gradients[0], expected.gradient, 1e-5, `${body}: gradient`);
  }
});

testOnBackends("softCrossEntropy(): shapes that differ are an error", () => {
  assertThrows(
    () => softCrossEntropy(tf.zeros([2, 3]), tf.zeros([2, 4])),
    RangeError,
    "[2,3] and labels [2,4]",
  );
  assertThrows(() => softCrossEntropy(tf.zeros([3]), tf.zeros([3])), RangeError);
  return Promise.resolve();
});
