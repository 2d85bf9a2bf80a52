import { openSource } from "../../src/sources/open_source.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertRejects } from "../deps.ts";
import { fixturePath } from "../support/fixtures.ts";
import { inFolder, writeImages } from "../data/support.ts";

const images = (channels: number) => ({ imageSize: [8, 8], channels, exif: "apply" } as const);

Deno.test("data sets with other channels than the model takes are refused in one sentence", () =>
  inFolder(async (folder) => {
    for (const name of ["photos", "bands"]) await Deno.mkdir(`${folder}/${name}`);
    await writeImages(`${folder}/photos`, 4);
    for (const name of ["a", "b", "c"]) {
      await Deno.copyFile(fixturePath("formats/thirteen16_planar.tif"), `${folder}/bands/${name}.tif`);
    }
    const both = ["photos", "bands"].map((name) => ({ source: `${folder}/${name}`, weight: null }));
    const error = await assertRejects(() => openSource(both, { images: images(3) }), InputError);
    assertEquals(
      error.message.replaceAll(folder, "F"),
      "F/bands/a.tif has 13 bands, and the model takes 3; data.bands chooses among them: data sets that are used together " +
        "must all have the channels that the model takes (model.channels, data.bands)",
    );
    await assertRejects(
      () => openSource(both, { images: images(13) }),
      InputError,
      "F/photos".replace("F", folder),
    );
    // One odd image among others, or a broken one, says nothing of a data set.
    await Deno.rename(`${folder}/bands/a.tif`, `${folder}/photos/0.tif`);
    await Deno.writeTextFile(`${folder}/photos/00.png`, "");
    const photos = [both[0], { source: `${folder}/photos/001.png`, weight: null }];
    assertEquals((await openSource(photos, { images: images(3) })).length, 7);
    assertEquals((await openSource(`${folder}/bands`, { images: images(3) })).length, 2); // of one the policy decides
  }));
