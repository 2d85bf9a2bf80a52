/** The data path bundled into two files, in another folder, without sources and without a cache of packages. */
import { assert, assertEquals } from "../deps.ts";
import { formatBytes, imageBytes, inFolder, maeAugment } from "./support.ts";

async function run(args: string[], env: Record<string, string> = {}): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, env }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert(success, `deno ${args.join(" ")}: ${err}`);
  return out;
}

Deno.test("a bundled loader finds its worker and its decoders beside it", async () => {
  await inFolder(async (folder) => {
    const data = new URL("../../src/data/", import.meta.url);
    await Deno.writeTextFile(
      `${folder}/program.ts`,
      `import { openLoader } from "${new URL("loader.ts", data)}";
       import { listImages } from "${new URL("../sources/image_folder.ts", data)}";
       const source = await listImages("${folder}/images");
       for (const workers of [0, 2]) {
         const loader = await openLoader({ source, workers, imageSize: [8, 8], channels: 3, exif: "apply", seed: 1,
           augment: ${JSON.stringify(maeAugment)}, batchSize: 5, accumulate: 1, repeat: 1 });
         const { pixels } = await loader.next();
         console.log(pixels.reduce((sum, value) => sum + value, 0), loader.broken.length);
         await loader.close();
       }`,
    );
    await Deno.mkdir(`${folder}/images`);
    for (const name of ["restart.jpg", "progressive.jpg", "cmyk.jpg", "lossy.webp", "rgb16.png"]) {
      await Deno.writeFile(`${folder}/images/${name}`, await imageBytes(name));
    }
    await Deno.writeFile(`${folder}/images/rgb.avif`, await formatBytes("rgb.avif"));
    await run(["bundle", "--quiet", "--output", `${folder}/bundled/program.js`, `${folder}/program.ts`]);
    await run([
      "bundle",
      "--quiet",
      "--output",
      `${folder}/bundled/worker.js`,
      new URL("worker.ts", data).href,
    ]);
    await Deno.remove(`${folder}/program.ts`);

    const out = await run(
      [
        "run",
        "--no-prompt",
        "--no-config",
        "--cached-only",
        `--allow-read=${folder}`,
        `${folder}/bundled/program.js`,
      ],
      { DENO_DIR: `${folder}/empty-cache` },
    );
    const [inline, inWorkers] = out.trim().split("\n");
    assert(/^[1-9]\d+ 0$/.test(inline), out);
    assertEquals(inWorkers, inline);
  });
});
