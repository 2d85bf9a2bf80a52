import { decodeImage } from "../../../src/images/decode.ts";
import { listImages } from "../../../src/sources/image_folder.ts";
import { readEncoderSource } from "../../../src/train/model_files/encoder_source.ts";
import { type AttentionOptions, inspectAttention } from "../../../src/train/pictures/attention.ts";
import type { FrozenEvent } from "../../../src/train/run/events.ts";
import { InputError, RunError } from "../../../src/util/errors.ts";
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertStringIncludes } from "../../deps.ts";
import { withData } from "../labelled_support.ts";

async function inspect(folder: string, options: Partial<AttentionOptions> = {}, images = "images") {
  return await inspectAttention({ from: `${folder}/checkpoint` }, await listImages(`${folder}/${images}`), {
    out: `${folder}/out`,
    backend: "cpu",
    ...options,
  });
}

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

Deno.test(
  "inspectAttention() writes figures and statistics, always the same bytes",
  withData(async (folder) => {
    const events: FrozenEvent[] = [];
    const result = await inspect(folder, { onEvent: (event) => events.push(event) });
    assertEquals(result.files.map((file) => file.slice(folder.length)), [
      "/out/attention.png",
      "/out/statistics.png",
      "/out/statistics.json",
    ]);
    assertEquals(await namesIn(`${folder}/out`), ["attention.png", "statistics.json", "statistics.png"]);
    const { files: _, ...found } = result;
    assertEquals(JSON.parse(await Deno.readTextFile(`${folder}/out/statistics.json`)), found);
    assertEquals([found.patches, found.width, found.heads, found.images.length, found.given], [
      9,
      8,
      2,
      6,
      6,
    ]);
    assertEquals(found.layers.map(({ block, attention }) => [block, attention?.entropy.length]), [
      [0, undefined],
      [1, 2],
    ]);
    for (const { effectiveRank, patchCosine } of found.layers) {
      assert(effectiveRank >= 1 && effectiveRank <= 8 && Math.abs(patchCosine) <= 1);
    }
    const png = await Deno.readFile(`${folder}/out/attention.png`);
    const { width } = await decodeImage(png, { channels: 3, exif: "ignore" });
    assertEquals(width, 28 + 4 * 192 + 3 * 12 + 28); // picture, mean and two heads, 12 pixels drawn 16 times as large
    assert(events.some((event) => event.kind === "progress" && event.share === 1));

    const again = await inspect(folder, { out: `${folder}/again` });
    for (const [i, file] of result.files.entries()) {
      assertEquals(await Deno.readFile(again.files[i]), await Deno.readFile(file), file);
    }
  }),
);

Deno.test(
  "inspectAttention() draws all blocks in a figure per image, and means over images are means of each",
  withData(async (folder) => {
    const both = await inspect(folder, { block: "all", count: 2, mass: 0.5 });
    assertEquals(both.images.map((path) => path.slice(folder.length)), [
      "/images/dark/0.png",
      "/images/gray/1.png",
    ]);
    assertEquals(await namesIn(`${folder}/out`), [
      "attention-1-0.png",
      "attention-2-1.png",
      "statistics.json",
      "statistics.png",
    ]);
    const from = await readEncoderSource(`${folder}/checkpoint`);
    const ranks = [];
    for (const [i, path] of both.images.entries()) {
      const options = { out: `${folder}/single-${i}`, backend: "cpu" } as const;
      const { layers } = await inspectAttention({ from }, await listImages(path), options);
      ranks.push(layers[1]);
    }
    const [a, b] = ranks;
    assertAlmostEquals(both.layers[1].effectiveRank, (a.effectiveRank + b.effectiveRank) / 2, 1e-6);
    const distance = (layer: typeof a) => layer.attention?.distance[1] ?? NaN;
    assertAlmostEquals(distance(both.layers[1]), (distance(a) + distance(b)) / 2, 1e-6);
  }),
);

