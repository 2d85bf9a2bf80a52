/** A disk that fills up while pre-training writes, and checkpoints that it has lost parts of. */
import { checkpointPath, listCheckpoints } from "../../../src/train/checkpoint/checkpoint.ts";
import type { FinetuneEvent } from "../../../src/train/run/events.ts";
import { InputError, RunError } from "../../../src/util/errors.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "../../deps.ts";
import { metricsOf, newestBits, tinyConfig, train, tree, withImages } from "../support.ts";

// A disk that fills up

/** Runs `action` on a disk that takes so many more bytes from this thread, and then none. */
async function withFullDisk<T>(bytes: number, action: () => Promise<T>): Promise<T> {
  const { write } = Deno.FsFile.prototype;
  let left = bytes;
  Deno.FsFile.prototype.write = function (data) {
    left -= data.length;
    if (left < 0) return Promise.reject(new Error("No space left on device (os error 28)"));
    return write.call(this, data);
  };
  try {
    return await action();
  } finally {
    Deno.FsFile.prototype.write = write;
  }
}

Deno.test(
  "pretrain() whose checkpoint cannot be written keeps the ones before, and says what to do",
  withImages(async (folder) => {
    const run = `${folder}/run`;
    const config = tinyConfig(folder, "run", "run.checkpoint_every=4 steps");
    await train(config, { stopAfter: 4 });
    const bits = await newestBits(run);
    for (const bytes of [4000, 20_000, 40_000]) { // in the model, the optimizer, and its last bytes or the state
      const error = await assertRejects(
        () => withFullDisk(bytes, () => train(config, { resume: true })),
        RunError,
      );
      assertMatch(
        error.message,
        /^The checkpoint of step 8 could not be written to .*step-00000008 \(.*No space left.*\); earlier checkpoints are intact, free some space and continue with --resume$/,
      );
      assertEquals(await newestBits(run), bits);
      assertEquals((await tree(run)).filter((path) => path.includes(".tmp")), []);
    }
    await train(config, { resume: true });
    await train(tinyConfig(folder, "whole", "run.checkpoint_every=4 steps"));
    assertEquals(await newestBits(run), await newestBits(`${folder}/whole`));
    assertEquals(await metricsOf(run), await metricsOf(`${folder}/whole`));
  }),
);

Deno.test(
  "pretrain() whose metrics cannot be written ends, and loses none of those before",
  withImages(async (folder) => {
    const config = tinyConfig(folder, "run", "run.log_every=1");
    const error = await assertRejects(() => withFullDisk(4000, () => train(config)), RunError);
    assertMatch(
      error.message,
      /^cannot write ".*(metrics\.jsonl|\.mae)": No space left.*; checkpoints are intact, free some space and continue with --resume$/,
    );
    const records = await metricsOf(`${folder}/run`);
    assert(records.length > 2 && records.length < 12);
    await train(config, { resume: true });
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
  }),
);

Deno.test(
  "pretrain() whose figure cannot be written ends, with everything else there",
  withImages(async (folder) => {
    const config = tinyConfig(folder, "run", "run.figure_images=2");
    await train(tinyConfig(folder, "run"));
    const error = await assertRejects(
      () => withFullDisk(4000, () => train(config, { resume: true })),
      RunError,
    );
    assertMatch(
      error.message,
      /^The figure could not be written to .*12\.png \(No space.*\); the checkpoint of step 12 is/,
    );
    const { result } = await train(config, { resume: true });
    assert((await Deno.stat(result.figure ?? "")).isFile);
    assertEquals((await tree(`${folder}/run`)).filter((path) => path.includes(".tmp")), []);
  }),
);

