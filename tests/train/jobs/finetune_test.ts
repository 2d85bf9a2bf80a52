/** Fine-tuning from beginning to end, as the library does it. */
import { resolveFinetuneConfig } from "../../../src/config/finetune.ts";
import { parseYamlLayer } from "../../../src/config/layers.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { listLabelledImages } from "../../../src/sources/labelled_images.ts";
import { readSafetensors } from "../../../src/formats/safetensors.ts";
import { openRuntime } from "../../../src/gpu/runtime.ts";
import { readMetrics } from "../../../src/report/metrics.ts";
import { bestPath } from "../../../src/train/checkpoint/best_checkpoint.ts";
import { readTrainState } from "../../../src/train/checkpoint/checkpoint.ts";
import type { EvaluationEvent, FinetuneEvent } from "../../../src/train/run/events.ts";
import { readClassifier, TrainedClassifier } from "../../../src/train/evaluate/trained_classifier.ts";
import { assert, assertEquals, assertNotEquals } from "../../deps.ts";
import { fieldsOf, readRecords, scalarsOf } from "../../support/tensorboard.ts";
import { classes, tinyFinetuning, tune, withShapes } from "../finetune_support.ts";
import { metricsOf, tree } from "../support.ts";

function evaluations(events: readonly FinetuneEvent[]): EvaluationEvent[] {
  return events.filter((event) => event.kind === "evaluation");
}

Deno.test(
  "finetune() learns to tell colours apart, and leaves a whole run behind",
  withShapes(async (folder) => {
    const config = tinyFinetuning(folder, "run", "optim.epochs=8", "mix.probability=0.3", "run.keep=1");
    const { result, events, said } = await tune(config);
    const run = `${folder}/run`;
    assertEquals(said, ["3 classes, 18 images to train and 12 to validate with"]);
    assertEquals([result.steps, result.interrupted, result.brokenFiles, [...result.classes]], [
      24,
      false,
      0,
      classes,
    ]);
    assert(result.evaluation !== null && result.evaluation.top1 >= 0.9, JSON.stringify(result.evaluation));
    assertEquals(await tree(run).then((paths) => paths.filter((path) => !path.startsWith("events."))), [
      "checkpoints/",
      "checkpoints/best/",
      "checkpoints/best/model.safetensors",
      "checkpoints/best/state.json",
      "checkpoints/step-00000024/",
      "checkpoints/step-00000024/model.safetensors",
      "checkpoints/step-00000024/optimizer.safetensors",
      "checkpoints/step-00000024/state.json",
      "config.yaml",
      "figures/",
      "figures/curves-step-00000024.png",
      "metrics.jsonl",
    ]);
    const stored = parseYamlLayer(await Deno.readTextFile(`${run}/config.yaml`), "stored");
    assertEquals(resolveFinetuneConfig([stored]), config);

    const state = await readTrainState(result.checkpoint);
    assertEquals([state.job, state.step, state.evaluation, state.best], [
      "finetune",
      24,
      result.evaluation,
      result.best,
    ]);
    assertEquals(state.classifier, {
      classes,
      imageSize: [16, 16],
      channels: 3,
      mean: config.data.mean,
      std: config.data.std,
      cropShare: 0.875,
      exif: "apply",
      pooling: "average",
    });
    const all = evaluations(events);
    assertEquals(
      all.map(({ step, epoch }) => [step, epoch]),
      [3, 6, 9, 12, 15, 18, 21, 24].map((step, i) => [step, i + 1]),
    );
    const { step, images, top1, top5, loss } = all[7];
    assertEquals({ step, images, top1, top5, loss }, result.evaluation ?? undefined);
  }),
);

Deno.test(
  "finetune() evaluates every few epochs and at the end, and logs it with the training",
  withShapes(async (folder) => {
    const sets = ["run.evaluate_every=2", "optim.epochs=3", "run.log_every=4"];
    const tensors: number[] = [];
    const { events } = await tune(tinyFinetuning(folder, "run", ...sets), {
      onEvent: ({ kind }) => kind === "step" && tensors.push(tf.memory().numTensors),
    });
    assertEquals(new Set(tensors.slice(1)).size, 1, `tensors after each step: ${tensors}`); // nothing is left behind
    const all = evaluations(events);
    assertEquals(all.map(({ step }) => step), [6, 9]);
    const records = await readMetrics(`${folder}/run/metrics.jsonl`);
    assertEquals(records.map(({ step }) => step), [4, 6, 8, 9]);
    assertEquals(records.map((record) => record.val_top1 ?? null), [null, all[0].top1, null, all[1].top1]);
    assertEquals(records.map((record) => record.val_loss ?? null), [null, all[0].loss, null, all[1].loss]);
    assert(records.every((record) => !("val_top5" in record))); // of three classes the first five are all
    const board = (await tree(`${folder}/run`)).find((path) => path.startsWith("events.")) ?? "";
    const scalars = readRecords(await Deno.readFile(`${folder}/run/${board}`))
      .filter((record) => fieldsOf(record).has(5)).flatMap(scalarsOf);
    assertEquals(
      scalars.filter(([, tag]) => tag === "val/top1").map(([step]) => step),
      [6, 9],
    );
  }),
);

