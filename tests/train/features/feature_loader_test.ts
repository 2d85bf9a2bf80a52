import { openLoader } from "../../../src/data/loader.ts";
import { listImages } from "../../../src/sources/image_folder.ts";
import { FeatureLoader } from "../../../src/train/features/feature_loader.ts";
import { InputError, RunError } from "../../../src/util/errors.ts";
import { assertEquals, assertRejects, assertThrows } from "../../deps.ts";
import { inFolder } from "../../support/folder.ts";
import { writeImages } from "../support.ts";

Deno.test("FeatureLoader draws the images that the loader of images draws", () =>
  inFolder(async (folder) => {
    await writeImages(folder, 7);
    const files = await listImages(folder);
    const shuffle = { buffer: 3, shards: 2 };
    const shards = [3, 0, 4].map((samples, i) => ({ name: `${i}.tar`, samples }));
    for (
      const [source, repeat] of [[files, 1], [files, 3], [files, "auto"], [{ ...files, shards }, 3]] as const
    ) {
      const order = { batchSize: 2, accumulate: 2, repeat, seed: 5, startStep: 1 };
      const images = await openLoader({
        ...order,
        source,
        shuffle,
        imageSize: [8, 8],
        channels: 3,
        exif: "ignore",
        augment: { cropShare: 1 },
        workers: 0,
      });
      const features = new FeatureLoader({ ...order, source, shuffle });
      assertEquals(
        [features.samples, features.repeat, features.stepsPerEpoch],
        [images.samples, images.repeat, images.stepsPerEpoch],
      );
      for (let i = 0; i < 12; i++) {
        const { pixels: _, ...expected } = await images.next();
        const { pixels, ...batch } = await features.next();
        assertEquals([batch, pixels.length], [expected, 0]);
      }
      await images.close();
      await features.close();
      await assertRejects(() => features.next(), RunError, "closed");
    }
    const few = {
      source: { length: 3 },
      shuffle,
      batchSize: 4,
      accumulate: 1,
      repeat: 1,
      seed: 0,
      startStep: 0,
    };
    assertThrows(() => new FeatureLoader(few), InputError, "One step takes 4 images");
  }));
