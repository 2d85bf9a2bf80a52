import { bottleneckOf, runDataBench } from "../../src/bench/data_path.ts";
import { makePhotographs } from "../../src/bench/photographs.ts";
import { InputError, RunError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
import { inFolder } from "../support/folder.ts";

const quick = { seconds: 0.001, peers: false, version: "0", images: 3, bytes: 2 ** 17, workers: [1] };

Deno.test("bottleneckOf() names the tightest stage, or what lies between them", () => {
  const perWorker = { reading: 4000, crop: 600 };
  const of = (workers: number, imagesPerSecond: number, rates = perWorker, cores = 8) =>
    bottleneckOf({ workers, imagesPerSecond }, rates, cores);
  assertEquals(of(2, 1080), { stage: "workers", allows: 1200, reached: 0.9 });
  assertEquals(of(2, 90, { reading: 50, crop: 600 }), { stage: "reading", allows: 100, reached: 0.9 });
  assertEquals(of(2, 300), { stage: "handing over", allows: 1200, reached: 0.25 });
  assertEquals(of(16, 1200, perWorker, 2).allows, 1200); // no more than there are cores
});

Deno.test("runDataBench() measures made photographs, or a data set; broken files are passed over", async () => {
  const steps: string[] = [];
  const made = await runDataBench(quick, (what) => steps.push(what));
  assertEquals(steps, ["reading", "shards", "decoding and resizing", "the loader with 1 worker"]);
  assertEquals(made.data.images, 3);
  assertEquals(made.loader.map(({ workers }) => workers), [1]);
  assert(made.loader[0].imagesPerSecond > 0);
  assertEquals([made.pillow, made.shards.notes], [null, []]);
  assertEquals(made.shards.rates.every(({ by }) => by === "ours"), true);
  assertEquals(made.reading.images, 3);
  assert(made.reading.imagesPerSecond > 0 && made.reading.fastest >= made.reading.bytesPerSecond);

  await inFolder(async (folder) => {
    const [photograph] = makePhotographs(1, 40, 60);
    await Deno.writeFile(`${folder}/b.jpg`, photograph);
    await Deno.writeFile(`${folder}/a.jpg`, photograph.subarray(0, 100));
    const given = await runDataBench({ ...quick, source: folder });
    assertEquals(given.data, { name: folder, images: 1, fileBytes: photograph.length });
    await Deno.remove(`${folder}/b.jpg`);
    await assertRejects(() => runDataBench({ ...quick, source: folder }), RunError, "None of 1 images");
    await assertRejects(
      () => runDataBench({ ...quick, source: `${folder}/none` }),
      InputError,
      "There is no folder",
    );
  });
});