Deno.test(
  "finetune() evaluates and stores the averages of the weights, and keeps the weights for later steps",
  withShapes(async (folder) => {
    const { result } = await tune(tinyFinetuning(folder, "run", "optim.epochs=2", "optim.ema=0.9"));
    const model = await readSafetensors(`${result.checkpoint}/model.safetensors`);
    const rest = await readSafetensors(`${result.checkpoint}/optimizer.safetensors`);
    assertNotEquals(model.get("head.weight")?.data, rest.get("weight.head.weight")?.data);
    // What is stored gives the very numbers that the run has logged.
    await openRuntime({ backend: "cpu" });
    const classifier = TrainedClassifier.open(await readClassifier(result.checkpoint));
    const { validation } = await listLabelledImages(`${folder}/data`, { seed: 0 });
    const { images, top1, top5, loss } = await classifier.evaluate(validation, { batchSize: 5, workers: 0 });
    classifier.dispose();
    assertEquals({ step: 6, images, top1, top5, loss }, result.evaluation ?? undefined);
    // Without averages a checkpoint has no second set of weights.
    const plain = await tune(tinyFinetuning(folder, "plain", "optim.epochs=1", "optim.ema=null"));
    const plainRest = await readSafetensors(`${plain.result.checkpoint}/optimizer.safetensors`);
    assertEquals([...plainRest.keys()].filter((name) => name.startsWith("weight.")), []);
  }),
);

Deno.test(
  "finetune() keeps the best checkpoint besides the newest ones",
  withShapes(async (folder) => {
    // Such a rate makes the accuracy jump up and down.
    const sets = ["optim.epochs=8", "optim.lr=0.3", "optim.min_lr=0.3", "optim.ema=null", "run.keep=1"];
    const { result, events } = await tune(tinyFinetuning(folder, "run", ...sets));
    const all = evaluations(events);
    const best = all.findLast(({ isBest }) => isBest);
    assert(best !== undefined);
    for (const { top1, loss } of all) {
      assert(top1 < best.top1 || top1 === best.top1 && (loss ?? Infinity) >= (best.loss ?? Infinity));
    }
    assert(best.step < 24, "the last one is the best, which shows nothing"); // of this seed
    assertEquals([result.best?.step, result.bestCheckpoint], [best.step, bestPath(`${folder}/run`)]);
    const state = await readTrainState(bestPath(`${folder}/run`));
    assertEquals([state.step, state.best?.top1], [best.step, best.top1]);
    assertEquals(
      (await readClassifier(`${folder}/run`)).path,
      `${bestPath(`${folder}/run`)}/model.safetensors`,
    );
    assertEquals((await readTrainState(result.checkpoint)).best, result.best);
  }),
);

Deno.test(
  "finetune() splits images off where the data set has no folder to validate with",
  withShapes(async (folder) => {
    const sets = [`data.train=${folder}/data/train`, "data.split=0.34", "optim.epochs=1"];
    const { result, said } = await tune(tinyFinetuning(folder, "run", ...sets));
    assertEquals(said, ["3 classes, 12 images to train and 6 to validate with"]);
    assertEquals(result.evaluation?.images, 6);
  }),
);

Deno.test(
  "finetune() names broken images to validate with once, and leaves them out",
  withShapes(async (folder) => {
    await Deno.writeTextFile(`${folder}/data/val/red/00.png`, "no image");
    await Deno.writeFile(
      `${folder}/data/train/stray.png`,
      await Deno.readFile(`${folder}/data/val/red/01.png`),
    );
    const { result, said } = await tune(tinyFinetuning(folder));
    assertEquals(said, [
      "3 classes, 18 images to train and 12 to validate with",
      "1 image has no class and is left out",
      `Skipping ${folder}/data/val/red/00.png in evaluation: not an image; JPEG, PNG, WebP, AVIF, GIF and TIFF can be read`,
    ]);
    assertEquals([result.evaluation?.images, result.brokenFiles], [11, 1]);
    assertEquals((await metricsOf(`${folder}/run`)).length, 4);
  }),
);
