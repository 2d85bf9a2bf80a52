/** Evaluation against a plain loop on the host. */
import { tf } from "../../../src/deps/tfjs.ts";
import { listLabelledFolder } from "../../../src/sources/class_folders.ts";
import type { LabelledSource } from "../../../src/sources/labelled.ts";
import { openRuntime } from "../../../src/gpu/runtime.ts";
import { writeVariable } from "../../../src/gpu/tensors.ts";
import { type Classifier, createClassifier } from "../../../src/models/classifier.ts";
import { loadEvalImages } from "../../../src/data/eval_images.ts";
import { namesOf } from "../../../src/sources/source.ts";
import { normalizePixels } from "../../../src/ops/pixels/normalize_pixels.ts";
import { evaluateClassifier, type ImagePreparation } from "../../../src/train/evaluate/evaluate.ts";
import { RunError } from "../../../src/util/errors.ts";
import { Random } from "../../../src/util/random.ts";
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "../../deps.ts";
import { testOnBackends } from "../../support/backends.ts";
import { inFolder } from "../../support/folder.ts";
import { writeShapes } from "../finetune_support.ts";

const preparation: ImagePreparation = {
  imageSize: [16, 16],
  channels: 3,
  mean: [0.4, 0.5, 0.6],
  std: [0.2, 0.25, 0.3],
  cropShare: 1,
  exif: "apply",
};

/** Registers a test on the CPU backend. */
function testOnCpu(name: string, test: () => Promise<void>): void {
  Deno.test(name, async () => {
    await openRuntime({ backend: "cpu" });
    await test();
  });
}

/** Seven classes, of which the shapes have the first three; a head with values large enough to matter. */
function makeClassifier(classes = 7): Classifier {
  const encoder = { width: 8, depth: 1, heads: 2, mlpRatio: 2 };
  return createClassifier({
    imageSize: 16,
    patchSize: 8,
    encoder,
    classes,
    pooling: "average",
    headDeviation: 2,
  });
}

/** What `evaluateClassifier` should give, image by image. */
async function expected(model: Classifier, source: LabelledSource) {
  const { classes } = model.config;
  const confusion = new Uint32Array(classes * classes);
  let [first, amongFive, loss] = [0, 0, 0];
  for (const [sample, label] of source.labels.entries()) {
    const { pixels } = await loadEvalImages([source.path(sample)], { ...preparation });
    const images = normalizePixels(pixels, [1, 16, 16, 3], preparation.mean, preparation.std);
    const logits = [...await model.logits(images).data()];
    const order = logits.map((_, k) => k).sort((a, b) => logits[b] - logits[a]);
    confusion[label * classes + order[0]]++;
    if (order[0] === label) first++;
    if (order.slice(0, 5).includes(label)) amongFive++;
    loss -= Math.log(Math.exp(logits[label]) / logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  }
  const images = source.labels.length;
  return { confusion, images, top1: first / images, top5: amongFive / images, loss: loss / images };
}

testOnBackends(
  "evaluateClassifier() counts what a plain loop counts, whatever the batch",
  () =>
    inFolder(async (folder) => {
      await writeShapes(folder, 4);
      const names = ["blue", "green", "red", "a", "b", "c", "d"];
      const source = await listLabelledFolder(folder, names);
      const model = makeClassifier();
      const wanted = await expected(model, source);
      assert(wanted.top5 > wanted.top1 && wanted.top1 < 1); // else this shows little
      for (const batchSize of [5, 12, 64]) {
        const { confusion, images, top1, top5, loss, broken } = await evaluateClassifier(
          model,
          source,
          preparation,
          {
            batchSize,
            workers: 0,
          },
        );
        assertEquals({ confusion, images, top1, top5 }, {
          confusion: wanted.confusion,
          images: 12,
          top1: wanted.top1,
          top5: wanted.top5,
        });
        assertAlmostEquals(loss, wanted.loss, 1e-5);
        assertEquals(broken, []);
      }
      model.dispose();
    }),
);

testOnCpu(
  "evaluateClassifier() leaves out broken images, and ends when all are",
  () =>
    inFolder(async (folder) => {
      await writeShapes(folder, 2);
      await Deno.writeTextFile(`${folder}/red/00.png`, "");
      const source = await listLabelledFolder(folder);
      const model = makeClassifier(3);
      const tensors = tf.memory().numTensors;
      const told: string[] = [];
      const options = { batchSize: 4, workers: 0, onBroken: ({ path }: { path: string }) => told.push(path) };
      const result = await evaluateClassifier(model, source, preparation, options);
      assertEquals([result.images, result.top5, result.broken.length, told], [5, null, 1, [
        `${folder}/red/00.png`,
      ]]);
      assertEquals(tf.memory().numTensors, tensors);
      for (const path of namesOf(source)) await Deno.writeTextFile(`${folder}/${path}`, "");
      await assertRejects(
        () => evaluateClassifier(model, source, preparation, options),
        RunError,
        `None of the 6 images under "${folder}" can be read (${folder}/blue/00.png: `,
      );
      model.dispose();
    }),
);

testOnCpu(
  "evaluateClassifier() takes the first of equal classes, and counts nothing as right that is not a number",
  () =>
    inFolder(async (folder) => {
      await writeShapes(folder, 2);
      const source = await listLabelledFolder(folder);
      const model = makeClassifier(3);
      const head = (value: number) => {
        const weight = model.parameters.get("head.weight");
        const random = new Random(1);
        if (weight) {
          writeVariable(
            weight,
            Float32Array.from({ length: weight.size }, () => value * random.normal()),
          );
        }
      };
      head(0);
      const equal = await evaluateClassifier(model, source, preparation, { batchSize: 6, workers: 0 });
      assertEquals([equal.top1, [...equal.confusion]], [1 / 3, [2, 0, 0, 2, 0, 0, 2, 0, 0]]);
      assertAlmostEquals(equal.loss, Math.log(3), 1e-6);
      head(NaN);
      const nothing = await evaluateClassifier(model, source, preparation, { batchSize: 6, workers: 0 });
      assertEquals([nothing.top1, nothing.loss], [0, NaN]);
      model.dispose();
    }),
);
