import { checkpointPath } from "../../../src/train/checkpoint/checkpoint.ts";
import { InputError } from "../../../src/util/errors.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "../../deps.ts";
import { tarOf } from "../../support/tar.ts";
import { fieldsOf, part, readRecords, scalarsOf } from "../../support/tensorboard.ts";
import { metricsOf, newestBits, tinyConfig, train, tree, withImages } from "../support.ts";

/** Runs `sets` to the end, then again with stops after the given steps, and compares all bits and metrics. */
async function compareStopped(
  folder: string,
  sets: readonly string[],
  stops: readonly number[][],
): Promise<void> {
  await train(tinyConfig(folder, "whole", ...sets));
  for (const [i, steps] of stops.entries()) {
    const out = `stopped${i}`;
    for (const [session, stopAfter] of [...steps, undefined].entries()) {
      const config = tinyConfig(folder, out, ...sets);
      const { result, said } = await train(config, { stopAfter, resume: session > 0 });
      assertEquals([result.interrupted, said], [stopAfter !== undefined, []], `stop after ${stopAfter}`);
      if (stopAfter !== undefined) assertEquals(result.steps, stopAfter);
    }
    const what = `stopped after ${steps.join(" and ")}`;
    assertEquals(await newestBits(`${folder}/${out}`), await newestBits(`${folder}/whole`), what);
    assertEquals(await metricsOf(`${folder}/${out}`), await metricsOf(`${folder}/whole`), what);
  }
}

const everything = [
  "optim.accumulate=2",
  "optim.epochs=4",
  "optim.clip_norm=0.5",
  "run.checkpoint_every=5 steps",
];

Deno.test(
  "pretrain() resumes to the bits of a run that never stopped, wherever it stopped",
  withImages((folder) => compareStopped(folder, everything, [[1], [4], [5], [7], [11], [0, 2, 3, 9]])),
);

Deno.test(
  "pretrain() resumes to the same bits with block masks, mask tokens in the encoder and plain targets",
  withImages((folder) =>
    compareStopped(folder, [
      "mask.sampling=block",
      "mask.ratio=0.6",
      "model.mask_tokens=encoder",
      "target.normalize=false",
      "model.image_size=[16, 24]",
    ], [[7]])
  ),
);

Deno.test(
  "pretrain() resumes to the same bits with grid masks and worker threads",
  withImages((folder) =>
    compareStopped(folder, ["mask.sampling=grid", "data.workers=2", "data.repeat=3", "optim.epochs=1"], [[
      10,
    ]])
  ),
);

/** Three shards of four images each. */
async function writeShards(folder: string): Promise<void> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(`${folder}/images`)) names.push(name);
  names.sort();
  for (let shard = 0; shard < 3; shard++) {
    const own = names.slice(4 * shard, 4 * shard + 4);
    const files = own.map(async (name) => [name, await Deno.readFile(`${folder}/images/${name}`)] as const);
    await Deno.writeFile(`${folder}/train-${shard}.tar`, tarOf(await Promise.all(files)));
  }
}

Deno.test(
  "pretrain() resumes to the same bits in the middle of an epoch of shards",
  withImages(async (folder) => {
    await writeShards(folder);
    const sets = [
      `data.train=${folder}/train-{0..2}.tar`,
      "data.shuffle={buffer: 5, shards: 2}",
      "data.repeat=2",
      "optim.epochs=2",
    ];
    await compareStopped(folder, [...sets, "data.workers=1"], [[3, 15]]);
  }),
);

Deno.test(
  "pretrain() resumes to the same bits in the middle of an epoch of a mixture",
  withImages(async (folder) => {
    await writeShards(folder);
    await Deno.writeTextFile(`${folder}/table.csv`, "path\nimages/03.png\nimages/04.png\nimages/09.png\n");
    const entries = [["images", 1], ["table.csv", 2], ["train-{0..2}.tar", 0.5]].map(([source, weight]) =>
      `{source: "${folder}/${source}", weight: ${weight}}`
    );
    const sets = [`data.train=[${entries.join(", ")}]`, "data.shuffle.buffer=3", "optim.epochs=2"];
    await compareStopped(folder, sets, [[5, 17]]);
  }),
);

Deno.test(
  "pretrain() resumes to the same bits on WebGPU",
  withImages((folder) => compareStopped(folder, [...everything, "run.backend=webgpu"], [[7]])),
);

