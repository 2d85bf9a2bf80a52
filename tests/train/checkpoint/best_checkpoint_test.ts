import { tf } from "../../../src/deps/tfjs.ts";
import { openRuntime } from "../../../src/gpu/runtime.ts";
import { readSafetensors } from "../../../src/formats/safetensors.ts";
import { bestPath, recoverBest, saveBest } from "../../../src/train/checkpoint/best_checkpoint.ts";
import {
  listCheckpoints,
  readTrainState,
  type TrainState,
} from "../../../src/train/checkpoint/checkpoint.ts";
import { RunFolder } from "../../../src/train/run/run_folder.ts";
import { RunError } from "../../../src/util/errors.ts";
import { assertEquals, assertRejects } from "../../deps.ts";
import { inFolder } from "../../support/folder.ts";
import { tree } from "../support.ts";

const state = (step: number): TrainState => ({
  format: 1,
  job: "finetune",
  step,
  epoch: 1,
  stepsPerEpoch: 1,
  samples: 1,
  seconds: 1,
  config: {},
});

async function save(run: string, step: number): Promise<void> {
  await openRuntime({ backend: "cpu" });
  const weight = tf.variable(tf.fill([2], step));
  await saveBest(run, state(step), new Map([["weight", weight]]));
  weight.dispose();
}

Deno.test("saveBest() replaces the best checkpoint, which is none to resume from", () =>
  inFolder(async (run) => {
    for (const step of [3, 7]) {
      await save(run, step);
      const path = bestPath(run);
      assertEquals((await readTrainState(path)).step, step);
      assertEquals([...(await readSafetensors(`${path}/model.safetensors`)).get("weight")?.data ?? []], [
        step,
        step,
      ]);
    }
    assertEquals(await tree(`${run}/checkpoints`), ["best/", "best/model.safetensors", "best/state.json"]);
    assertEquals(await listCheckpoints(run), []);
  }));

Deno.test("saveBest() that cannot write leaves the one before", () =>
  inFolder(async (run) => {
    await save(run, 3);
    await Deno.writeTextFile(`${bestPath(run)}.tmp`, "in the way");
    await save(run, 4); // a file of that name is no more than an unfinished one
    assertEquals((await readTrainState(bestPath(run))).step, 4);
    await Deno.writeTextFile(`${run}/file`, "");
    await assertRejects(() => save(`${run}/file`, 5), RunError, "could not be written");
  }));

Deno.test("a best checkpoint that was being replaced when the program ended is put back", () =>
  inFolder(async (run) => {
    await save(run, 3);
    const path = bestPath(run);
    await Deno.rename(path, `${path}.old.tmp`);
    await Deno.mkdir(`${path}.tmp`); // the new one, half-written
    {
      using folder = await RunFolder.look(run, true);
      await folder.take();
    }
    assertEquals(await tree(`${run}/checkpoints`), ["best/", "best/model.safetensors", "best/state.json"]);
    // Where the new one is in place, the old one goes.
    await Deno.mkdir(`${path}.old.tmp`);
    await recoverBest(run);
    assertEquals((await readTrainState(path)).step, 3);
    assertEquals((await tree(`${run}/checkpoints`)).length, 3);
  }));
