import { type ConfigLayer, parseSet, parseYamlLayer } from "../../src/config/layers.ts";
import { configKeys, resolvePretrainConfig, toYaml } from "../../src/config/pretrain.ts";
import { parseYaml } from "../../src/deps/std.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "../deps.ts";
import { commonRun, leaves, photos, resolverOf, wordsOfDescribed } from "./support.ts";

const { resolve, refusal } = resolverOf(resolvePretrainConfig);

Deno.test("resolvePretrainConfig() has the defaults of the contract", () => {
  assertEquals(resolve(), {
    model: {
      encoderName: "vit_base",
      encoder: { width: 768, depth: 12, heads: 12, mlpRatio: 4 },
      decoder: { width: 512, depth: 8, heads: 16, mlpRatio: 4 },
      imageSize: [224, 224],
      patchSize: [16, 16],
      channels: 3,
      maskTokens: "decoder",
    },
    mask: { ratio: 0.75, sampling: "random" },
    target: { kind: "pixels", normalize: true },
    data: {
      train: "photos",
      augment: { cropScale: [0.2, 1], cropRatio: [3 / 4, 4 / 3], flip: true },
      workers: "auto",
      onError: "skip",
      maxBadShare: 0.05,
      repeat: "auto",
      pathColumn: null,
      labelColumn: null,
      shuffle: { buffer: 10_000, shards: 16 },
      exif: "apply",
      values: "auto",
      bands: null,
      range: null,
      decoder: "sandboxed",
      maxPixels: 178_956_970,
      mean: [0.485, 0.456, 0.406],
      std: [0.229, 0.224, 0.225],
    },
    optim: {
      batchSize: 64,
      accumulate: 1,
      epochs: 800,
      warmupEpochs: 40,
      blr: 1.5e-4,
      lr: null,
      minLr: 0,
      betas: [0.9, 0.95],
      eps: 1e-8,
      weightDecay: 0.05,
      clipNorm: null,
      maxBadSteps: 5,
    },
    run: {
      out: "runs/vit_base",
      ...commonRun,
      figureImages: 6,
    },
    probe: null,
  });
});

Deno.test("resolvePretrainConfig() lays later layers over earlier ones, key by key", () => {
  const file = parseYamlLayer("optim: {epochs: 100, blr: 1e-3}\nrun:\n", "my.yaml");
  const config = resolvePretrainConfig([
    photos,
    file,
    parseSet("optim.epochs=50"),
    parseSet("optim.epochs=60"),
  ]);
  assertEquals([config.optim.epochs, config.optim.blr, config.optim.batchSize], [60, 0.001, 64]);
});

Deno.test("resolvePretrainConfig() changes one part of a preset, and a later preset replaces the parts", () => {
  const changed = resolve("model.encoder=vit_tiny", "model.encoder.depth=6").model;
  assertEquals(changed.encoder, { width: 192, depth: 6, heads: 3, mlpRatio: 4 });
  assertEquals(changed.encoderName, "custom");
  const replaced = resolve("model.encoder={width: 64, heads: 4}", "model.encoder=vit_small").model;
  assertEquals(replaced.encoder, { width: 384, depth: 12, heads: 6, mlpRatio: 4 });
});

Deno.test("resolvePretrainConfig() names an encoder that equals a preset by the preset", () => {
  assertEquals(resolve("model.encoder={width: 192, depth: 12, heads: 3}").model.encoderName, "vit_tiny");
});

Deno.test("resolvePretrainConfig() takes patch size and folder from the preset", () => {
  const { model, run } = resolve("model.encoder=vit_huge");
  assertEquals([model.patchSize, run.out], [[14, 14], "runs/vit_huge"]);
});

Deno.test("resolvePretrainConfig() fits mean and deviation to the channels", () => {
  const statistics = (channels: number) => {
    const { mean, std } = resolve(`model.channels=${channels}`).data;
    return [mean, std];
  };
  assertEquals(statistics(1), [[0.5], [0.25]]);
  assertEquals(statistics(4), [[0.485, 0.456, 0.406, 0.5], [0.229, 0.224, 0.225, 0.25]]);
});

Deno.test("resolvePretrainConfig() shortens the default warm-up of short runs", () => {
  assertEquals(resolve("optim.epochs=100").optim.warmupEpochs, 5);
  assertEquals(resolve("optim.epochs=1600").optim.warmupEpochs, 40);
});

