/** Pictures of files masked and filled in, from the checkpoint's path to what figures are drawn of. */
import { loadEvalImages } from "../../../src/data/eval_images.ts";
import { listImages } from "../../../src/sources/image_folder.ts";
import { writeSafetensors } from "../../../src/formats/safetensors.ts";
import { openRuntime } from "../../../src/gpu/runtime.ts";
import { createMae } from "../../../src/models/mae.ts";
import type { FrozenEvent } from "../../../src/train/run/events.ts";
import { openModelSource, readState } from "../../../src/train/model_files/model_source.ts";
import { reconstruct, viewOf } from "../../../src/train/pictures/reconstruct.ts";
import { reconstructImages } from "../../../src/train/pictures/reconstruct_images.ts";
import type { ReconstructImagesOptions } from "../../../src/train/pictures/reconstruction_plan.ts";
import { reconstructionFacts, reconstructionText } from "../../../src/train/pictures/reconstruction_text.ts";
import { InputError, RunError } from "../../../src/util/errors.ts";
import { assert, assertEquals, assertNotEquals, assertRejects, assertStringIncludes } from "../../deps.ts";
import { fixturePath } from "../../support/fixtures.ts";
import { inFolder } from "../../support/folder.ts";
import { writeTinyCheckpoint } from "../labelled_support.ts";
import { writeImages } from "../support.ts";

const known = { heads: 3, decoderHeads: 4, backend: "cpu", checkKernels: false } as const;
const huggingFace = fixturePath("hf_vitmae_a");

/** Runs a test in a folder with five pictures in `images`. */
const withPictures = (test: (folder: string) => Promise<void>) => () =>
  inFolder(async (folder) => {
    await writeImages(`${folder}/images`, 5);
    await test(folder);
  });

/** Reconstructs the folder's pictures, and remembers what was said. */
async function run(folder: string, from: string, options: ReconstructImagesOptions = {}) {
  const said: string[] = [];
  const onEvent = (event: FrozenEvent) => {
    if (event.kind === "notice" || event.kind === "warning") said.push(event.message);
  };
  const images = await listImages(`${folder}/images`);
  const result = await reconstructImages(from, images, { ...known, onEvent, ...options });
  return { result, said };
}

/** Changes what a tiny checkpoint says of itself. */
async function say(checkpoint: string, change: (config: Record<string, unknown>) => void): Promise<void> {
  const state = JSON.parse(await Deno.readTextFile(`${checkpoint}/state.json`));
  change(state.config);
  await Deno.writeTextFile(`${checkpoint}/state.json`, JSON.stringify(state));
}

/** Writes a file with the official names and nothing said beside it. */
async function writeSilent(path: string): Promise<void> {
  using source = await openModelSource(huggingFace, known);
  const entries = [...await readState(source)].map(([name, tensor]) => ({ name, ...tensor }));
  await writeSafetensors(path, entries);
}

Deno.test(
  "reconstructImages() shows what the model makes of the evaluation's crops",
  withPictures(async (folder) => {
    const { result } = await run(folder, huggingFace, { ratios: [0.5], seeds: [3] });
    assertEquals([result.rows.length, result.given, result.broken], [5, 5, []]);
    assertEquals(result.settings, [{ ratio: 0.5, sampling: "random", seed: 3 }]);
    using source = await openModelSource(huggingFace, known);
    await openRuntime({ backend: "cpu" });
    const { encoder, decoder } = source.architecture;
    const stack = (sizes: typeof encoder, heads: number) => ({ ...sizes, heads, mlpRatio: 4 });
    assert(decoder);
    const config = { imageSize: 32, patchSize: 8, encoder: stack(encoder, 3), decoder: stack(decoder, 4) };
    const mae = createMae(config);
    mae.loadState(await readState(source));
    const settings = { imageSize: [32, 32], channels: 3, exif: "apply" } as const;
    const { pixels } = await loadEvalImages(result.paths, settings);
    const pictures = result.paths.map((_, i) => pixels.subarray(i * 3072, (i + 1) * 3072));
    const expected = await reconstruct(mae, pictures, {
      mask: { ratio: 0.5, sampling: "random" },
      seed: 3,
      mean: [0.485, 0.456, 0.406],
      std: [0.229, 0.224, 0.225],
      normalizedTarget: false,
    });
    for (const [i, { label, size, original, views }] of result.rows.entries()) {
      assertEquals([label, size], [`0${i}.png`, [32, 32]]);
      assertEquals(original, pictures[i]);
      assertEquals(views, [viewOf(expected[i], mae)]);
    }
    mae.dispose();
  }),
);

