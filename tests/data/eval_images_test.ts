import { transformForEvaluation } from "../../src/augment/augment.ts";
import { loadEvalImages, spread } from "../../src/data/eval_images.ts";
import { readImage } from "../../src/sources/read_image.ts";
import { encodePng } from "../../src/formats/png.ts";
import { RunError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
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
    assertEquals(Uint8Array.from(images.pixels.slice(2 * 420)), third);
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

Deno.test("loadEvalImages() keeps an image's proportions or squeezes the whole of it in", () =>
  inFolder(async (folder) => {
    // Left third black, middle gray, right white: 4 rows of 12.
    const data = Uint8Array.from({ length: 4 * 12 }, (_, i) => [0, 128, 255][Math.floor(i % 12 / 4)]);
    await Deno.writeFile(`${folder}/a.png`, encodePng({ data, height: 4, width: 12, channels: 1 }));
    const options = { imageSize: [4, 4], channels: 1, exif: "apply" } as const;
    const cropped = await loadEvalImages([`${folder}/a.png`], options);
    assertEquals([...cropped.pixels], Array<number>(16).fill(128));
    const { pixels } = await loadEvalImages([`${folder}/a.png`], { ...options, fit: "stretch" });
    for (let row = 0; row < 4; row++) {
      const [left, , , right] = pixels.subarray(4 * row, 4 * row + 4);
      assert(left < 30 && right > 225, `${pixels}`);
    }
  }));

Deno.test("spread() takes places from all over", () => {
  assertEquals(spread(10, 4), [0, 2, 5, 7]);
  assertEquals(spread(3, 8), [0, 1, 2]);
  assertEquals(spread(2, Infinity), [0, 1]);
  assertEquals(spread(0, 5), []);
});
