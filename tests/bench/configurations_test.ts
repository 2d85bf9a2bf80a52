import { benchConfigs, configurationNames, usualConfigurations } from "../../src/bench/configurations.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertRejects } from "../deps.ts";
import { inFolder } from "../support/folder.ts";

Deno.test("the named configurations are those of docs/performance.md", async () => {
  const configs = await benchConfigs(configurationNames.join(","));
  const stack = ({ width, depth, heads }: typeof configs[0]["model"]["encoder"]) => [width, depth, heads];
  assertEquals(
    configs.map(({ name, model, batch, maskRatio, normalizeTarget }) => [
      name,
      model.imageSize[0],
      model.patchSize[0],
      stack(model.encoder),
      stack(model.decoder),
      batch,
      maskRatio,
      normalizeTarget,
    ]),
    [
      ["tiny", 32, 4, [192, 6, 3], [96, 2, 3], 64, 0.75, true],
      ["mini", 224, 16, [192, 12, 3], [128, 4, 4], 32, 0.75, true],
      ["vit_base", 224, 16, [768, 12, 12], [512, 8, 16], 8, 0.75, true],
      ["vit_large", 224, 16, [1024, 24, 16], [512, 8, 16], 4, 0.75, true],
      ["vit_huge", 224, 14, [1280, 32, 16], [512, 8, 16], 1, 0.75, true],
    ],
  );
  assertEquals(usualConfigurations, ["tiny", "mini", "vit_base", "vit_large"]);
});

Deno.test("a configuration may be a YAML file or one that comes with the program, each once", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(
      `${folder}/mine.yaml`,
      "model: {image_size: [64, 32], patch_size: 8, channels: 1}\noptim: {batch_size: 5}\n" +
        "run: {precision: f16, remat: true}\n",
    );
    const configs = await benchConfigs(`tiny, ${folder}/mine.yaml,demo,tiny`);
    assertEquals(configs.map(({ name }) => name), ["tiny", "mine", "demo"]);
    const { model, batch, mean, precision, remat } = configs[1];
    assertEquals([model.imageSize, batch, mean.length, precision, remat], [[64, 32], 5, 1, "f16", true]);
  }));

Deno.test("two configurations of one name are refused: their results could not be told apart", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/tiny.yaml`, "optim: {batch_size: 5}\n");
    await assertRejects(
      () => benchConfigs(`tiny,${folder}/tiny.yaml`),
      InputError,
      "two configurations named tiny",
    );
  }));
