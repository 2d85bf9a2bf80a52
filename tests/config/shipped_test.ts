import { resolveFinetuneConfig } from "../../src/config/finetune.ts";
import type { FinetuneConfig } from "../../src/config/finetune_types.ts";
import { type ConfigLayer, parseSet, parseYamlLayer } from "../../src/config/layers.ts";
import { resolveLinprobeConfig } from "../../src/config/linprobe.ts";
import { resolvePretrainConfig } from "../../src/config/pretrain.ts";
import { type ConfigJob, readConfigLayer, shippedConfig, shippedConfigs } from "../../src/config/shipped.ts";
import { InputError } from "../../src/util/errors.ts";
import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../deps.ts";

const resolvers: Readonly<Record<ConfigJob, (layers: readonly ConfigLayer[]) => unknown>> = {
  pretrain: resolvePretrainConfig,
  finetune: resolveFinetuneConfig,
  linprobe: resolveLinprobeConfig,
};

function layersOf(name: string, ...sets: string[]): ConfigLayer[] {
  const config = shippedConfig(name);
  assert(config !== undefined, name);
  return [parseSet("data.train=x"), parseYamlLayer(config.text, config.path), ...sets.map(parseSet)];
}

const pretraining = (name: string) => resolvePretrainConfig(layersOf(name));
const finetuning = (name: string) => resolveFinetuneConfig(layersOf(name, "from=a checkpoint"));
const probing = (name: string) => resolveLinprobeConfig(layersOf(name, "from=a checkpoint"));

const models = ["vit_base", "vit_large", "vit_huge"] as const;

function batchOf({ batchSize, accumulate }: { batchSize: number; accumulate: number }): number {
  return batchSize * accumulate;
}

Deno.test("every file of configs is shipped, and nothing else", async () => {
  const root = new URL("../../configs/", import.meta.url);
  const files: string[] = [];
  for await (const folder of Deno.readDir(root)) {
    for await (const file of Deno.readDir(new URL(`${folder.name}/`, root))) {
      files.push(`configs/${folder.name}/${file.name}`);
    }
  }
  assertEquals(shippedConfigs().map(({ path }) => path).sort(), files.sort());
});

Deno.test("every shipped configuration resolves for its own command alone", () => {
  for (const { path, job } of shippedConfigs()) {
    for (const [name, resolve] of Object.entries(resolvers)) {
      if (name === job) resolve(layersOf(path));
      else assertThrows(() => resolve(layersOf(path)), InputError, "", `${path} for ${name}`);
    }
  }
});

Deno.test("every shipped configuration says what, whence, at what cost, to what end and with which flags", () => {
  for (const { path, job, text } of shippedConfigs()) {
    for (const word of ["Trains:", "Source:", "Cost:", "Expect:"]) {
      assertMatch(text, new RegExp(`^# ${word} `, "m"), path);
    }
    if (job !== "pretrain") assertMatch(text, /^# Use: .*--data /m, path);
    for (const line of text.split("\n").filter((line) => line.startsWith("#"))) {
      assert(line.length <= 130, `${path}: ${line}`);
    }
  }
});

Deno.test("configurations write into folders of their own", () => {
  const folders = shippedConfigs().map(({ text }) => /out: ([^,}]+)/.exec(text)?.[1]);
  assertEquals(new Set(folders).size, folders.length);
});

Deno.test("pre-training large models is the paper's recipe", () => {
  for (const name of models) {
    const { model, mask, target, data, optim } = pretraining(name);
    assertEquals(model.encoderName, name);
    assertEquals(model.decoder, { width: 512, depth: 8, heads: 16, mlpRatio: 4 });
    assertEquals([mask.ratio, target.normalize, data.augment.cropScale, data.augment.flip], [0.75, true, [
      0.2,
      1,
    ], true]);
    assertEquals(batchOf(optim), 4096);
    assertEquals([optim.epochs, optim.warmupEpochs, optim.blr, optim.weightDecay], [800, 40, 1.5e-4, 0.05]);
    assertEquals(optim.betas, [0.9, 0.95]);
  }
});

/** What differs between the models, in one row. */
function rates({ model, optim }: FinetuneConfig): unknown[] {
  return [model.encoderName, optim.epochs, optim.blr, optim.layerDecay, model.dropPath];
}

Deno.test("fine-tuning large models is the recipe of the official code", () => {
  assertEquals(models.map((name) => rates(finetuning(`finetune/${name}`))), [
    ["vit_base", 100, 5e-4, 0.65, 0.1],
    ["vit_large", 50, 1e-3, 0.75, 0.2],
    ["vit_huge", 50, 1e-3, 0.75, 0.3],
  ]);
  const defaults = resolveFinetuneConfig([parseSet("data.train=x"), parseSet("from=a checkpoint")]);
  for (const name of models) {
    const { data, mix, optim } = finetuning(`finetune/${name}`);
    assertEquals([data, mix], [defaults.data, defaults.mix]);
    assertEquals([batchOf(optim), optim.warmupEpochs, optim.minLr, optim.ema], [1024, 5, 1e-6, null]);
    assertEquals([optim.betas, optim.weightDecay], [[0.9, 0.999], 0.05]);
  }
});

