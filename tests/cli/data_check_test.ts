import { main } from "../../src/cli/main.ts";
import { assert, assertEquals, assertStringIncludes } from "../deps.ts";
import { flatPng, numberedPng, writePets } from "../check/check_support.ts";
import { inFolder } from "../support/folder.ts";
import { assertSnapshot } from "../support/snapshot.ts";
import { RecordingTerminal } from "../support/terminal.ts";

async function check(...args: string[]): Promise<{ code: number; terminal: RecordingTerminal }> {
  const terminal = new RecordingTerminal();
  return { code: await main(["data", "check", "--workers", "1", ...args], terminal), terminal };
}

Deno.test("mae data check prints what it found and writes a report and a page", () =>
  inFolder(async (folder) => {
    const root = await writePets(folder);
    const { code, terminal } = await check(root, "--out", `${folder}/report/`);
    assertEquals([code, terminal.errors], [1, []]);
    await assertSnapshot("cli", "data_check", terminal.text.replaceAll(folder, "TMP"));
    const report = JSON.parse(await Deno.readTextFile(`${folder}/report/check.json`));
    assertEquals([report.kind, report.images, report.broken.images], ["mae-data-check-1", 11, 3]);
    const page = await Deno.readTextFile(`${folder}/report/check.html`);
    assertStringIncludes(page, "<h2>Broken: 3</h2>");
    assert((page.match(/data:image\/png/g) ?? []).length > 5);
    assertEquals([...Deno.readDirSync(`${folder}/report`)].map(({ name }) => name).sort(), [
      "check.html",
      "check.json",
    ]);
    // Once more: the report is replaced, and JSON is all that is printed.
    const again = await check(root, "--out", `${folder}/report`, "--json", "--fresh");
    assertEquals([again.code, again.terminal.errors], [1, []]);
    assertEquals(JSON.parse(again.terminal.text), report);
  }));

Deno.test("mae data check ends with 0 when all can be read, and with --strict only when no two are equal", () =>
  inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/a.png`, flatPng(4, 4, 9));
    await Deno.writeFile(`${folder}/b.png`, numberedPng(1));
    assertEquals((await check(folder, "--strict", "--out", `${folder}/r`)).code, 0);
    await Deno.writeFile(`${folder}/c.png`, numberedPng(1));
    const args = [folder, "--out", `${folder}/r`];
    assertEquals([(await check(...args)).code, (await check(...args, "--strict")).code], [0, 1]);
  }));

Deno.test("mae data check refuses what it cannot check before it writes anything", () =>
  inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/a.png`, flatPng(4, 4, 9));
    await Deno.mkdir(`${folder}/other`);
    await Deno.writeTextFile(`${folder}/other/check.json`, `{"mine": true}`);
    await Deno.writeTextFile(`${folder}/table.csv`, "path,label\na.png,x\n");
    const cases: [string[], string][] = [
      [[], "needs a SOURCE"],
      [[`${folder}/nowhere`, "--out", `${folder}/r`], "nowhere"],
      [[folder, `${folder}/nowhere`, "--out", `${folder}/r`], "nowhere"],
      [[folder, "--out", `${folder}/a.png`], "cannot be made a folder"],
      [[folder, "--out", `${folder}/other`], "is no report of mae data check"],
      [[folder, "--workers", "0"], "--workers must be a whole number"],
      [[folder, "--stric"], `did you mean "--strict"?`],
      [[`${folder}/table.csv`, "--path-column", "file", "--out", `${folder}/r`], "file"],
    ];
    for (const [args, words] of cases) {
      const { code, terminal } = await check(...args);
      assertEquals([args, code, terminal.errors.length], [args, 2, 1]);
      assertStringIncludes(terminal.errors[0], words);
    }
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
      "a.png",
      "other",
      "table.csv",
    ]);
  }));