Deno.test(
  "pretrain() that is told to stop before it starts leaves a checkpoint to start from",
  withImages(async (folder) => {
    const { result } = await train(tinyConfig(folder), { stopAfter: 0 });
    assertEquals([result.steps, result.interrupted, result.loss], [0, true, null]);
    assertEquals(result.checkpoint, checkpointPath(`${folder}/run`, 0));
    assertEquals(await metricsOf(`${folder}/run`), []);
  }),
);

Deno.test(
  "pretrain() that is told to stop before a resumed step leaves the checkpoint as it is",
  withImages(async (folder) => {
    const first = await train(tinyConfig(folder), { stopAfter: 3 });
    const modified = async () => (await Deno.stat(`${first.result.checkpoint}/state.json`)).mtime;
    const before = await modified();
    const { result } = await train(tinyConfig(folder), { stopAfter: 0, resume: true });
    assertEquals([result.checkpoint, await modified()], [first.result.checkpoint, before]);
  }),
);

Deno.test(
  "pretrain() refuses a folder with a run unless it resumes it",
  withImages(async (folder) => {
    await train(tinyConfig(folder), { stopAfter: 3 });
    const before = await tree(`${folder}/run`);
    await assertRejects(
      () => train(tinyConfig(folder)),
      InputError,
      `run.out ${folder}/run already holds a run with 3 steps; continue it with --resume, or choose another folder`,
    );
    assertEquals(await tree(`${folder}/run`), before);
  }),
);

Deno.test(
  "pretrain() starts anew, and says so, when there is nothing to resume",
  withImages(async (folder) => {
    const { said, result } = await train(tinyConfig(folder), { resume: true });
    assertEquals(said, [`Nothing to resume in ${folder}/run: starting anew`]);
    assertEquals(result.steps, 12);
    // A run that ended before its first checkpoint has metrics only.
    await Deno.remove(`${folder}/run/checkpoints`, { recursive: true });
    await assertRejects(() => train(tinyConfig(folder)), InputError, "already holds a run; continue it");
    const again = await train(tinyConfig(folder), { resume: true });
    assertEquals(again.said, [`Nothing to resume in ${folder}/run: starting anew`]);
    assertEquals((await metricsOf(`${folder}/run`)).map(({ step }) => step), [4, 8, 12]);
  }),
);

Deno.test(
  "pretrain() that resumes a finished run draws its figure and changes nothing",
  withImages(async (folder) => {
    const config = tinyConfig(folder, "run", "run.figure_images=2");
    const first = await train(config);
    const bits = await newestBits(`${folder}/run`);
    await Deno.remove(first.result.figure ?? "");
    const { result, said } = await train(config, { resume: true });
    assertEquals(said, ["The run has made all of its 12 steps"]);
    assertEquals([result.steps, result.loss, result.interrupted], [12, first.result.loss, false]);
    assert((await Deno.stat(result.figure ?? "")).isFile);
    assertEquals(await newestBits(`${folder}/run`), bits);
    assertEquals((await metricsOf(`${folder}/run`)).map(({ step }) => step), [4, 8, 12]);
    const before = await tree(`${folder}/run`);
    await train(config, { resume: true });
    assertEquals(await tree(`${folder}/run`), before); // no event file either
  }),
);

Deno.test(
  "pretrain() warns of everything that keeps a resumed run from the same result",
  withImages(async (folder) => {
    await train(tinyConfig(folder), { stopAfter: 3 });
    const harmless = [
      "run.log_every=3",
      "run.keep=9",
      "run.checkpoint_every=2 steps",
      "optim.max_bad_steps=9",
    ];
    const same = await train(tinyConfig(folder, "run", ...harmless, "data.workers=2"), {
      resume: true,
      stopAfter: 4,
    });
    assertEquals(same.said, []);

    const changes = ["optim.weight_decay=0.1", "data.augment.flip=false", "run.seed=1"];
    const changed = await train(tinyConfig(folder, "run", ...changes), { resume: true, stopAfter: 5 });
    assertEquals(changed.said, [
      "Resuming with another data.augment.flip, optim.weight_decay, run.seed: the result will differ from a run " +
      "that never stopped",
    ]);

    await Deno.rename(`${folder}/images/03.png`, `${folder}/images/99.png`);
    const renamed = await train(tinyConfig(folder, "run", ...changes), { resume: true, stopAfter: 6 });
    assertEquals(renamed.said, [
      "The files of the data set have other names now: the result will differ where their images do",
    ]);
    await Deno.remove(`${folder}/images/99.png`);
    await Deno.remove(`${folder}/images/04.png`);
    const fewer = await train(tinyConfig(folder, "run", ...changes), { resume: true, stopAfter: 7 });
    assertEquals(fewer.said, ["The data set had 12 images and has 10 now: their order will differ"]);
  }),
);

