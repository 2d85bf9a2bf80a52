/** A classifier from its checkpoint: what it predicts, and what is no classifier. */
import { tf } from "../../../src/deps/tfjs.ts";
import { listImages } from "../../../src/sources/image_folder.ts";
import { namesOf } from "../../../src/sources/source.ts";
import { openRuntime } from "../../../src/gpu/runtime.ts";
import { readTensor } from "../../../src/gpu/tensors.ts";
import { convertModel } from "../../../src/train/model_files/convert.ts";
import {
  type Prediction,
  readClassifier,
  TrainedClassifier,
} from "../../../src/train/evaluate/trained_classifier.ts";
import { InputError } from "../../../src/util/errors.ts";
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "../../deps.ts";
import { assertClose } from "../../support/compare.ts";
import { Fixture } from "../../support/fixtures.ts";
import { inFolder } from "../../support/folder.ts";
import { writeTensors } from "../../support/tiny_vit.ts";
import { classes, tinyFinetuning, tune, withShapes } from "../finetune_support.ts";
import { tinyConfig, train, writeImages } from "../support.ts";

Deno.test(
  "TrainedClassifier.predict() names the classes of images, most probable first",
  withShapes(async (folder) => {
    await tune(tinyFinetuning(folder, "run", "optim.epochs=5", "mix.probability=0"));
    await Deno.writeTextFile(`${folder}/data/val/green/02.png`, "");
    await openRuntime({ backend: "cpu" });
    const classifier = TrainedClassifier.open(await readClassifier(`${folder}/run`));
    const source = await listImages(`${folder}/data/val`);
    const broken: string[] = [];
    const predictions: Prediction[] = [];
    const options = {
      batchSize: 5,
      workers: 0,
      top: 2,
      onBroken: ({ path }: { path: string }) => broken.push(path),
    };
    for await (const one of classifier.predict(source, options)) predictions.push(one);
    assertEquals(broken, [`${folder}/data/val/green/02.png`]);
    assertEquals(
      predictions.map(({ path }) => path),
      namesOf(source).map((path) => `${folder}/data/val/${path}`).filter((path) => !broken.includes(path)),
    );
    const right = predictions.filter(({ path, classes: [first] }) => path.includes(`/${first.name}/`));
    assert(right.length >= 10, `${right.length} of 11 are right`);
    for (const { classes: [first, second, third] } of predictions) {
      assert(first.probability >= second.probability && third === undefined);
    }
    const all = classifier.predict(source, { ...options, top: 9 });
    const { value } = await all.next();
    await all.return();
    assertEquals(value?.classes.map(({ name }) => name).sort(), [...classes]);
    assertAlmostEquals(value?.classes.reduce((sum, { probability }) => sum + probability, 0) ?? 0, 1, 1e-6);
    classifier.dispose();
  }),
);

Deno.test(
  "readClassifier() refuses what is no classifier",
  withShapes(async (folder) => {
    await writeImages(`${folder}/images`, 4);
    const { result } = await train(tinyConfig(folder, "pretrained"), { stopAfter: 1 });
    await assertRejects(
      () => readClassifier(`${folder}/pretrained`),
      InputError,
      `"${result.checkpoint}/model.safetensors" is no classifier: it has no head`,
    );
    await assertRejects(() => readClassifier(`${folder}/data`), InputError, "neither a checkpoint");
    await assertRejects(() => readClassifier(`${folder}/nowhere`), InputError, "There is no checkpoint");
  }),
);

Deno.test("classifiers of the official code, and through Hugging Face and timm, give the official logits", () =>
  inFolder(async (folder) => {
    const fixture = await Fixture.read("finetune.safetensors");
    await openRuntime({ backend: "cpu" });
    const check = async (path: string, key: string) => {
      const stored = await readClassifier(path, { heads: 3 });
      const classifier = TrainedClassifier.open(stored);
      const logits = tf.tidy(() =>
        classifier.model.logits(tf.transpose(fixture.tensor("images"), [0, 2, 3, 1]))
      );
      assertClose(await readTensor(logits), fixture.values(`${key}/logits`), 2e-5, path);
      tf.dispose(logits);
      classifier.dispose();
      return stored;
    };
    for (const key of ["gap", "cls"]) {
      const file = `${folder}/${key}.safetensors`;
      await writeTensors(file, fixture.under(`${key}/init/`));
      const { classifier, notes, numbered } = await check(file, key);
      assertEquals(classifier.classes, [..."0123456789"]);
      assertEquals([classifier.mean, classifier.cropShare, numbered], [[0.485, 0.456, 0.406], 0.875, true]);
      assertEquals(notes, [
        "Nothing names the classes: they are numbered from 0",
        "Nothing says mean and deviation of the pixels: ImageNet's are assumed",
      ]);
      for (const to of ["timm", ...(key === "cls" ? ["huggingface"] as const : [])] as const) {
        await convertModel(file, `${folder}/${key}_${to}`, { to, heads: 3 });
        const { notes: left } = await check(`${folder}/${key}_${to}`, key);
        assertEquals(left?.length, to === "timm" ? 1 : 0);
      }
    }
  }));