Deno.test("resolvePretrainConfig() takes sizes as [height, width]", () => {
  const { imageSize, patchSize } = resolve("model.image_size=[96, 160]", "model.patch_size=[8, 16]").model;
  assertEquals([imageSize, patchSize], [[96, 160], [8, 16]]);
});

Deno.test("resolvePretrainConfig() takes fractional MLP ratios with whole products", () => {
  assertEquals(resolve(`model.encoder.mlp_ratio=${8 / 3}`).model.encoder.mlpRatio, 8 / 3);
  assertStringIncludes(
    refusal("model.encoder.mlp_ratio=2.3"),
    "model.encoder.mlp_ratio 2.3 (from --set) gives 1766.4 hidden",
  );
  assertStringIncludes(
    refusal("model.encoder=vit_tiny", "model.encoder.mlp_ratio=2.6666666"),
    "gives 511.9999872 hidden",
  );
});

Deno.test("resolvePretrainConfig() suggests an MLP ratio that it takes", () => {
  for (const [width, ratio] of [[192, 2.3], [196, 0.34], [1280, 2.66666], [4, 0.01]]) {
    const sets = [`model.decoder={width: ${width}, heads: 1, mlp_ratio: ${ratio}}`];
    const suggested = /the nearest ratio that gives one is (.*)$/.exec(refusal(...sets))?.[1];
    resolve(...sets, `model.decoder.mlp_ratio=${suggested}`);
  }
});

Deno.test("resolvePretrainConfig() keeps and removes at least one patch by the raw floating product", () => {
  const four = ["model.image_size=32", "model.patch_size=16"]; // 4 patches
  assertEquals(resolve(...four, "mask.ratio=0.75").mask.ratio, 0.75);
  assertStringIncludes(
    refusal(...four, "mask.ratio=0.76"),
    "keeps none of the 4 patches of an image; it can be at most 0.75",
  );
  assertStringIncludes(refusal(...four, "mask.ratio=1e-17"), "removes none of the 4 patches");
  const ten = ["model.image_size=[160, 16]", "model.patch_size=16"]; // 10 × (1 − 0.9) is 0.99…98
  assertStringIncludes(refusal(...ten, "mask.ratio=0.9"), "keeps none of the 10 patches");
});

Deno.test("resolvePretrainConfig() suggests a mask ratio that it takes", () => {
  for (const side of [32, 48, 160]) {
    const sets = [`model.image_size=[16, ${side}]`, "model.patch_size=16"];
    const suggested = /at most (.*)$/.exec(refusal(...sets, "mask.ratio=0.999"))?.[1];
    resolve(...sets, `mask.ratio=${suggested}`);
  }
});

Deno.test("resolvePretrainConfig() names the origin that is to blame", () => {
  const layers: ConfigLayer[] = [
    parseYamlLayer("data: {train: x}\noptim: {warmup_epochs: 40}", "my.yaml"),
    { origin: "--epochs", values: { optim: { epochs: 5 } } },
  ];
  assertEquals(
    assertThrows(() => resolvePretrainConfig(layers), InputError).message,
    "optim.warmup_epochs 40 (from my.yaml) must not be more than optim.epochs 5 (from --epochs); lower it with --set optim.warmup_epochs=N",
  );
  assertStringIncludes(refusal("model.patch_size=15"), "model.image_size 224 (the default) must be");
  assertStringIncludes(refusal("model.encoder.width=190"), "model.encoder.width 190 (from --set)");
});

Deno.test("resolvePretrainConfig() refuses keys of every object's prototype as unknown", () => {
  for (const key of ["__proto__", "constructor", "toString", "model.__proto__.width", "run.hasOwnProperty"]) {
    assertStringIncludes(refusal(`${key}=1`), `Unknown key "${key}"`);
  }
  const file = parseYamlLayer("__proto__: {train: stolen}", "my.yaml");
  assertThrows(() => resolvePretrainConfig([file]), InputError, "Unknown key");
});

Deno.test("resolvePretrainConfig() finds a key by its last part or its nearest spelling", () => {
  assertStringIncludes(refusal("batch_size=3"), 'did you mean "optim.batch_size"?');
  assertStringIncludes(refusal("optim.batchSize=3"), 'did you mean "optim.batch_size"?');
  assertStringIncludes(refusal("optm.lr=3"), 'Unknown key "optm.lr"');
  assertStringIncludes(refusal("data.flip=true"), 'did you mean "data.augment.flip"?');
});