Deno.test(
  "pretrain() goes on where the images were moved to without a word",
  withImages(async (folder) => {
    await train(tinyConfig(folder), { stopAfter: 3 });
    await Deno.rename(`${folder}/images`, `${folder}/moved`);
    await Deno.rename(`${folder}/run`, `${folder}/elsewhere`);
    const config = tinyConfig(folder, "elsewhere", `data.train=${folder}/moved`);
    assertEquals((await train(config, { resume: true })).said, []);
  }),
);

Deno.test(
  "pretrain() refuses a checkpoint of another model, and one with more steps than there are to make",
  withImages(async (folder) => {
    await train(tinyConfig(folder), { stopAfter: 7 });
    const before = await tree(`${folder}/run`);
    const deeper = tinyConfig(folder, "run", "model.encoder.depth=2");
    const misfit = await assertRejects(() => train(deeper, { resume: true }), InputError);
    assertMatch(
      misfit.message,
      /step-00000007\/model\.safetensors: The checkpoint does not fit this model: \d+ missing: blocks\.1\.norm1\.weight, .*; resume with the run's own config\.yaml, or start a new run with another --out$/,
    );
    await assertRejects(
      () => train(tinyConfig(folder, "run", "optim.epochs=1"), { resume: true }),
      InputError,
      "step-00000007 has 7 steps, but optim.epochs 1 makes 6; raise it",
    );
    assertEquals(await tree(`${folder}/run`), before);
  }),
);

Deno.test(
  "pretrain() makes TensorBoard drop what a resumed run logs again",
  withImages(async (folder) => {
    const sets = ["run.log_every=1", "run.checkpoint_every=2 steps"];
    await train(tinyConfig(folder, "run", ...sets), { stopAfter: 5 });
    await Deno.remove(checkpointPath(`${folder}/run`, 5), { recursive: true }); // as if killed after step 5 was logged
    await train(tinyConfig(folder, "run", ...sets), { resume: true });
    assertEquals((await metricsOf(`${folder}/run`)).map(({ step }) => step), [
      1,
      2,
      3,
      4,
      5,
      6,
      7,
      8,
      9,
      10,
      11,
      12,
    ]);
    const files = (await tree(`${folder}/run`)).filter((name) => name.startsWith("events."));
    const [first, second] = await Promise.all(
      files.map(async (name) => readRecords(await Deno.readFile(`${folder}/run/${name}`))),
    );
    const withSummary = (records: Uint8Array[]) => records.filter((record) => fieldsOf(record).has(5));
    const steps = (records: Uint8Array[]) => [
      ...new Set(withSummary(records).flatMap(scalarsOf).map(([step]) => step)),
    ];
    assertEquals([steps(first), steps(second)], [[1, 2, 3, 4, 5], [5, 6, 7, 8, 9, 10, 11, 12]]);
    const session = fieldsOf(second[1]);
    assertEquals([session.get(2), part(session.get(7)?.[0]).get(1)], [[5], [1]]); // START at step 5
  }),
);

Deno.test(
  "pretrain() counts the seconds of all sessions without the pause between them",
  withImages(async (folder) => {
    await train(tinyConfig(folder, "run", "run.log_every=1"), { stopAfter: 3 });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await train(tinyConfig(folder, "run", "run.log_every=1"), { resume: true });
    const text = await Deno.readTextFile(`${folder}/run/metrics.jsonl`);
    const seconds: number[] = text.trim().split("\n").map((line) => JSON.parse(line).seconds);
    assertEquals(seconds.length, 12);
    for (let i = 1; i < seconds.length; i++) assert(seconds[i] > seconds[i - 1]);
    assert(seconds[3] - seconds[2] < 1, `${seconds}`);
  }),
);

Deno.test(
  "pretrain() does not go on with a run of another job",
  withImages(async (folder) => {
    const { result } = await train(tinyConfig(folder), { stopAfter: 1 });
    const path = `${result.checkpoint}/state.json`;
    const state = JSON.parse(await Deno.readTextFile(path));
    await Deno.writeTextFile(path, JSON.stringify({ ...state, job: "linprobe" }));
    await assertRejects(
      () => train(tinyConfig(folder), { resume: true }),
      InputError,
      "run is a run of mae linprobe, not of mae pretrain: give another --out",
    );
  }),
);