Deno.test(
  "reconstructImages() makes every setting of every picture, and larger ratios remove more of the same",
  withPictures(async (folder) => {
    const settings = { ratios: [0.25, 0.75, 0.25], samplings: ["random", "grid"], seeds: [0, 1] } as const;
    const { result: { settings: made, rows } } = await run(folder, huggingFace, { ...settings, count: 2 });
    assertEquals(made.length, 8);
    assertEquals(new Set(made.map((setting) => JSON.stringify(setting))).size, 8);
    assertEquals(rows.map(({ label, views }) => [label, views.length]), [["00.png", 8], ["02.png", 8]]);
    const at = (ratio: number, sampling: string, seed: number) =>
      made.findIndex((one) => one.ratio === ratio && one.sampling === sampling && one.seed === seed);
    for (const { views } of rows) {
      for (const seed of [0, 1]) {
        const [less, more] = [0.25, 0.75].map((ratio) => views[at(ratio, "random", seed)].masked);
        const gray = (picture: Uint8Array) => picture.filter((value) => value === 206).length;
        assert(gray(more) > 2 * gray(less));
        for (let i = 0; i < less.length; i++) if (less[i] === 206) assertEquals(more[i], 206);
      }
      assertNotEquals(views[at(0.75, "random", 0)].masked, views[at(0.75, "random", 1)].masked);
      // A grid keeps one patch of every two by two.
      const grid = views[at(0.75, "grid", 0)].masked;
      for (let y = 0; y < 32; y++) {
        for (let x = 0; x < 32; x++) {
          const isKept = Math.floor(y / 8) % 2 === 0 && Math.floor(x / 8) % 2 === 0;
          if (!isKept) assertEquals(grid[(y * 32 + x) * 3], 206);
        }
      }
    }
  }),
);

Deno.test(
  "reconstructImages() works at other sizes, cropped or stretched",
  withPictures(async (folder) => {
    const imageSize = [24, 48] as const;
    const { result } = await run(folder, huggingFace, { imageSize, count: 1 });
    assertEquals([result.imageSize, result.trainedGrid, result.rows[0].size], [[24, 48], [4, 4], [24, 48]]);
    assertEquals(result.rows[0].views[0].pasted.length, 24 * 48 * 3);
    const { result: stretched } = await run(folder, huggingFace, { imageSize, fit: "stretch", count: 1 });
    assertNotEquals(stretched.rows[0].original, result.rows[0].original);
    const facts = new Map(reconstructionFacts(stretched));
    assertEquals(facts.get("Pictures"), "1 of 5, stretched to 24 x 48 pixels (height x width)");
    assertEquals(facts.get("Patches"), "3 x 6 of 8 x 8 pixels; positions resampled from 4 x 4 patches");
  }),
);

Deno.test(
  "reconstructImages() says what the predictions were taken for, and who says so",
  withPictures(async (folder) => {
    const options = { count: 1, ratios: [0.75] };
    const hf = await run(folder, huggingFace, options);
    assertEquals(hf.result.target, { normalized: false, saidBy: "checkpoint" });
    assertEquals(
      reconstructionText(hf.result, "a/b").footer,
      "The model predicts pixels: nothing is denormalised.",
    );

    const silent = `${folder}/silent.safetensors`;
    await writeSilent(silent);
    const assumed = await run(folder, silent, options);
    assertEquals(assumed.result.target, { normalized: false, saidBy: "assumed" });
    assert(assumed.said.some((message) => message.includes("taken for pixels, which --target changes")));
    assertStringIncludes(reconstructionText(assumed.result, "").footer ?? "", "it is taken for one");
    assertEquals(assumed.result.rows, hf.result.rows); // the same tensors from another kind of file

    const told = await run(folder, silent, { ...options, normalizedTarget: true });
    assertEquals(told.result.target, { normalized: true, saidBy: "caller" });
    assertEquals(told.said.some((message) => message.includes("--target")), false);
    const { title, footer } = reconstructionText(told.result, "a/b/");
    assertEquals(title, "b");
    const ofStep = reconstructionText(told.result, "runs/mine/checkpoints/step-00000012");
    assertEquals(ofStep.title, "mine, step-00000012");
    assertStringIncludes(footer ?? "", "denormalised with the true mean and deviation of its patch");
    const against = await run(folder, huggingFace, { ...options, normalizedTarget: true });
    assert(
      against.said.some((message) =>
        message.includes("predicts pixels: as you ask, it is taken for normalised")
      ),
    );
    assertEquals(hf.said.some((message) => message.includes("as you ask")), false);
    assertNotEquals(told.result.rows[0].views[0].reconstruction, hf.result.rows[0].views[0].reconstruction);
  }),
);

