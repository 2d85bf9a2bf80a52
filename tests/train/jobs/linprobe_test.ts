import { readSafetensors } from "../../../src/formats/safetensors.ts";
import { readMetrics } from "../../../src/report/metrics.ts";
import { listLabelledFolder } from "../../../src/sources/class_folders.ts";
import { readTrainState } from "../../../src/train/checkpoint/checkpoint.ts";
import { linprobe } from "../../../src/train/jobs/linprobe.ts";
import { readClassifier, TrainedClassifier } from "../../../src/train/evaluate/trained_classifier.ts";
import { InputError } from "../../../src/util/errors.ts";
import { assert, assertAlmostEquals, assertEquals, assertNotEquals, assertRejects } from "../../deps.ts";
import { tinyFinetuning, tune } from "../finetune_support.ts";
import { probe, tinyProbe, withPretrained } from "../linprobe_support.ts";
import { metricsOf, newestBits } from "../support.ts";

Deno.test(
  "linprobe() trains a head on known features, and leaves a classifier behind that does as well",
  withPretrained(async (folder) => {
    const { result, events, said } = await probe(
      await tinyProbe(folder, "run", ["optim.epochs=30", "optim.lr=20"]),
    );
    assertEquals(said, [
      "3 classes, 18 images to train and 12 to validate with",
      `Encoder of ${folder}/pretrained/checkpoints/step-00000001/model.safetensors after 1 step of pre-training: ` +
      "1 block, 8 wide, 2 heads, patches of 4 pixels, images of 16",
    ]);
    assertEquals([result.steps, result.interrupted, result.classes], [90, false, ["blue", "green", "red"]]);
    assert(result.best && result.evaluation && result.best.top1 > 0.6, `${result.best?.top1}`);
    const done = events.flatMap((event) =>
      event.kind === "progress" && event.share === 1 ? [event.what] : []
    );
    assertEquals(done, ["features of the images to validate with", "features of the images to train with"]);
    const metrics = await readMetrics(result.metrics);
    assert((metrics.at(-1)?.loss ?? 9) < 0.8 * (metrics[0].loss ?? 0), "the loss does not fall");
    assertEquals(metrics.at(-1)?.val_top1, result.evaluation.top1);
    assert((await Deno.stat(result.figure ?? "")).isFile);

    // What is stored is an ordinary classifier: the frozen encoder bit by bit, and the probe as its head.
    const before = await readSafetensors(`${folder}/pretrained/checkpoints/step-00000001/model.safetensors`);
    const after = await readSafetensors(`${result.checkpoint}/model.safetensors`);
    for (const [name, { data }] of after) {
      if (name.startsWith("head.")) assert(data.some((value) => value !== 0));
      else assertEquals(data, before.get(name)?.data, name);
    }
    const { job, classifier } = await readTrainState(result.checkpoint);
    assertEquals([job, classifier?.classes, classifier?.pooling], [
      "linprobe",
      result.classes,
      "class_token",
    ]);
    for (
      const [path, expected] of [[`${folder}/run`, result.best], [
        result.checkpoint,
        result.evaluation,
      ]] as const
    ) {
      const stored = TrainedClassifier.open(await readClassifier(path));
      const source = await listLabelledFolder(`${folder}/data/val`, result.classes);
      const { top1, loss } = await stored.evaluate(source, { batchSize: 5, workers: 0 });
      assertEquals(top1, expected.top1);
      assertAlmostEquals(loss, expected.loss ?? 0, 1e-4);
      stored.dispose();
    }
  }),
);

Deno.test(
  "linprobe() resumes to the same bits, with known features and with augmented images",
  withPretrained(async (folder) => {
    for (const augment of ["none", "default"]) {
      const sets = [`data.augment=${augment}`, "optim.epochs=2", "optim.accumulate=1"];
      await probe(await tinyProbe(folder, `whole-${augment}`, sets));
      const config = await tinyProbe(folder, `halves-${augment}`, sets);
      const { result: half } = await probe(config, { stopAfter: 2 });
      assertEquals([half.steps, half.interrupted], [2, true]);
      await probe(config, { resume: true });
      assertEquals(
        await newestBits(`${folder}/halves-${augment}`),
        await newestBits(`${folder}/whole-${augment}`),
      );
      const [one, two] = await Promise.all(
        ["whole", "halves"].map((run) => metricsOf(`${folder}/${run}-${augment}`)),
      );
      assertEquals(two.at(-1), one.at(-1));
    }
    const again = await probe(await tinyProbe(folder, "whole-none", ["optim.epochs=2"]), { resume: true });
    assertEquals([again.result.steps, again.result.evaluation?.step], [6, 6]);
  }),
);

Deno.test(
  "linprobe() probes an encoder of random weights, the same for the same seed",
  withPretrained(async (folder) => {
    const encoderOf = async (out: string, seed: number) => {
      const { result, said } = await probe(
        await tinyProbe(folder, out, [`run.seed=${seed}`, "optim.epochs=1"], true),
      );
      assertEquals(said[1], `Encoder with the random weights of seed ${seed}: 1 block, 8 wide, 2 heads`);
      return (await readSafetensors(`${result.checkpoint}/model.safetensors`)).get("blocks.0.attn.qkv.weight")
        ?.data;
    };
    const first = await encoderOf("first", 3);
    assertEquals(await encoderOf("again", 3), first);
    assertNotEquals(await encoderOf("other", 4), first);
  }),
);

Deno.test(
  "linprobe() replaces broken images to train with, and leaves out those to validate with",
  withPretrained(async (folder) => {
    await Deno.writeTextFile(`${folder}/data/train/red/00.png`, "no picture");
    await Deno.writeTextFile(`${folder}/data/val/red/01.png`, "no picture");
    const { result, said } = await probe(await tinyProbe(folder, "run", ["optim.epochs=1"]));
    assertEquals([result.brokenFiles, result.evaluation?.images], [2, 11]);
    assertEquals(said.filter((message) => message.startsWith("Skipping")).length, 2);
    for (const { path } of [{ path: "train" }, { path: "val" }]) {
      for (const name of ["blue", "green", "red"]) {
        for await (const file of Deno.readDir(`${folder}/data/${path}/${name}`)) {
          await Deno.writeTextFile(`${folder}/data/${path}/${name}/${file.name}`, "no picture");
        }
      }
    }
    await assertRejects(
      async () => await probe(await tinyProbe(folder, "other", ["optim.epochs=1"])),
      Error,
      "None of the 12 images",
    );
  }),
);

Deno.test(
  "linprobe() refuses what cannot work",
  withPretrained(async (folder) => {
    const refusal = async (...sets: string[]) => {
      const config = await tinyProbe(folder, "run", sets);
      const options = { tune: false, checkKernels: false, resume: true };
      return (await assertRejects(() => linprobe(config, options), InputError)).message;
    };
    assert((await refusal("optim.batch_size=1")).includes("must be at least 2"));
    assert((await refusal("data.split=0.5")).startsWith("--split (data.split) is 0.5"));
    const classifier = ["model.encoder={width: 8, depth: 1, heads: 2, mlp_ratio: 2}", "model.patch_size=4"];
    await tune(tinyFinetuning(folder, "run", ...classifier, "optim.epochs=1"));
    assert(
      (await refusal()).endsWith("run is a run of mae finetune, not of mae linprobe: give another --out"),
    );
  }),
);
