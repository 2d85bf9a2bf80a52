/** `mae embed` and `mae knn`, from their flags to what is printed. */
import { main } from "../../src/cli/main.ts";
import { assertEquals, assertMatch, assertStringIncludes } from "../deps.ts";
import { inFolder } from "../support/folder.ts";
import { RecordingTerminal } from "../support/terminal.ts";
import { writeClasses, writeTinyCheckpoint } from "../train/labelled_support.ts";

async function call(...args: string[]): Promise<{ code: number; text: string; errors: string }> {
  const terminal = new RecordingTerminal();
  const code = await main(args, terminal);
  return { code, text: terminal.text, errors: terminal.errors.join("\n") };
}

Deno.test("mae embed and mae knn say what they found", () =>
  inFolder(async (folder) => {
    await writeClasses(`${folder}/train`, 3);
    await writeClasses(`${folder}/val`, 2, 2);
    await writeTinyCheckpoint(`${folder}/run/checkpoints/step-00000007`);
    const encoder = ["--from", `${folder}/run`, "--backend", "cpu", "--batch-size", "4"];
    const out = `${folder}/features.parquet`;
    const embedded = await call("embed", ...encoder, "--data", folder, "--out", out, "--pooling", "average");
    assertEquals([embedded.code, embedded.errors], [0, ""]);
    assertStringIncludes(embedded.text, "after 7 steps of pre-training: 1 block, 8 wide, 2 heads");
    assertMatch(embedded.text, /^ {2}images {4}15$/m);
    assertMatch(embedded.text, /^ {2}features {2}8 values each, average of the patches$/m);
    assertMatch(embedded.text, /^ {2}labels {4}3 classes$/m);
    const again = await call("embed", ...encoder, "--data", folder, "--out", out);
    assertEquals(again.code, 2);
    assertStringIncludes(again.errors, "is there already; replace it with --force");

    const json = `${folder}/knn.json`;
    const data = ["--data", folder, "--k", "3", "--k", "1"];
    const found = await call("knn", ...encoder, ...data, "--json", json, "--quiet");
    assertEquals([found.code, found.errors], [0, ""]);
    assertMatch(found.text, /^ {2}images {4}6 classified by 9$/m);
    assertMatch(found.text, /^ {2}k {2}top-1\n {2}1 {2}\d+\.\d\d %\n {2}3 {2}\d+\.\d\d %$/m);
    const figures = JSON.parse(await Deno.readTextFile(json));
    assertEquals(figures.accuracies.map(({ k }: { k: number }) => k), [1, 3]);

    const config = `${folder}/config.yaml`;
    await Deno.writeTextFile(
      config,
      `model: {encoder: {width: 8, depth: 1, heads: 2, mlp_ratio: 2}, image_size: 12, patch_size: 4}\n`,
    );
    const random = await call("knn", "--config", config, "--seed", "3", "--backend", "cpu", ...data);
    assertEquals([random.code, random.errors], [0, ""]);
    assertStringIncludes(random.text, "Encoder with the random weights of seed 3");
  }));

Deno.test("mae embed and mae knn refuse wrong flags with one sentence", async () => {
  const cases: [args: string[], words: string][] = [
    [["embed"], "mae embed needs --from CHECKPOINT"],
    [["embed", "--from", "x", "--data", "y"], "mae embed needs --out FILE"],
    [["embed", "--from", "x", "--data", "y", "--out", "z", "--pooling", "mean"], "class_token or average"],
    [["embed", "--from", "x", "--data", "y", "--out", "z", "--image-size", "0x2"], "--image-size must be"],
    [["knn", "--data", "y"], "mae knn needs --from CHECKPOINT"],
    [["knn", "--data", "y", "--from", "x", "--config", "demo"], "not both"],
    [["knn", "--data", "y", "--from", "x", "--k", "0"], "--k must be a whole number from 1"],
    [["knn", "--data", "y", "--from", "x", "--split", "1"], "--split must be a share between 0 and 1"],
    [["knn", "--data", "y", "--from", "x", "--temperature", "-1"], "--temperature must be a number above 0"],
    [["knn", "--data", "y", "--from", "x", "--precision", "f64"], "f32 or f16"],
  ];
  for (const [args, words] of cases) {
    const { code, errors } = await call(...args);
    assertEquals(code, 2, args.join(" "));
    assertStringIncludes(errors, words);
  }
});