Deno.test("partial fine-tuning is fine-tuning of four blocks for longer", () => {
  for (const name of models) {
    const partial = finetuning(`partial/${name}`), full = finetuning(`finetune/${name}`);
    assertEquals(partial.model, { ...full.model, trainBlocks: 4 });
    assertEquals(partial.optim, { ...full.optim, epochs: 100 });
    assertEquals([partial.data, partial.mix], [full.data, full.mix]);
  }
});

Deno.test("training large models from scratch is the paper's recipe", () => {
  assertEquals(
    models.map((name) => rates(resolveFinetuneConfig(layersOf(`scratch/${name}`)))),
    [["vit_base", 300, 1e-4, 1, 0.1], ["vit_large", 200, 1e-4, 1, 0.2], ["vit_huge", 200, 1e-4, 1, 0.2]],
  );
  for (const name of models) {
    const { from, mix, optim } = resolveFinetuneConfig(layersOf(`scratch/${name}`));
    assertEquals([from, mix.mixup, mix.cutmix, mix.labelSmoothing], [null, 0.8, 1, 0.1]);
    assertEquals([batchOf(optim), optim.warmupEpochs, optim.weightDecay, optim.ema], [4096, 20, 0.3, 0.9999]);
    assertEquals(optim.betas, [0.9, 0.95]);
  }
});

Deno.test("probing large models is the recipe of the paper and the official code", () => {
  assertEquals(models.map((name) => probing(`linprobe/${name}`).optim.epochs), [90, 50, 50]);
  for (const name of models) {
    const { model, optim } = probing(`linprobe/${name}`);
    assertEquals([model.encoderName, model.pooling], [name, "class_token"]);
    assertEquals([batchOf(optim), optim.warmupEpochs, optim.blr, optim.weightDecay, optim.momentum], [
      16384,
      10,
      0.1,
      0,
      0.9,
    ]);
  }
});

Deno.test("the four of cifar10 go together", () => {
  const { model: { encoder, patchSize, imageSize, channels }, data: { mean, std } } = pretraining(
    "cifar10/pretrain",
  );
  const checkpoint = { encoder, patchSize, imageSize, channels, mean, std };
  const from = "from=runs/cifar10_pretrain";
  const finetune = resolveFinetuneConfig(layersOf("cifar10/finetune", from), { encoder: checkpoint });
  const probe = resolveLinprobeConfig(layersOf("cifar10/linprobe", from), { encoder: checkpoint });
  const scratch = resolveFinetuneConfig(layersOf("cifar10/scratch"));
  for (const { model, data } of [finetune, probe, scratch]) {
    assertEquals([model.imageSize, data.mean, data.std], [imageSize, mean, std]);
  }
  assertEquals(probe.data.augment, null);
  // What is compared differs in nothing but the pre-training, and the layer decay that belongs to it.
  assertNotEquals(finetune.optim.layerDecay, 1);
  assertEquals(scratch, {
    ...finetune,
    from: null,
    optim: { ...finetune.optim, layerDecay: 1 },
    run: { ...finetune.run, out: "runs/cifar10_scratch" },
  });
});

Deno.test("the demo trains on the photographs of the project", () => {
  const { data, optim, run } = pretraining("demo");
  assertEquals([data.train, run.out], ["examples/photos", "runs/demo"]);
  const peak = optim.lr ?? optim.blr * batchOf(optim) / 256;
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

Deno.test("shippedConfig() looks for a bare name in the command's own folder", () => {
  for (const job of ["pretrain", "finetune", "linprobe"] as const) {
    assertEquals(shippedConfig("vit_base", job)?.path, `configs/${job}/vit_base.yaml`);
    assertEquals(shippedConfig("scratch/vit_base", job)?.path, "configs/scratch/vit_base.yaml");
  }
  assertEquals(shippedConfig("demo", "finetune"), undefined);
});

Deno.test("shippedConfigs() lists those of a command", () => {
  const paths = shippedConfigs("linprobe").map(({ path }) => path);
  assertEquals(paths, [
    ...models.map((name) => `configs/linprobe/${name}.yaml`),
    "configs/cifar10/linprobe.yaml",
  ]);
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
  assertEquals((await readConfigLayer("vit_huge", "linprobe")).origin, "configs/linprobe/vit_huge.yaml");
});

Deno.test("readConfigLayer() names the nearest configuration of the command", async () => {
  const message = async (path: string, job?: ConfigJob) =>
    (await assertRejects(() => readConfigLayer(path, job), InputError)).message;
  assertStringIncludes(await message("configs/pretrain/vit_bsae.yaml"), 'did you mean "pretrain/vit_base"?');
  assertStringIncludes(await message("vit_bsae"), 'did you mean "pretrain/vit_base"?');
  assertStringIncludes(await message("vit_hueg", "finetune"), 'did you mean "finetune/vit_huge"?');
  assertStringIncludes(await message("partial/vit_lagre", "finetune"), 'did you mean "partial/vit_large"?');
});

Deno.test("readConfigLayer() refuses a folder", async () => {
  const folder = await Deno.makeTempDir();
  await assertRejects(() => readConfigLayer(folder), InputError, "cannot be read");
  await Deno.remove(folder);
});
