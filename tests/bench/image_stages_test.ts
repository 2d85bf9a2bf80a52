import { imageWork, measureImageStages, measurePillow } from "../../src/bench/image_stages.ts";
import { makePhotographs } from "../../src/bench/photographs.ts";
import { decodeJpeg } from "../../src/images/jpeg.ts";
import { readBaseline } from "../../src/images/jpeg_baseline.ts";
import { assert, assertEquals } from "../deps.ts";

Deno.test("photographs are plain JPEGs, the same ones for the same seed, with detail and colour", async () => {
  const [one, two] = makePhotographs(2, 60, 90, 5);
  assertEquals(makePhotographs(1, 60, 90, 5)[0], one);
  assert(one.length !== two.length || one.some((byte, i) => byte !== two[i]));
  assert(readBaseline(one) !== undefined);
  const { data, height, width, channels } = await decodeJpeg(one, 1e6);
  assertEquals([height, width, channels], [60, 90, 3]);
  for (let c = 0; c < 3; c++) {
    const plane = data.filter((_, i) => i % 3 === c);
    const mean = plane.reduce((sum, value) => sum + value, 0) / plane.length;
    const deviation = Math.sqrt(plane.reduce((sum, value) => sum + (value - mean) ** 2, 0) / plane.length);
    assert(deviation > 10 && mean > 40 && mean < 215, `${c}: ${mean} ± ${deviation}`);
  }
});

Deno.test("measureImageStages() times every stage and tells the crops", async () => {
  const work = await imageWork(makePhotographs(2, 48, 64), 16);
  const { rates, files, fileBytes, crops } = await measureImageStages(work, 0.01);
  assertEquals(rates.map(({ by, stage }) => `${by} ${stage}`), [
    "ours decode",
    "ours crop",
    "ours resize",
    "libjpeg decode",
  ]);
  for (const { imagesPerSecond, fastest } of rates) assert(imagesPerSecond > 0 && fastest >= imagesPerSecond);
  assertEquals([files, fileBytes], [2, (work.files[0].length + work.files[1].length) / 2]);
  assertEquals((await measureImageStages(work, 0.01)).crops, crops);
});

Deno.test("measurePillow() says why there is nothing", async () => {
  const work = await imageWork(makePhotographs(1, 32, 32), 8);
  const { rates, sameBits, note } = await measurePillow(work, "", 0.01); // the tests may not run python3
  assertEquals([rates, sameBits], [[], null]);
  assert(/needs leave to run python3/.test(note), note);
});