Deno.test("resolvePretrainConfig() asks for data when there are none", () => {
  assertThrows(
    () => resolvePretrainConfig([]),
    InputError,
    "data.train is missing: give images with --data SOURCE (a folder, shards, a table)",
  );
});

Deno.test("toYaml() gives back the same configuration", () => {
  const variants = [
    [],
    ["model.encoder=vit_huge"],
    ["model.encoder={width: 48, depth: 2, heads: 3, mlp_ratio: 2.5}", "model.decoder={width: 32, heads: 4}"],
    [
      "model.image_size=[32, 48]",
      "model.patch_size=[8, 16]",
      "model.channels=4",
      "mask.ratio=0.3333333333333333",
    ],
    ["data.train=[a, {source: b.csv, weight: 3}]", "data.path_column=url"],
    ["data.train=[{source: a, weight: 0.5}, {source: b.csv, weight: 3}]", "data.shuffle.buffer=1"],
    ["model.mask_tokens=encoder", "mask.sampling=grid", "target.normalize=false"],
    [
      "data.mean=[0.1, 0.2, 0.3]",
      "data.std=[1e-7, 1, 2.5]",
      "data.workers=3",
      "data.repeat=7",
      "data.exif=ignore",
      "data.decoder=native",
    ],
    [
      "model.channels=2",
      "data.bands=[7, 2]",
      "data.range=[-1, 10000]",
      "data.values=float32",
      "data.mean=[0.1, 0.2]",
      "data.std=[1, 2]",
    ],
    [
      "optim.lr=1e-300",
      "optim.min_lr=0",
      "optim.clip_norm=1",
      "optim.blr=3.3333333333333335e-05",
      "optim.eps=1e-12",
    ],
    [
      "run.seed=9007199254740991",
      "run.checkpoint_every=10 minutes",
      "run.backend=cpu",
      "run.figure_images=0",
    ],
    ['run.out="C:\\\\runs\\\\a b: #1 [x]"', 'data.train="1e3"'],
    ['run.out="null"', 'data.train="  leading, \'quoted\' and \\"double\\" and \\n line "'],
    ["run.out=Läufe/北京", "data.train='- dash'"],
  ];
  for (const sets of variants) {
    const config = resolve(...sets);
    assertEquals(resolvePretrainConfig([parseYamlLayer(toYaml(config), "again")]), config, sets.join(" "));
  }
});

Deno.test("toYaml() writes every key that there is, and a probe only where there is one", () => {
  const written = (...sets: string[]) =>
    leaves(parseYaml(toYaml(resolve("model.encoder.depth=6", ...sets)))).sort();
  const keys = configKeys().map(({ key }) => key).filter((key) => key !== "model.encoder" && key !== "probe")
    .sort();
  assertEquals(written("probe.data=labelled"), keys);
  assertEquals(written(), keys.filter((key) => !key.startsWith("probe.")));
});

Deno.test("toYaml() writes a preset by its name", () => {
  assertMatch(toYaml(resolve("model.encoder=vit_large")), /^ {2}encoder: vit_large$/m);
});

Deno.test("configKeys() describes every key, with the words that it takes", () => {
  assertEquals(wordsOfDescribed(configKeys(), "mask.sampling"), ["random", "block", "grid"]);
});

Deno.test("resolvePretrainConfig() refuses bands and ranges that cannot be, and guesses no statistics for them", () => {
  const cases: [sets: string[], words: string][] = [
    [
      ["data.bands=[1, 2]"],
      "data.bands [1,2] (from --set) must name as many bands as there are channels (model.channels 3), not 2",
    ],
    [
      ["data.bands=[0, 1, 2]"],
      "data.bands must be a list like [1,2] of whole numbers from 1 to 65535 or null, not [0,1,2]",
    ],
    [["data.range=[1, 1]"], "data.range [1,1] (from --set) must be two numbers that differ"],
    [
      ["data.bands=[3, 2, 1]"],
      "data.mean must be given where data.bands chooses bands; mae stats measures it",
    ],
    [["data.range=[0, 4095]", "data.mean=[0, 0, 0]"], "data.std must be given where data.range is given"],
    [["model.channels=5"], "data.mean must be given where model.channels is 5"],
    [["data.values=float16"], 'data.values must be "auto", "uint8" or "float32", not "float16"'],
  ];
  for (const [sets, words] of cases) {
    assertStringIncludes(assertThrows(() => resolve(...sets), InputError).message, words);
  }
  assertEquals(resolve("model.channels=1", "data.values=float32").data.mean, [0.5]);
});
