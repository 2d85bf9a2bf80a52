/** Stopping and going on, to the same bits. */
import { bestPath } from "../../../src/train/checkpoint/best_checkpoint.ts";
import { InputError } from "../../../src/util/errors.ts";
import { assertEquals, assertRejects } from "../../deps.ts";
import { tinyFinetuning, tune, withShapes, writeShapes } from "../finetune_support.ts";
import { metricsOf, newestBits, tinyConfig, train, tree, writeImages } from "../support.ts";

/** Everything that draws random numbers or keeps a state. */
const everything = [
  "optim.batch_size=3",
  "optim.accumulate=2",
  "optim.epochs=3",
  "optim.ema=0.8",
  "optim.layer_decay=0.7",
  "optim.clip_norm=1",
  "model.drop_path=0.3",
  "data.augment.erasing.probability=0.5",
  "run.log_every=2",
];

async function fileHash(path: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", await Deno.readFile(path))).toHex();
}

async function bitsOf(run: string) {
  return {
    ...await newestBits(run),
    best: await fileHash(`${bestPath(run)}/model.safetensors`),
    metrics: await metricsOf(run),
  };
}

/** Runs to the end at once, and again with stops after the given steps; all must be the same. */
async function compareStopped(
  folder: string,
  sets: readonly string[],
  stops: readonly number[],
): Promise<void> {
  const whole = await tune(tinyFinetuning(folder, "whole", ...sets));
  for (const stopAfter of [...stops, undefined]) {
    const config = tinyFinetuning(folder, "stopped", ...sets);
    const { result, said } = await tune(config, { stopAfter, resume: stopAfter !== stops[0] });
    assertEquals(said.slice(1).filter((message) => !message.startsWith("Frozen but for")), []);
    assertEquals(result.interrupted, stopAfter !== undefined);
    if (stopAfter !== undefined) continue;
    const { evaluation, best } = result;
    assertEquals({ evaluation, best }, { evaluation: whole.result.evaluation, best: whole.result.best });
  }
  assertEquals(await bitsOf(`${folder}/stopped`), await bitsOf(`${folder}/whole`));
}

Deno.test(
  "finetune() resumes to the same bits, before and after an evaluation",
  withShapes((folder) => compareStopped(folder, everything, [2, 3, 7])),
);

Deno.test(
  "finetune() resumes to the same bits on WebGPU, with part of the model frozen",
  withShapes((folder) =>
    compareStopped(folder, [...everything, "run.backend=webgpu", "model.train_blocks=1", "optim.epochs=2"], [
      4,
    ])
  ),
);

Deno.test(
  "finetune() that resumes a finished run draws its figure and knows how it did",
  withShapes(async (folder) => {
    const first = await tune(tinyFinetuning(folder));
    const bits = await bitsOf(`${folder}/run`);
    await Deno.remove(first.result.figure ?? "");
    const { result, said } = await tune(tinyFinetuning(folder), { resume: true });
    assertEquals(said.at(-1), "The run has made all of its 6 steps");
    assertEquals({ ...result, seconds: 0 }, { ...first.result, seconds: 0 });
    assertEquals((await Deno.stat(result.figure ?? "")).isFile, true);
    assertEquals(await bitsOf(`${folder}/run`), bits);
    const before = await tree(`${folder}/run`);
    await tune(tinyFinetuning(folder), { resume: true });
    assertEquals(await tree(`${folder}/run`), before); // no event file either
  }),
);

Deno.test(
  "finetune() stopped before its first evaluation has no best checkpoint",
  withShapes(async (folder) => {
    const { result } = await tune(tinyFinetuning(folder), { stopAfter: 1 });
    assertEquals([result.evaluation, result.best, result.bestCheckpoint], [null, null, null]);
  }),
);

Deno.test(
  "finetune() does not go on with other classes, or from a run of pre-training",
  withShapes(async (folder) => {
    await tune(tinyFinetuning(folder), { stopAfter: 1 });
    for (const part of ["train", "val"]) {
      await Deno.rename(`${folder}/data/${part}/blue`, `${folder}/data/${part}/violet`);
    }
    await assertRejects(
      () => tune(tinyFinetuning(folder), { resume: true }),
      InputError,
      'step-00000001 are not those of the data: it has 3, the data 3, and "violet" is in one of them only; start a new run',
    );
    await writeImages(`${folder}/images`, 4);
    await train(tinyConfig(folder, "pretrained"), { stopAfter: 1 });
    await assertRejects(
      () => tune(tinyFinetuning(folder, "pretrained"), { resume: true }),
      InputError,
      "pretrained is a run of mae pretrain, not of mae finetune: give another --out",
    );
    await writeShapes(`${folder}/data/train`, 6); // "blue" is back, and only to train with
    await assertRejects(() => tune(tinyFinetuning(folder), { resume: true }), InputError, '"blue"');
  }),
);
