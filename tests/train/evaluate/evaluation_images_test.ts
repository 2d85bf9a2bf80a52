import { listLabelledImages } from "../../../src/sources/labelled_images.ts";
import { namesOf } from "../../../src/sources/source.ts";
import { listEvaluationImages } from "../../../src/train/evaluate/evaluation_images.ts";
import { InputError } from "../../../src/util/errors.ts";
import { assertEquals, assertRejects } from "../../deps.ts";
import { inFolder } from "../../support/folder.ts";
import { classes, writeShapes } from "../finetune_support.ts";

Deno.test("listEvaluationImages() finds what fine-tuning validated with", () =>
  inFolder(async (folder) => {
    await writeShapes(`${folder}/data/train`, 5);
    const all = { classes, seed: 4 };
    await assertRejects(
      () => listEvaluationImages(`${folder}/data`, all),
      InputError,
      'has "train" but none of "val", "validation", "test"; name a folder in it with --split',
    );
    const { validation } = await listLabelledImages(`${folder}/data`, { fraction: 0.4, seed: 4 });
    for (const root of [`${folder}/data`, `${folder}/data/train`]) {
      const images = await listEvaluationImages(root, { ...all, split: 0.4 });
      assertEquals([namesOf(images), images.labels], [namesOf(validation), validation.labels]);
    }
    await writeShapes(`${folder}/data/test`, 1, ["red", "blue"]);
    const test = await listEvaluationImages(`${folder}/data`, all);
    assertEquals([namesOf(test), [...test.labels]], [["blue/00.png", "red/00.png"], [0, 2]]);
    assertEquals(
      (await listEvaluationImages(`${folder}/data`, { ...all, split: "train" })).labels.length,
      15,
    );
    assertEquals((await listEvaluationImages(`${folder}/data/train`, all)).labels.length, 15);
  }));

Deno.test("listEvaluationImages() refuses classes that the classifier does not know", () =>
  inFolder(async (folder) => {
    await writeShapes(`${folder}/val`, 1, ["blue", "gren"]);
    await assertRejects(
      () => listEvaluationImages(folder, { classes, seed: 0 }),
      InputError,
      'holds the class "gren", which is none of the 3 that are known; did you mean "green"?',
    );
  }));

Deno.test("listEvaluationImages() takes folders for classes without names, in order", () =>
  inFolder(async (folder) => {
    await writeShapes(`${folder}/val`, 1);
    const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i));
    const options = { classes: numbers(3), numbered: true, seed: 0 };
    const all = await listEvaluationImages(folder, options);
    assertEquals([all.classes, [...all.labels]], [[...classes], [0, 1, 2]]);
    await assertRejects(
      () => listEvaluationImages(folder, { ...options, classes: numbers(4) }),
      InputError,
      "has folders of 3 classes, and the classifier has 4 without names",
    );
    for (const [i, name] of classes.entries()) {
      await Deno.rename(`${folder}/val/${name}`, `${folder}/val/${9 + i}`);
    }
    const named = await listEvaluationImages(folder, { ...options, classes: numbers(12) });
    assertEquals([...named.labels].sort((a, b) => a - b), [9, 10, 11]);
  }));
