/** `mae stats`, from its flags to the lines that it prints. */
import { main } from "../../src/cli/main.ts";
import { parseSet, parseYamlLayer } from "../../src/config/layers.ts";
import { resolvePretrainConfig } from "../../src/config/pretrain.ts";
import { assertEquals, assertMatch, assertStringIncludes } from "../deps.ts";
import { inFolder } from "../support/folder.ts";
import { RecordingTerminal } from "../support/terminal.ts";
import { encodeTiff } from "../support/tiff.ts";

async function call(...args: string[]) {
  const terminal = new RecordingTerminal();
  return {
    code: await main(["stats", ...args, "--workers", "1"], terminal),
    ...terminal,
    text: terminal.text,
  };
}

Deno.test("mae stats prints what it measured, and lines that a configuration takes", () =>
  inFolder(async (folder) => {
    const images = `${folder}/images`;
    await Deno.mkdir(images);
    const values = Uint16Array.from({ length: 8 * 8 * 2 }, (_, i) => i % 2 === 0 ? 100 * (i % 4) : 7);
    await Deno.writeFile(`${images}/a.tif`, encodeTiff(values, 8, 8, 2));
    await Deno.writeTextFile(`${images}/b.tif`, "no image");
    const out = `${folder}/stats.yaml`;
    const { code, text, errors } = await call(images, "--range", "0,400", "--out", out);
    assertEquals(code, 0);
    assertEquals(errors.length, 2);
    assertStringIncludes(errors[0], "b.tif is left out: not an image");
    assertStringIncludes(errors[1], "Channel 2 has the same value everywhere");
    assertMatch(text, /^ {2}images {5}1, and 1 broken one left out$/m);
    assertMatch(text, /^ {2}sizes {6}8x8$/m);
    assertMatch(text, /^ {2}depth {6}16 bits$/m);
    assertMatch(text, /^ {2}channel 1 {2}mean 0\.25, deviation 0\.25, from 0 to 0\.5$/m);
    const yaml = await Deno.readTextFile(out);
    assertStringIncludes(text, yaml.trimEnd());
    const layers = [parseYamlLayer(yaml, out), parseSet("data.train=x")];
    const { model, data } = resolvePretrainConfig(layers);
    assertEquals(model.channels, 2);
    assertEquals([data.mean, data.std, data.range, data.values], [
      [0.25, 0.0175],
      [0.25, 1],
      [0, 400],
      "float32",
    ]);

    assertEquals((await call(images, "--out", out)).code, 2);
    assertEquals((await call(images, "--out", out, "--bands", "[2,1]", "--force", "--quiet")).code, 0);
    assertStringIncludes(await Deno.readTextFile(out), "bands: [2, 1]");
  }));

Deno.test("mae stats refuses wrong flags with one sentence", () =>
  inFolder(async (folder) => {
    const cases: [args: string[], words: string][] = [
      [["--bands", "0,1"], '--bands must be whole numbers from 1, such as 4,3,2, not "0,1"'],
      [["--bands", "a"], '--bands must be numbers between commas, not "a"'],
      [["--bands", "1,2", "--channels", "3"], "--bands names 2 bands, and --channels says 3"],
      [["--range", "5,1"], '--range must be two numbers, the lower first, such as 0,4095, not "5,1"'],
      [["--sample", "0"], "--sample must be a whole number from 1"],
      [[], "There are no images under"],
    ];
    for (const [args, words] of cases) {
      const { code, errors } = await call(folder, ...args);
      assertEquals([code, errors.length], [2, 1], words);
      assertStringIncludes(errors[0], words);
    }
  }));
