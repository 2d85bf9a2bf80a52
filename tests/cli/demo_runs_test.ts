import { demoRuns } from "../../src/cli/demo_runs.ts";
import { assertEquals } from "../deps.ts";
import { inFolder } from "../support/folder.ts";

/** Makes folders of runs: of those that were started, and of those that also have a checkpoint. */
async function makeRuns(folder: string, started: string[], trained: string[]): Promise<void> {
  for (const name of [...started, ...trained]) {
    await Deno.mkdir(`${folder}/${name}`, { recursive: true });
    await Deno.writeTextFile(`${folder}/${name}/config.yaml`, "");
  }
  for (const name of trained) {
    await Deno.mkdir(`${folder}/${name}/checkpoints/step-00000001`, { recursive: true });
  }
}

const found = async (
  folder: string,
) => [await demoRuns.next(`${folder}/demo`), await demoRuns.newest(`${folder}/demo`)];

Deno.test("demoRuns begins with the base where there is nothing", () =>
  inFolder(async (folder) => {
    assertEquals(await found(folder), [`${folder}/demo`, null]);
    assertEquals(await found(`${folder}/missing`), [`${folder}/missing/demo`, null]);
    await Deno.mkdir(`${folder}/demo`);
    await Deno.writeTextFile(`${folder}/demo-2`, "a file");
    assertEquals(await found(folder), [`${folder}/demo`, null]);
  }));

Deno.test("demoRuns counts on after the newest run", () =>
  inFolder(async (folder) => {
    await makeRuns(folder, [], ["demo"]);
    assertEquals(await found(folder), [`${folder}/demo-2`, `${folder}/demo`]);
    await makeRuns(folder, [], ["demo-2", "demo-10", "demo-9"]);
    assertEquals(await found(folder), [`${folder}/demo-11`, `${folder}/demo-10`]);
  }));

Deno.test("demoRuns takes no other names for its own", () =>
  inFolder(async (folder) => {
    await makeRuns(folder, [], [
      "demo",
      "demo-1",
      "demo-x",
      "demo-02",
      "demo2",
      "demo-3.5",
      "demo-",
      "demo--4",
      "vit",
    ]);
    assertEquals(await found(folder), [`${folder}/demo-2`, `${folder}/demo`]);
  }));

Deno.test("demoRuns offers the folder of a run that was started in vain, both anew and to resume", () =>
  inFolder(async (folder) => {
    await makeRuns(folder, ["demo-2"], ["demo"]);
    assertEquals(await found(folder), [`${folder}/demo-2`, `${folder}/demo-2`]);
  }));