Deno.test(
  "inspectAttention() takes another image size, and leaves broken files out",
  withData(async (folder) => {
    await Deno.writeTextFile(`${folder}/images/broken.png`, "no image");
    const events: FrozenEvent[] = [];
    const options = { imageSize: [8, 16], onEvent: (event: FrozenEvent) => events.push(event) } as const;
    const { patches, images, broken } = await inspect(folder, options);
    assertEquals([patches, images.length, broken.length], [8, 6, 1]);
    const messages = events.map((event) => "message" in event ? `${event.kind}: ${event.message}` : "");
    assert(messages.some((message) => message.startsWith("notice: Positions are resampled from 3x3 to 2x4")));
    assert(messages.some((message) => /^warning: Skipping .*broken\.png: not an image/.test(message)));
    await Deno.mkdir(`${folder}/none`);
    await Deno.writeTextFile(`${folder}/none/a.png`, "");
    await assertRejects(() => inspect(folder, { out: `${folder}/b` }, "none"), RunError, "the file is empty");
  }),
);

Deno.test(
  "inspectAttention() says that a classifier averages patches, and draws one whose values are broken",
  withData(async (folder) => {
    const source = await readEncoderSource(`${folder}/checkpoint`);
    const [mean, std] = [[0.5, 0.5, 0.5], [0.2, 0.2, 0.2]];
    const images = { imageSize: [12, 12], channels: 3, mean, std, cropShare: 1, exif: "apply" } as const;
    const classifier = { ...images, classes: ["a"], pooling: "average" } as const;
    const state = new Map(source.state);
    const bias = state.get("blocks.0.attn.qkv.bias");
    assert(bias?.dtype === "F32");
    state.set("blocks.0.attn.qkv.bias", { ...bias, data: bias.data.map(() => NaN) });
    const messages: string[] = [];
    const { layers, files } = await inspectAttention(
      { from: { ...source, state, classifier } },
      await listImages(`${folder}/images/dark`),
      {
        out: `${folder}/out`,
        backend: "cpu",
        onEvent: (event) => "message" in event && messages.push(event.message),
      },
    );
    assert(
      messages.includes("This classifier averages patches: its class token is not what it classifies by"),
    );
    assertEquals([layers[1].effectiveRank, layers[1].attention?.entropy], [NaN, [NaN, NaN]]);
    const json = JSON.parse(await Deno.readTextFile(files[2]));
    assertEquals(json.layers[1].effectiveRank, null);
  }),
);

Deno.test(
  "inspectAttention() refuses what cannot work before anything is written",
  withData(async (folder) => {
    const refused: [options: Partial<AttentionOptions>, words: string][] = [
      [{ block: 2 }, "There is no block 2 in an encoder of 1: its blocks are 1 to 1"],
      [{ block: 0 }, "its blocks are 1 to 1, or all of them"],
      [{ imageSize: [13, 12] }, "no whole number of patches"],
      [{ imageSize: [2400, 2400] }, "too many for one figure"],
      [{ out: `${folder}/checkpoint/state.json` }, "is a file; name a folder"],
      [{ out: `${folder}/images` }, "not empty; write into it with --force"],
    ];
    for (const [options, words] of refused) {
      await assertRejects(() => inspect(folder, options), InputError, words);
    }
    assertEquals(await namesIn(folder), ["checkpoint", "images"]);
    const images = await listImages(`${folder}/images`);
    const missing = inspectAttention({ from: `${folder}/missing` }, images, {
      out: `${folder}/out`,
      backend: "cpu",
    });
    await assertRejects(() => missing, InputError, "missing");
    await Deno.mkdir(`${folder}/out`);
    await Deno.writeTextFile(`${folder}/out/mine.txt`, "mine");
    const { files } = await inspect(folder, { force: true, count: 1 });
    assertStringIncludes(files[0], "attention.png");
    assertEquals(await Deno.readTextFile(`${folder}/out/mine.txt`), "mine");
  }),
);
