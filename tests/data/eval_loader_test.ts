import type { PixelValues } from "../../src/config/types.ts";
import { officialCropShare, transformForEvaluation } from "../../src/augment/augment.ts";
import { type EvalLoaderOptions, evaluationBatches } from "../../src/data/eval_loader.ts";
import type { BrokenFile } from "../../src/data/broken_samples.ts";
import { readImage } from "../../src/sources/read_image.ts";
import { listImages } from "../../src/sources/image_folder.ts";
import { RunError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
import { inFolder, writeImages } from "./support.ts";

async function optionsFor(
  folder: string,
  changes: Partial<EvalLoaderOptions> = {},
): Promise<EvalLoaderOptions> {
  return {
    source: await listImages(folder),
    imageSize: [12, 12],
    channels: 3,
    exif: "ignore",
    batchSize: 4,
    cropShare: officialCropShare([12, 12]),
    workers: 0,
    ...changes,
  };
}

/** All batches, copied out of their memory. */
async function all(options: EvalLoaderOptions): Promise<{ pixels: PixelValues; indices: number[] }[]> {
  const batches = [];
  for await (const { pixels, indices } of evaluationBatches(options)) {
    batches.push({ pixels: pixels.slice(), indices: [...indices] });
  }
  return batches;
}

Deno.test("evaluationBatches() gives every image once, in order, with any number of workers", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 14);
    const options = await optionsFor(folder);
    const reference = await all(options);
    assertEquals(reference.map(({ indices }) => indices), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [
      12,
      13,
    ]]);
    for (const { pixels, indices } of reference) {
      assertEquals(pixels.length, indices.length * 432);
      for (const [slot, sample] of indices.entries()) {
        const image = await readImage(options.source.path(sample), options);
        const expected = transformForEvaluation(image, [12, 12], 224 / 256);
        assertEquals(pixels.subarray(slot * 432, (slot + 1) * 432), expected);
      }
    }
    for (const workers of [1, 2]) {
      assertEquals(await all({ ...options, workers }), reference, `${workers} workers`);
    }
  });
});

Deno.test("evaluationBatches() leaves broken files out, reports them, and passes over empty batches", async () => {
  for (const workers of [0, 2]) {
    await inFolder(async (folder) => {
      await writeImages(folder, 10);
      const whole = await all(await optionsFor(folder));
      for (const name of ["001", "004", "005", "006", "007"]) {
        await Deno.writeTextFile(`${folder}/${name}.png`, "not an image");
      }
      const broken: BrokenFile[] = [];
      const options = await optionsFor(folder, { workers, onBroken: (file) => broken.push(file) });
      const batches = await all(options);
      assertEquals(batches.map(({ indices }) => indices), [[0, 2, 3], [8, 9]]);
      const first = whole[0].pixels;
      assertEquals(batches[0].pixels, Uint8Array.of(...first.subarray(0, 432), ...first.subarray(864)));
      assertEquals(batches[1].pixels, whole[2].pixels);
      assertEquals(broken.map(({ path }) => path.slice(-7, -4)), ["001", "004", "005", "006", "007"]);
    });
  }
});

Deno.test("evaluationBatches() ends its workers when the loop ends early, and throws when they crash", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 9);
    for await (const { indices } of evaluationBatches(await optionsFor(folder, { workers: 2 }))) {
      assertEquals(indices.length, 4);
      break; // a worker left running would keep the test from ending
    }
    const faulty = "data:application/javascript,self.onmessage = () => { throw new Error('bang'); }";
    const error = await assertRejects(
      async () => await all(await optionsFor(folder, { workers: 1, workerUrl: faulty })),
      RunError,
    );
    assert(error.message.includes("bang"), error.message);
  });
});
