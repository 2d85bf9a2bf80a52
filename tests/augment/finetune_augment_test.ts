import { officialRandAugment } from "../../src/config/finetune_types.ts";
import { augmentForTraining } from "../../src/augment/augment.ts";
import { jitterColors } from "../../src/augment/color_jitter.ts";
import { augmentForFinetuning, type FinetuneAugment } from "../../src/augment/finetune_augment.ts";
import { fillColor, randAugment } from "../../src/augment/rand_augment.ts";
import { openLoader } from "../../src/data/loader.ts";
import { listImages } from "../../src/sources/image_folder.ts";
import { Random } from "../../src/util/random.ts";
import { assertEquals, assertNotEquals } from "../deps.ts";
import { drawAndAugment, inFolder, maeAugment, noise, writeImages } from "../data/support.ts";

const mean = [0.485, 0.456, 0.406];
const plain: FinetuneAugment = { ...maeAugment, randAugment: null, colorJitter: null, mean };
const colorJitter = { brightness: 0.4, contrast: 0.4, saturation: 0.4 };

Deno.test("augmentForFinetuning() crops, flips, and goes on with the same stream", () => {
  const image = noise(40, 50, 3);
  for (let seed = 0; seed < 8; seed++) {
    const stream = new Random(seed);
    const data = drawAndAugment(augmentForTraining, image, [16, 24], maeAugment, stream);
    const cropped = { data, height: 16, width: 24, channels: 3 };
    const expected = randAugment(cropped, officialRandAugment, fillColor(mean), stream).data;
    const both = { ...plain, randAugment: officialRandAugment, colorJitter };
    const out = new Uint8Array(16 * 24 * 3);
    assertEquals(
      drawAndAugment(augmentForFinetuning, image, [16, 24], both, new Random(seed), out),
      expected,
    );
    assertEquals(out, expected);
  }
});

Deno.test("augmentForFinetuning() jitters colours where there is no RandAugment, and can do neither", () => {
  const image = noise(30, 30, 3);
  const stream = new Random(4);
  const data = drawAndAugment(augmentForTraining, image, [16, 16], maeAugment, stream);
  const cropped = { data, height: 16, width: 16, channels: 3 };
  assertEquals(drawAndAugment(augmentForFinetuning, image, [16, 16], plain, new Random(4)), data);
  assertEquals(
    drawAndAugment(augmentForFinetuning, image, [16, 16], { ...plain, colorJitter }, new Random(4)),
    jitterColors(cropped, colorJitter, stream).data,
  );
});

Deno.test("openLoader() augments for fine-tuning, alike with any number of workers", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 9);
    const source = await listImages(folder);
    const batches = async (workers: number, augment: FinetuneAugment) => {
      const loader = await openLoader({
        source,
        imageSize: [16, 12],
        channels: 3,
        augment,
        exif: "ignore",
        batchSize: 8,
        accumulate: 1,
        repeat: 1,
        seed: 5,
        workers,
      });
      try {
        return [(await loader.next()).pixels.slice(), (await loader.next()).pixels.slice()];
      } finally {
        await loader.close();
      }
    };
    const augment = { ...plain, randAugment: officialRandAugment };
    const reference = await batches(0, augment);
    assertNotEquals(reference, await batches(0, plain));
    for (const workers of [1, 2]) {
      assertEquals(await batches(workers, augment), reference, `${workers} workers`);
    }
  });
});