Deno.test(
  "reconstructImages() takes target, ratio and statistics from a run's own checkpoint",
  withPictures(async (folder) => {
    const checkpoint = `${folder}/run/checkpoints/step-00000007`;
    await writeTinyCheckpoint(checkpoint);
    await say(checkpoint, (config) => {
      config.target = { normalize: true };
      config.mask = { ratio: 0.5, sampling: "block" };
      Object.assign(config.model as object, { decoder: { width: 4, depth: 1, heads: 1, mlp_ratio: 2 } });
    });
    const { result, said } = await run(folder, `${folder}/run`);
    assertEquals(result.settings, [{ ratio: 0.5, sampling: "random", seed: 0 }]);
    assertEquals(result.target, { normalized: true, saidBy: "checkpoint" });
    assertEquals([result.imageSize, result.patchSize], [[12, 12], [4, 4]]);
    assertStringIncludes(said[0], "after 7 steps of pre-training");
    // The checkpoint's own mean and deviation, 0.5 and 0.25: others give other pictures.
    await say(checkpoint, (config) => config.data = { mean: [0, 0, 0], std: [1, 1, 1] });
    const { result: other } = await run(folder, `${folder}/run`);
    assertNotEquals(other.rows[0].views, result.rows[0].views);
  }),
);

Deno.test(
  "reconstructImages() passes over broken pictures and tells equal names apart",
  withPictures(async (folder) => {
    await Deno.writeTextFile(`${folder}/images/02.png`, "no picture");
    await Deno.mkdir(`${folder}/images/more`);
    await Deno.copyFile(`${folder}/images/01.png`, `${folder}/images/more/01.png`);
    const { result, said } = await run(folder, huggingFace, { ratios: [0.75] });
    const path = (name: string) => `${folder}/images/${name}`;
    assertEquals(result.rows.map(({ label }) => label), [
      "00.png",
      "01.png",
      "03.png",
      "04.png",
      "more/01.png",
    ]);
    assertEquals(result.broken.map(({ path }) => path), [path("02.png")]);
    assert(said.some((message) => message.startsWith(`Skipping ${path("02.png")}: `)));
    for await (const { name, isFile } of Deno.readDir(`${folder}/images`)) {
      if (isFile) await Deno.writeTextFile(path(name), "no picture");
    }
    await Deno.remove(`${folder}/images/more`, { recursive: true });
    await assertRejects(() => run(folder, huggingFace), RunError, "None of 5 images can be read");
  }),
);

Deno.test(
  "reconstructImages() refuses what cannot work with one sentence, before it opens anything",
  withPictures(async (folder) => {
    const cases: [from: string, options: ReconstructImagesOptions, words: string][] = [
      [fixturePath("mae_a_init_encoder_only.pth"), {}, "has no decoder: give a checkpoint of mae pretrain"],
      [huggingFace, { ratios: [1] }, "A mask ratio must be above 0 and below 1, not 1"],
      [huggingFace, { ratios: [0.5, 0] }, "above 0 and below 1, not 0"],
      [huggingFace, { ratios: [NaN] }, "not NaN"],
      [huggingFace, { ratios: [0.95] }, "0.95 keeps none of 16 patches; the largest that does is 0.9375"],
      [
        huggingFace,
        { imageSize: [36, 44] },
        "36x44 pixels are no whole number of patches of 8x8; the nearest size is 40x48",
      ],
      [
        huggingFace,
        { imageSize: [8192, 8192] },
        "5 images of 8192x8192 pixels, masked in 1 way, are too many for one figure",
      ],
      [`${folder}/nowhere`, {}, "nowhere"],
    ];
    for (const [from, options, words] of cases) {
      const { message } = await assertRejects(() => run(folder, from, options), InputError);
      assertStringIncludes(message, words);
      assertEquals(message.includes("\n"), false);
    }
    // The largest ratio that is named does work.
    await run(folder, huggingFace, { ratios: [0.9375], count: 1 });
  }),
);
