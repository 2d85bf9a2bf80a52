import { BrokenImageError } from "../../src/images/image.ts";
import { readImage } from "../../src/sources/read_image.ts";
import { renderItem } from "../../src/data/render.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
import { inFolder, maeAugment, writeImages } from "./support.ts";

const settings = { imageSize: [6, 8], channels: 3, exif: "ignore", augment: maeAugment, seed: 3 } as const;

Deno.test("renderItem() fills its slot and leaves the others alone", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 1);
    const batch = new Uint8Array(3 * 144);
    assertEquals(
      await renderItem(settings, 0, {
        slot: 1,
        position: 5,
        location: { kind: "file", path: `${folder}/000.png` },
      }, batch),
      undefined,
    );
    assert(batch.subarray(144, 288).some((value) => value !== 0));
    assert([...batch.subarray(0, 144), ...batch.subarray(288)].every((value) => value === 0));
  });
});

Deno.test("renderItem() reports broken files with their slot", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/gone.png`;
    const failure = await renderItem(
      settings,
      0,
      { slot: 2, position: 0, location: { kind: "file", path } },
      new Uint8Array(432),
    );
    assertEquals(failure, { slot: 2, reason: "the file has vanished" });
  });
});

Deno.test("renderItem() decodes no image of more pixels than it may", async () => {
  await inFolder(async (folder) => {
    await writeImages(folder, 1);
    const item = { slot: 0, position: 0, location: { kind: "file", path: `${folder}/000.png` } } as const;
    const of = (maxPixels: number) => renderItem({ ...settings, maxPixels }, 0, item, new Uint8Array(144));
    const { height, width } = await readImage(`${folder}/000.png`, settings);
    assertEquals(await of(height * width), undefined);
    const reason = `declares ${width}x${height} pixels, more than the limit of ${
      height * width - 1
    } (data.max_pixels)`;
    assertEquals(await of(height * width - 1), { slot: 0, reason });
  });
});

Deno.test("readImage() refuses what cannot be read as a file", async () => {
  await inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/folder.png`);
    await assertRejects(
      () => readImage(`${folder}/folder.png`, settings),
      BrokenImageError,
      "cannot be read",
    );
    await Deno.writeFile(`${folder}/huge.jpg`, new Uint8Array(1));
    await Deno.truncate(`${folder}/huge.jpg`, 2 ** 30 + 1); // sparse: takes no room
    await assertRejects(
      () => readImage(`${folder}/huge.jpg`, settings),
      BrokenImageError,
      "more than any image needs",
    );
    await Deno.symlink("loop.png", `${folder}/loop.png`);
    await assertRejects(() => readImage(`${folder}/loop.png`, settings), BrokenImageError, "cannot be read");
  });
});
