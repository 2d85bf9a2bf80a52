/** `mae reconstruct`, from its flags to the files it leaves. */
import { main } from "../../src/cli/main.ts";
import { decodeImage } from "../../src/images/decode.ts";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "../deps.ts";
import { fixturePath } from "../support/fixtures.ts";
import { inFolder } from "../support/folder.ts";
import { RecordingTerminal } from "../support/terminal.ts";
import { tree, writeImages } from "../train/support.ts";

const model = ["--from", fixturePath("hf_vitmae_a"), "--backend", "cpu"];

async function call(...args: string[]): Promise<{ code: number; text: string; errors: string }> {
  const terminal = new RecordingTerminal();
  const code = await main(["reconstruct", ...args], terminal);
  return { code, text: terminal.text, errors: terminal.errors.join("\n") };
}

Deno.test("mae reconstruct draws the figure and the page, and replaces neither unasked", () =>
  inFolder(async (folder) => {
    await writeImages(`${folder}/images`, 2);
    const out = `${folder}/new folder`;
    const args = [...model, `${folder}/images`, "--out", out, "--mask-ratio", "0.5, 0.75", "--seed", "1"];
    const first = await call(...args);
    assertEquals([first.code, first.errors], [0, ""]);
    assertStringIncludes(first.text, "Hugging Face");
    assertMatch(first.text, /^ {2}removed +loss +PSNR\n {2}50% +\d\.\d{4} +\d+\.\d dB$/m);
    assertMatch(first.text, /^ {2}images +2$/m);
    assertEquals(await tree(out), ["reconstructions.html", "reconstructions.png"]);
    const png = await Deno.readFile(`${out}/reconstructions.png`);
    const figure = await decodeImage(png, { channels: 3, exif: "ignore" });
    assertEquals(figure.width, 2 * 28 + 7 * 192 + 2 * 32 + 4 * 12);
    const page = await Deno.readTextFile(`${out}/reconstructions.html`);
    assertEquals((page.match(/<section class="view"/g) ?? []).length, 2 * 2);
    const command =
      `--out &#39;${out}&#39; --mask-ratio &#39;0.5, 0.75&#39; --seed 1 --backend cpu ${folder}/images`;
    assertStringIncludes(page, command);

    const again = await call(...args);
    assertEquals([again.code, again.text], [2, ""]);
    assertStringIncludes(again.errors, "reconstructions.png is there already; replace it with --force");
    await Deno.remove(`${out}/reconstructions.png`);
    assertStringIncludes((await call(...args)).errors, "--html");
    assertEquals((await call(...args, "--force")).code, 0);
    const drawn = await decodeImage(await Deno.readFile(`${out}/reconstructions.png`), {
      channels: 3,
      exif: "ignore",
    });
    assert(drawn.data.every((value, i) => value === figure.data[i]), "other pixels from the same command");
  }));

Deno.test("mae reconstruct writes where it is told, and passes over what cannot be read", () =>
  inFolder(async (folder) => {
    await writeImages(`${folder}/images`, 2);
    await Deno.writeTextFile(`${folder}/images/00.png`, "broken");
    const out = ["--out", `${folder}/a.png`, "--html", `${folder}/pages/b.html`];
    const { code, text, errors } = await call(
      ...model,
      `${folder}/images`,
      `${folder}/gone.png`,
      ...out,
      "--quiet",
    );
    assertEquals(code, 1);
    assertStringIncludes(errors, `Skipping ${folder}/gone.png: There is no image or folder`);
    assertStringIncludes(errors, `Skipping ${folder}/images/00.png: `);
    assertMatch(text, /^ {2}images +1, and 1 broken file left out$/m);
    assertEquals((await tree(folder)).filter((name) => /^a|pages/.test(name)), [
      "a.png",
      "pages/",
      "pages/b.html",
    ]);

    const figure = await call(...model, `${folder}/images/01.png`, "--out", `${folder}/c.png`, "--no-html");
    assertEquals(figure.code, 0);
    assert(!(await tree(folder)).includes("c.html"));
  }));

Deno.test("mae reconstruct refuses wrong flags with one sentence and leaves nothing", () =>
  inFolder(async (folder) => {
    await writeImages(`${folder}/images`, 1);
    await Deno.mkdir(`${folder}/folder.png`);
    const image = `${folder}/images/00.png`;
    const out = ["--out", `${folder}/out`];
    const cases: [args: string[], words: string][] = [
      [[image], "mae reconstruct needs --from CHECKPOINT"],
      [[...model], "mae reconstruct needs an IMAGE"],
      [[...model, `${folder}/gone.png`, ...out], "There is no image or folder"],
      [
        [...model, image, ...out, "--mask-ratio", "75"],
        `--mask-ratio must be a share above 0 and below 1, or several with commas between, not "75"`,
      ],
      [[...model, image, ...out, "--mask-ratio", "0.5,"], `not ""`],
      [
        [...model, image, ...out, "--mask-ratio", "0.95"],
        "0.95 keeps none of 16 patches; the largest that does is 0.9375",
      ],
      [
        [...model, image, ...out, "--sampling", "blocks"],
        `--sampling must be random, block or grid, or several`,
      ],
      [[...model, image, ...out, "--seed", "-1"], "--seed must be a whole number from 0"],
      [[...model, image, ...out, "--image-size", "30"], "the nearest size is 32x32"],
      [[...model, image, ...out, "--fit", "pad"], "--fit must be crop or stretch"],
      [[...model, image, ...out, "--target", "pixel"], "--target must be pixels or normalized"],
      [[...model, image, ...out, "--html", "x.pdf"], "--html x.pdf must end in .html"],
      [[...model, image, ...out, "--html", "x.html", "--no-html"], "not both"],
      [[...model, image, "--out", `${folder}/folder.png`, "--force"], "folder.png is a folder; name a file"],
      [
        ["--from", fixturePath("mae_a_init_encoder_only.pth"), "--heads", "3", image, ...out],
        "has no decoder: give a checkpoint of mae pretrain",
      ],
    ];
    for (const [args, words] of cases) {
      const { code, text, errors } = await call(...args);
      assertEquals([code, text], [2, ""], args.join(" "));
      assertStringIncludes(errors, words);
      assertEquals(errors.includes("\n"), false);
    }
    assertEquals(await tree(folder), ["folder.png/", "images/", "images/00.png"]);
  }));
