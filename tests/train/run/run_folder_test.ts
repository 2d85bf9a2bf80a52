import { resolvePretrainConfig, toYaml } from "../../../src/config/pretrain.ts";
import {
  checkDiskSpace,
  holdsRun,
  RunFolder,
  type SavePlan,
  storeConfig,
} from "../../../src/train/run/run_folder.ts";
import { InputError } from "../../../src/util/errors.ts";
import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "../../deps.ts";
import { inFolder } from "../../support/folder.ts";
import { tree } from "../support.ts";

async function write(folder: string, ...paths: string[]): Promise<void> {
  for (const path of paths) {
    if (path.endsWith("/")) await Deno.mkdir(`${folder}/${path}`, { recursive: true });
    else await Deno.writeTextFile(`${folder}/${path}`, "x");
  }
}

Deno.test("RunFolder.look() writes nothing", () =>
  inFolder(async (folder) => {
    using run = await RunFolder.look(`${folder}/a/run`, false);
    assertEquals([run.path, run.metrics, run.events, run.figures, [...run.checkpoints]], [
      `${folder}/a/run`,
      `${folder}/a/run/metrics.jsonl`,
      `${folder}/a/run`,
      `${folder}/a/run/figures`,
      [],
    ]);
    assertEquals(await tree(folder), []);
  }));

Deno.test("RunFolder.look() takes a folder with other files, and with a run that wrote nothing", () =>
  inFolder(async (folder) => {
    await write(folder, "photo.png", "config.yaml", "checkpoints/", "figures/");
    await Deno.writeTextFile(`${folder}/metrics.jsonl`, ""); // opened, but ended before its first line
    using _run = await RunFolder.look(folder, false);
    assertEquals(await holdsRun(folder), false);
  }));

Deno.test("RunFolder.look() finds the checkpoints of a run to resume, and refuses it otherwise", () =>
  inFolder(async (folder) => {
    await write(
      folder,
      "checkpoints/step-00000100/",
      "checkpoints/step-00000020/",
      "checkpoints/step-00000300.tmp/",
    );
    await write(
      folder,
      "checkpoints/step-00000400.damaged/",
      "checkpoints/step-00000500",
      "checkpoints/other/",
    );
    using run = await RunFolder.look(folder, true);
    assertEquals(run.checkpoints, [20, 100]);
    const error = await assertRejects(() => RunFolder.look(folder, false), InputError);
    assertEquals(
      error.message,
      `run.out ${folder} already holds a run with 100 steps; continue it with --resume, or choose another folder with --out`,
    );
    assertEquals(await holdsRun(folder), true);
  }));

Deno.test("RunFolder.take() removes what an interrupted run left half-written, and nothing else", () =>
  inFolder(async (folder) => {
    const kept = [
      "figures/",
      "figures/a.png",
      "mine.tmp",
      "notes.abc.tmp",
      "checkpoints/",
      "checkpoints/step-00000001/",
      "checkpoints/mine.tmp",
      "checkpoints/step-00000002.damaged/",
    ];
    await write(folder, ...kept);
    await write(
      folder,
      "metrics.jsonl.0a1b2c3d.tmp",
      "config.yaml.ffffffff.tmp",
      ".write-test.01234567.tmp",
      "figures/a.png.01234567.tmp",
      "checkpoints/step-00000003.tmp/",
      "checkpoints/step-00000003.tmp/model.safetensors",
      "checkpoints/step-00000001.old.tmp/",
    );
    using run = await RunFolder.look(folder, true);
    await run.take();
    assertEquals(await tree(folder), kept.toSorted());
  }));

Deno.test("RunFolder.take() makes a folder once, and keeps others out until it is disposed", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a/run`;
    const first = await RunFolder.look(path, false);
    await first.take();
    await first.take();
    using second = await RunFolder.look(path, true);
    if (Deno.build.os !== "windows") { // cannot lock folders
      await assertRejects(() => second.take(), InputError, `run.out ${path} is in use by another mae`);
    }
    const waiting = second.take();
    await new Promise((resolve) => setTimeout(resolve, 300));
    first[Symbol.dispose]();
    await waiting; // as after a run that was just killed
    assertEquals(await tree(path), []);
  }));

Deno.test("storeConfig() stores what reads back as the same configuration", () =>
  inFolder(async (folder) => {
    const config = resolvePretrainConfig([{ origin: "test", values: { data: { train: "photos" } } }]);
    await storeConfig(folder, toYaml(config));
    assertStringIncludes(await Deno.readTextFile(`${folder}/config.yaml`), "train: photos");
    assertEquals(await tree(folder), ["config.yaml"]);
  }));

/** Values in checkpoints that would surely fill any disk: 4 bytes each make 12 EB. */
const huge = 3e18;

const plan: SavePlan = {
  values: huge,
  keep: 3,
  every: { every: 1, unit: "epoch" },
  stepsPerEpoch: 10,
  steps: 1000,
  existing: 0,
};

async function checkpointsTold(changes: Partial<SavePlan>): Promise<string> {
  const error = await assertRejects(
    () => checkDiskSpace("not/there/yet", { ...plan, ...changes }),
    InputError,
  );
  assertMatch(
    error.message,
    /^run\.out not\/there\/yet has .* free, but (a checkpoint needs|\d+ checkpoints need) .*; free some space/,
  );
  return /but (\w+) checkpoint/.exec(error.message)?.[1] ?? "";
}

Deno.test("checkDiskSpace() counts the checkpoints that there will be at a time", async () => {
  assertEquals(await checkpointsTold({}), "4"); // the new one is written before the oldest goes
  assertEquals(await checkpointsTold({ existing: 1 }), "3");
  assertEquals(await checkpointsTold({ existing: 3 }), "a");
  assertEquals(await checkpointsTold({ existing: 9 }), "a");
  assertEquals(await checkpointsTold({ steps: 10 }), "a");
  assertEquals(await checkpointsTold({ steps: 11 }), "2");
  assertEquals(await checkpointsTold({ every: { every: 500, unit: "step" } }), "2");
  assertEquals(await checkpointsTold({ every: { every: 1, unit: "minute" } }), "4");
  assertEquals(await checkpointsTold({ values: 1, best: huge }), "4"); // too much for the best one alone
});

Deno.test("checkDiskSpace() lets through what fits, and a run that has nothing to save", async () => {
  await checkDiskSpace(".", { ...plan, values: 1000 });
  await checkDiskSpace(".", { ...plan, steps: 0, best: huge });
});
