/** `mae attention`, from its flags to what is printed. */
import { main } from "../../src/cli/main.ts";
import { assertEquals, assertMatch, assertStringIncludes } from "../deps.ts";
import { inFolder } from "../support/folder.ts";
import { RecordingTerminal } from "../support/terminal.ts";
import { writeClasses, writeTinyCheckpoint } from "../train/labelled_support.ts";

async function call(...args: string[]): Promise<{ code: number; text: string; errors: string }> {
  const terminal = new RecordingTerminal();
  const code = await main(["attention", ...args], terminal);
  return { code, text: terminal.text, errors: terminal.errors.join("\n") };
}

Deno.test("mae attention prints a line for each layer, and the files", () =>
  inFolder(async (folder) => {
    await writeClasses(`${folder}/images`, 2);
    await writeTinyCheckpoint(`${folder}/run/checkpoints/step-00000007`);
    const out = `${folder}/out`;
    const args = ["--from", `${folder}/run`, "--out", out, "--backend", "cpu"];
    const { code, text, errors } = await call(...args, "--count", "3", `${folder}/images`);
    assertEquals([code, errors], [0, ""]);
    assertStringIncludes(text, "after 7 steps of pre-training: 1 block, 8 wide, 2 heads");
    assertMatch(text, /^3 of 6 images, taken from all over them$/m);
    assertMatch(text, /^ {2}patches {2}9 of an image; an effective rank of 8 at most$/m);
    assertMatch(text, /^ {2}entropy {2}2\.30 nats at most$/m);
    assertMatch(text, /^ {2}embedding {2,}\d\.\d( {2,}-?\d+\.\d+){4}( {2,}-){4}$/m);
    assertMatch(text, /^ {10}1 {2,}\d\.\d( {2,}-?\d+\.\d+){4}( {2,}\d+\.\d+(-\d+\.\d+)?){4}$/m);
    assertMatch(text, /^ {2}written {2}.*\/out\/statistics\.json$/m);

    const again = await call(...args, `${folder}/images`);
    assertEquals(again.code, 2);
    assertStringIncludes(again.errors, "not empty; write into it with --force");
    await Deno.writeTextFile(`${folder}/images/broken.jpg`, "");
    const forced = await call(
      ...args,
      "--force",
      "--quiet",
      "--block",
      "1",
      "--mass",
      "0.6",
      `${folder}/images`,
    );
    assertEquals(forced.code, 1); // a file was left out
    assertMatch(forced.errors, /^Warning: Skipping .*broken\.jpg: the file is empty$/);
    assertMatch(forced.text, /^ {2}images {3}6, and 1 broken file left out$/m);
  }));

Deno.test("mae attention refuses wrong flags with one sentence", () =>
  inFolder(async (folder) => {
    await writeClasses(folder, 1);
    const given = ["--from", "x", "--out", `${folder}/out`];
    const cases: [args: string[], words: string][] = [
      [[], "mae attention needs an IMAGE"],
      [[folder], "mae attention needs --from CHECKPOINT"],
      [["--from", "x", folder], "mae attention needs --out DIR"],
      [[...given, "--block", "0", folder], '--block must be the number of a block from 1, or all, not "0"'],
      [[...given, "--block", "last", folder], "--block must be the number of a block"],
      [[...given, "--mass", "60", folder], "--mass must be a share above 0, at most 1"],
      [[...given, "--count", "0", folder], "--count must be a whole number from 1"],
      [[...given, "--image-size", "big", folder], "--image-size must be"],
      [[...given, `${folder}/nothing`], "There is no image or folder"],
      [[...given, folder], "x"],
      [[...given, "--pooling", "average", folder], "Unknown flag --pooling"],
    ];
    for (const [args, words] of cases) {
      const { code, errors } = await call(...args);
      assertEquals(code, 2, args.join(" "));
      assertStringIncludes(errors, words);
    }
  }));