Deno.test(
  "pretrain() that cannot even write its configuration ends before its first step",
  withImages(async (folder) => {
    const events: FinetuneEvent[] = [];
    const error = await assertRejects(
      () => withFullDisk(100, () => train(tinyConfig(folder), { onEvent: (event) => events.push(event) })),
      RunError,
    );
    assertMatch(
      error.message,
      /^The configuration could not be written to .*config\.yaml \(No space.*\); free some space$/,
    );
    assertEquals([events, await tree(`${folder}/run`)], [[], []]);
  }),
);

// Checkpoints that cannot be read

const damages: Readonly<Record<string, [damage: (path: string) => Promise<void>, reason: RegExp]>> = {
  "a truncated model": [
    async (path) => await Deno.truncate(`${path}/model.safetensors`, 5000),
    /model\.safetensors" is not a valid safetensors file: .*cut short/,
  ],
  "an empty optimizer": [
    async (path) => await Deno.truncate(`${path}/optimizer.safetensors`, 0),
    /optimizer\.safetensors" is not a valid safetensors file/,
  ],
  "no model": [
    async (path) => await Deno.remove(`${path}/model.safetensors`),
    /model\.safetensors is missing/,
  ],
  "no state": [async (path) => await Deno.remove(`${path}/state.json`), /state\.json is missing/],
  "a garbled state": [
    async (path) => await Deno.writeTextFile(`${path}/state.json`, '{"format": 1, "step'),
    /state\.json cannot be read/,
  ],
  "a state without a step": [
    async (path) => await Deno.writeTextFile(`${path}/state.json`, '{"format": 1}'),
    /state\.json is not the state of a run/,
  ],
};

Deno.test(
  "pretrain() goes on from the checkpoint before a damaged one, with a warning that names it",
  withImages(async (folder) => {
    const run = `${folder}/run`;
    const config = tinyConfig(folder, "run", "run.checkpoint_every=2 steps");
    await train(config);
    const bits = await newestBits(run);
    for (const [damage, reason] of Object.values(damages)) {
      await damage(checkpointPath(run, 12));
      const { said, result } = await train(config, { resume: true });
      assertEquals(said.length, 1);
      assertMatch(said[0], reason);
      assertMatch(
        said[0],
        /^The checkpoint .*step-00000012 is damaged: .*; going on from step 10, and .* is renamed/,
      );
      assertEquals([result.steps, await newestBits(run)], [12, bits]);
      assertEquals(await listCheckpoints(run), [8, 10, 12]);
    }
    assert((await tree(`${run}/checkpoints`)).includes("step-00000012.damaged/"));
    assertEquals((await metricsOf(run)).map(({ step }) => step), [4, 8, 12]);
  }),
);

Deno.test(
  "pretrain() refuses to resume when every checkpoint is damaged, and touches none",
  withImages(async (folder) => {
    const config = tinyConfig(folder, "run", "run.checkpoint_every=6 steps");
    await train(config);
    await Deno.remove(`${checkpointPath(`${folder}/run`, 6)}/state.json`);
    await Deno.writeTextFile(`${checkpointPath(`${folder}/run`, 12)}/state.json`, "]");
    const before = await tree(`${folder}/run`);
    const error = await assertRejects(() => train(config, { resume: true }), InputError);
    assertMatch(
      error.message,
      /^The checkpoint .*12 is damaged: .*; The checkpoint .*06 is damaged: .* missing; there is no other checkpoint/,
    );
    assertEquals(await tree(`${folder}/run`), before);
  }),
);

Deno.test(
  "pretrain() does not fall back from a checkpoint that is whole but of another version",
  withImages(async (folder) => {
    const config = tinyConfig(folder, "run", "run.checkpoint_every=6 steps");
    await train(config);
    const path = checkpointPath(`${folder}/run`, 12);
    const state = JSON.parse(await Deno.readTextFile(`${path}/state.json`));
    await Deno.writeTextFile(`${path}/state.json`, JSON.stringify({ ...state, format: 2 }));
    await assertRejects(
      () => train(config, { resume: true }),
      InputError,
      "step-00000012 has format 2, and this version of mae reads format 1",
    );
  }),
);
