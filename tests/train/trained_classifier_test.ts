/** A classifier from its checkpoint: what it predicts, and what is no classifier. */
import { listImages } from "../../src/data/source.ts";
import { openRuntime } from "../../src/gpu/runtime.ts";
import { type Prediction, readClassifier, TrainedClassifier } from "../../src/train/trained_classifier.ts";
import { InputError } from "../../src/util/errors.ts";
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "../deps.ts";
import { classes, tinyFinetuning, tune, withShapes } from "./finetune_support.ts";
import { tinyConfig, train, writeImages } from "./support.ts";

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
      source.paths.map((path) => `${folder}/data/val/${path}`).filter((path) => !broken.includes(path)),
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
