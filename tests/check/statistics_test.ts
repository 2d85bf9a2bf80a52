import { listImages } from "../../src/sources/image_folder.ts";
import { measureImages } from "../../src/check/statistics.ts";
import { encodePng } from "../../src/formats/png.ts";
import { RunError } from "../../src/util/errors.ts";
import { Random } from "../../src/util/random.ts";
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "../deps.ts";
import { encodeTiff } from "../support/tiff.ts";
import { inFolder, noise } from "../data/support.ts";

/** Mean and population deviation of every `step`-th value from `first`, by the definition. */
function momentsOf(values: readonly number[]): [mean: number, std: number] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return [mean, Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length)];
}

Deno.test("measureImages() gives mean and deviation of all pixels, the same bits with any number of workers", () =>
  inFolder(async (folder) => {
    const channels: number[][] = [[], [], []];
    for (let i = 0; i < 70; i++) { // more than two tasks
      const image = noise(3 + i % 5, 4 + i % 3, 3, i + 1);
      image.data.forEach((value, at) => channels[at % 3].push(value / 255));
      await Deno.writeFile(`${folder}/${String(i).padStart(2, "0")}.png`, encodePng(image));
    }
    await Deno.writeTextFile(`${folder}/31b.png`, "no image");
    const source = await listImages(folder);
    const broken: string[] = [], shares: number[] = [];
    const all = await measureImages(source, {
      workers: 0,
      onBroken: ({ path }) => broken.push(path),
      onProgress: (share) => shares.push(share),
    });
    assertEquals([all.images, all.broken, broken], [70, 1, [`${folder}/31b.png`]]);
    for (const [c, values] of channels.entries()) {
      const [mean, std] = momentsOf(values);
      assertAlmostEquals(all.mean[c], mean, 1e-14);
      assertAlmostEquals(all.std[c], std, 1e-14);
      assertEquals([all.least[c], all.largest[c]], [Math.min(...values), Math.max(...values)]);
    }
    assertEquals(shares.at(-1), 1);
    assertEquals(all.depths, [[8, 70]]);
    assertEquals(all.sizes.reduce((sum, [, count]) => sum + count, 0), 70);
    assert(all.sizes.every(([, count], i) => i === 0 || count <= all.sizes[i - 1][1]));
    assertEquals(await measureImages(source, { workers: 2 }), all);
    assertEquals((await measureImages(source, { workers: 0, sample: 7 })).images, 7);
  }));

Deno.test("measureImages() keeps depth, chooses bands, and counts in the unit of the range", () =>
  inFolder(async (folder) => {
    const random = new Random(3);
    const values = Uint16Array.from({ length: 6 * 7 * 4 }, (_, i) => 1000 * (i % 4) + random.integer(500));
    await Deno.writeFile(`${folder}/a.tif`, encodeTiff(values, 6, 7, 4));
    const source = await listImages(folder);
    const band = (number: number) => Array.from(values).filter((_, i) => i % 4 === number - 1);
    const whole = await measureImages(source, { workers: 0 });
    assertEquals([whole.mean.length, whole.depths], [4, [[16, 1]]]);
    assertAlmostEquals(whole.mean[3], momentsOf(band(4))[0] / 65535, 1e-15);
    const some = await measureImages(source, { workers: 0, bands: [3, 1], range: [500, 2500] });
    for (const [c, number] of [3, 1].entries()) {
      const [mean, std] = momentsOf(band(number).map((value) => (value - 500) / 2000));
      assertAlmostEquals(some.mean[c], mean, 1e-14);
      assertAlmostEquals(some.std[c], std, 1e-14);
    }
    await assertRejects(
      () => measureImages(source, { workers: 0, bands: [5] }),
      RunError,
      "None of the 1 images",
    );
  }));

Deno.test("measureImages() adds a large constant part without losing the deviation", () =>
  inFolder(async (folder) => {
    for (let i = 0; i < 3; i++) {
      const values = Float32Array.from({ length: 64 }, (_, at) => 1e6 + at % 2);
      await Deno.writeFile(`${folder}/${i}.tif`, encodeTiff(values, 8, 8, 1));
    }
    const { mean, std } = await measureImages(await listImages(folder), { workers: 0, channels: 1 });
    assertEquals([mean, std], [[1e6 + 0.5], [0.5]]);
  }));
