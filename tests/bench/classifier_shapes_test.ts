import { benchConfigs } from "../../src/bench/configurations.ts";
import { classifierUses } from "../../src/bench/classifier_shapes.ts";
import { describe, stepOperations } from "../../src/bench/work.ts";
import { assert, assertEquals } from "../deps.ts";

Deno.test("the operations of fine-tuning and features are those of the formula for transformers", async () => {
  for (const config of await benchConfigs("tiny,mini,vit_base,vit_large")) {
    const { batch, model: { imageSize: [side], patchSize: [patch], encoder: { width, depth } } } = config;
    const length = (side / patch) ** 2;
    const tokens = 1 + length;
    // Per token and block 24 D² + 4 T D forward; products cost twice as much again on the way back, attention 2.5 times.
    const products = depth * tokens * 24 * width ** 2;
    const attention = depth * tokens * 4 * tokens * width;
    const embed = 2 * length * 3 * patch ** 2 * width;
    const head = 2 * width * 1000;
    const lastMlp = 16 * length * width ** 2; // the features' is the class token's alone
    const expected = {
      finetune: batch * (3 * products + 3.5 * attention + 2 * embed + 3 * head), // no gradient of the patches
      features: batch * (products + attention + embed - lastMlp),
    };
    for (const work of ["finetune", "features"] as const) {
      assert(Math.abs(stepOperations(config, work) / expected[work] - 1) < 1e-12, `${config.name} ${work}`);
    }
    assertEquals(
      stepOperations({ ...config, remat: true }, "finetune"),
      stepOperations(config, "finetune"),
    );
  }
});

Deno.test("features need no kernel of the way back, and no head", async () => {
  const [tiny] = await benchConfigs("tiny");
  const found = classifierUses(tiny, "features").map(({ shape, count }) => {
    const { name, sizes } = describe(shape);
    return `${count} of ${name}: ${sizes}`;
  });
  assertEquals(found, [
    "1 of product NT, bias: 4096 x 48 x 192",
    "11 of layer norm forward: 4160 x 192",
    "6 of product NT, bias: 4160 x 192 x 576",
    "6 of attention forward: 64 x 3 x 65 x 64",
    "6 of product NT, bias, residual: 4160 x 192 x 192",
    "5 of product NT, bias, gelu: 4160 x 192 x 768",
    "5 of product NT, bias, residual: 4160 x 768 x 192",
    "2 of layer norm forward: 64 x 192",
    "1 of product NT, bias, gelu: 64 x 192 x 768",
    "1 of product NT, bias, residual: 64 x 768 x 192",
  ]);
});
