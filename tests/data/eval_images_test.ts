import { transformForEvaluation } from "../../src/data/augment.ts";
import { loadEvalImages } from "../../src/data/eval_images.ts";
import { readImage } from "../../src/data/render.ts";
import { RunError } from "../../src/util/errors.ts";
import { assertEquals, assertRejects } from "../deps.ts";
import { inFolder, writeImages } from "./support.ts";

const settings = { imageSize: [10, 14], channels: 3, exif: "ignore" } as const;

Deno.test("loadEvalImages() takes the first readable images in their order", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 5);
    await Deno.writeTextFile(`${folder}/001.png`, "no image");
    const paths = [0, 1, 2, 3, 4].map((i) => `${folder}/00${i}.png`);
    const images = await loadEvalImages(paths, { ...settings, count: 3 });
    assertEquals(images.paths, [paths[0], paths[2], paths[3]]);
    assertEquals(images.broken.map(({ path }) => path), [paths[1]]);
    const third = transformForEvaluation(await readImage(paths[3], settings), [10, 14]);
    assertEquals(images.pixels.slice(2 * 420), third);
    assertEquals((await loadEvalImages(paths, settings)).paths.length, 4);
    assertEquals((await loadEvalImages(paths, { ...settings, count: 0 })).pixels.length, 0);
  });
});

Deno.test("loadEvalImages() throws when no image is readable", async () => {
  await inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/a.png`, new Uint8Array(0));
    const paths = [`${folder}/a.png`, `${folder}/gone.png`];
    await assertRejects(() => loadEvalImages(paths, settings), RunError, "None of 2 images can be read");
  });
});
