import { openLoader } from "../../src/data/loader.ts";
import { listImages } from "../../src/sources/image_folder.ts";
import { InputError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
import { runDeno } from "../support/deno.ts";
import { imageBytes, inFolder, maeAugment } from "../data/support.ts";

Deno.test("data.decoder native is refused without --allow-ffi, before anything is decoded", async () => {
  await inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/a.jpg`, await imageBytes("restart.jpg"));
    const source = await listImages(folder);
    await assertRejects(
      () =>
        openLoader({
          ...{
            source,
            workers: 0,
            imageSize: [8, 8],
            channels: 3,
            exif: "apply",
            seed: 1,
            augment: maeAugment,
          },
          ...{ batchSize: 1, accumulate: 1, repeat: 1, decoder: "native" },
        }),
      InputError,
      "--allow-ffi",
    );
  });
});

Deno.test("with it libturbojpeg gives the same bits, and what it refuses is decoded or refused as without it", async () => {
  const images = new URL("../../src/images/", import.meta.url),
    fixtures = new URL("../fixtures/images/", import.meta.url);
  const program = `
    import { decodeImage } from "${images}decode.ts";
    import { checkDecoder } from "${images}native_jpeg.ts";
    try { checkDecoder("native"); } catch (error) { console.log("missing", error.message); Deno.exit(); }
    const outcome = async (bytes, decoder) => {
      try { return (await decodeImage(bytes, { channels: 3, exif: "apply", decoder })).data.join(); }
      catch (error) { return error.name + ": " + error.message; }
    };
    let same = 0;
    for (const name of ["photo_150x100_q90_420.jpg", "photo_150x100_q95_444.jpg", "gray.jpg", "restart.jpg", "rgb.jpg",
      "progressive.jpg", "cmyk.jpg", "exif_6.jpg", "arithmetic.jpg"]) {
      const bytes = await Deno.readFile(new URL(name, "${fixtures}"));
      const damaged = bytes.slice().fill(0, bytes.length >> 1, (bytes.length >> 1) + 400);
      for (const file of [bytes, damaged, bytes.subarray(0, -9)]) {
        if (await outcome(file, "native") === await outcome(file, "sandboxed")) same++;
        else console.log("differs", name);
      }
    }
    console.log("same", same);`;
  const { stdout, stderr } = await runDeno(["eval", "--no-lock", "--ext=ts", program]);
  if (stdout.startsWith("missing")) assert(/libturbojpeg/.test(stdout), stdout); // this system has none
  else assertEquals(stdout.trim(), "same 27", stderr);
});
