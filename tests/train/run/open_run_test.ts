import { assertEquals, assertStringIncludes } from "../../deps.ts";
import { tinyConfig, train, withImages } from "../support.ts";

Deno.test(
  "a run warns where a step takes more images than there are, and says what to set",
  withImages(async (folder) => {
    const warning = async (out: string, ...sets: string[]) =>
      (await train(tinyConfig(folder, out, "optim.epochs=1", ...sets), { stopAfter: 0 })).said;
    assertEquals(await warning("a", "optim.accumulate=8"), [
      "A step takes 16 images (optim.batch_size 2 x optim.accumulate 8), and there are only 12: each is drawn 2 times " +
      "for the one step of an epoch; set optim.accumulate=6 for smaller steps",
    ]);
    const [larger] = await warning("b", "optim.batch_size=13", "optim.accumulate=2");
    assertStringIncludes(larger, "each is drawn 3 times");
    assertStringIncludes(larger, "set optim.batch_size=12 and optim.accumulate=1 for");
    assertEquals(await warning("c", "optim.accumulate=6"), []);
    assertEquals(await warning("d", "optim.accumulate=8", "data.repeat=2"), []);
    const resumed = tinyConfig(folder, "a", "optim.epochs=1", "optim.accumulate=8");
    assertEquals((await train(resumed, { resume: true, stopAfter: 0 })).said, []);
  }),
);
