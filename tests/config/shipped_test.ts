import { parseSet, parseYamlLayer } from "../../src/config/layers.ts";
import { resolvePretrainConfig } from "../../src/config/pretrain.ts";
import { readConfigLayer, shippedConfig, shippedConfigs } from "../../src/config/shipped.ts";
import type { PretrainConfig } from "../../src/config/types.ts";
import { InputError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "../deps.ts";

function resolved(name: string): PretrainConfig {
  const config = shippedConfig(name);
  assert(config !== undefined, name);
  return resolvePretrainConfig([parseSet("data.train=x"), parseYamlLayer(config.text, config.path)]);
}

Deno.test("every file of configs/pretrain is shipped, and nothing else", async () => {
  const folder = new URL("../../configs/pretrain/", import.meta.url);
  const files: string[] = [];
  for await (const { name } of Deno.readDir(folder)) files.push(`configs/pretrain/${name}`);
  assertEquals(shippedConfigs().map(({ path }) => path).sort(), files.sort());
});

Deno.test("every shipped configuration resolves and says what, whence, at what cost and to what end", () => {
  for (const { path, text } of shippedConfigs()) {
    resolved(path);
    for (const word of ["Trains:", "Source:", "Cost:", "Expect:"]) {
      assertMatch(text, new RegExp(`^# ${word} `, "m"), path);
    }
  }
});

Deno.test("the large configurations are the paper's recipe", () => {
  for (const name of ["vit_base", "vit_large", "vit_huge"]) {
    const { model, mask, target, data, optim } = resolved(name);
    assertEquals(model.encoderName, name);
    assertEquals(model.decoder, { width: 512, depth: 8, heads: 16, mlpRatio: 4 });
    assertEquals([mask.ratio, target.normalize, data.augment.cropScale, data.augment.flip], [0.75, true, [
      0.2,
      1,
    ], true]);
    assertEquals(optim.batchSize * optim.accumulate, 4096);
    assertEquals([optim.epochs, optim.warmupEpochs, optim.blr, optim.weightDecay], [800, 40, 1.5e-4, 0.05]);
    assertEquals(optim.betas, [0.9, 0.95]);
  }
});

Deno.test("the demo trains on the photographs of the project", () => {
  const { data, optim, run } = resolved("demo");
  assertEquals([data.train, run.out], ["examples/photos", "runs/demo"]);
  const peak = optim.lr ?? optim.blr * optim.batchSize * optim.accumulate / 256;
  assert(peak >= 1e-4 && peak <= 1e-2, `peak learning rate ${peak}`);
});

Deno.test("shippedConfig() knows a configuration by its path or its name", () => {
  const path = "configs/pretrain/demo.yaml";
  for (const name of ["demo", "demo.yaml", "pretrain/demo", path, `./${path}`, path.replaceAll("/", "\\")]) {
    assertEquals(shippedConfig(name)?.path, path, name);
  }
  for (const name of ["", "dem", "elsewhere/demo.yaml", `/somewhere/${path}`, "__proto__"]) {
    assertEquals(shippedConfig(name), undefined, name);
  }
});

Deno.test("readConfigLayer() prefers a file on the disk", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/demo.yaml`;
    await Deno.writeTextFile(path, "run: {seed: 5}\n");
    assertEquals(await readConfigLayer(path), { origin: path, values: { run: { seed: 5 } } });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("readConfigLayer() falls back on the embedded text", async () => {
  assertEquals((await readConfigLayer("vit_huge")).origin, "configs/pretrain/vit_huge.yaml");
});

Deno.test("readConfigLayer() names the nearest configuration", async () => {
  const { message } = await assertRejects(
    () => readConfigLayer("configs/pretrain/vit_bsae.yaml"),
    InputError,
  );
  assertStringIncludes(message, 'did you mean "vit_base"?');
});

Deno.test("readConfigLayer() refuses a folder", async () => {
  const folder = await Deno.makeTempDir();
  await assertRejects(() => readConfigLayer(folder), InputError, "cannot be read");
  await Deno.remove(folder);
});
