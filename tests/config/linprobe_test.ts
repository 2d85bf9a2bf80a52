import { parseSet, parseYamlLayer } from "../../src/config/layers.ts";
import {
  linprobeCheckpoint,
  linprobeKeys,
  linprobeYaml,
  resolveLinprobeConfig,
} from "../../src/config/linprobe.ts";
import { parseYaml } from "../../src/deps/std.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertStringIncludes, assertThrows } from "../deps.ts";
import { commonRun, leaves, photos, resolverOf, wordsOfDescribed } from "./support.ts";

const { resolve, refusal } = resolverOf(resolveLinprobeConfig);

Deno.test("resolveLinprobeConfig() has the paper's recipe, with smaller batches", () => {
  assertEquals(resolve("from=runs/mine"), {
    from: "runs/mine",
    model: {
      encoderName: "vit_base",
      encoder: { width: 768, depth: 12, heads: 12, mlpRatio: 4 },
      imageSize: [224, 224],
      patchSize: [16, 16],
      channels: 3,
      pooling: "class_token",
      normEpsilon: 1e-6,
    },
    data: {
      train: "photos",
      split: null,
      cropShare: 224 / 256,
      augment: { cropScale: [0.08, 1], cropRatio: [3 / 4, 4 / 3], flip: true },
      workers: "auto",
      onError: "skip",
      maxBadShare: 0.05,
      repeat: "auto",
      pathColumn: null,
      labelColumn: null,
      val: null,
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
      batchSize: 512,
      accumulate: 1,
      epochs: 90,
      warmupEpochs: 10,
      blr: 0.1,
      lr: null,
      minLr: 0,
      weightDecay: 0,
      momentum: 0.9,
    },
    run: {
      out: "runs/vit_base_linprobe",
      ...commonRun,
      evaluateEvery: 1,
    },
  });
});

Deno.test("resolveLinprobeConfig() shortens the default warm-up of short runs", () => {
  assertEquals(resolve("optim.epochs=9").optim.warmupEpochs, 1);
  assertEquals(resolve("optim.epochs=1000").optim.warmupEpochs, 10);
});

Deno.test("resolveLinprobeConfig() leaves the augmentation out, and the later layer wins", () => {
  assertEquals(resolve("data.augment=none").data.augment, null);
  assertEquals(resolve("data.augment.flip=false", "data.augment=none").data.augment, null);
  assertEquals(resolve("data.augment=none", "data.augment.flip=false").data.augment?.flip, false);
  assertStringIncludes(
    refusal("data.augment=off"),
    "data.augment must be none, default, or a mapping of crop_scale,",
  );
});

Deno.test("resolveLinprobeConfig() starts from what the checkpoint says and refuses what contradicts it", () => {
  const encoder = {
    encoder: { width: 48, depth: 2, heads: 3, mlpRatio: 2 },
    patchSize: [8, 8],
    channels: 1,
    imageSize: [32, 64],
    mean: [0.1],
    std: [0.2],
  } as const;
  const config = (...sets: string[]) => resolveLinprobeConfig([photos, ...sets.map(parseSet)], { encoder });
  const { model, data: { mean, std } } = config();
  assertEquals([model.encoderName, model.encoder, model.imageSize], ["custom", encoder.encoder, [32, 64]]);
  assertEquals([model.patchSize, model.channels, mean, std], [[8, 8], 1, [0.1], [0.2]]);
  assertStringIncludes(
    assertThrows(() => config("model.encoder=vit_base"), InputError).message,
    'whose encoder is {"width":48,"depth":2,"heads":3,"mlp_ratio":2}; leave the key out',
  );
});

Deno.test("resolveLinprobeConfig() checks what pre-training checks, and knows its own keys only", () => {
  assertStringIncludes(refusal("model.image_size=100"), "must be a whole number of patches");
  assertStringIncludes(refusal("optim={lr: 1, min_lr: 2}"), "must not be more than the peak learning rate 1");
  for (const key of ["optim.ema", "optim.betas", "run.remat", "mix.mixup", "model.drop_path"]) {
    assertStringIncludes(refusal(`${key}=1`), `Unknown key "${key}"`);
  }
  assertStringIncludes(refusal("optim.momentun=1"), 'did you mean "optim.momentum"?');
});

Deno.test("linprobeCheckpoint() finds the checkpoint", () => {
  assertEquals([linprobeCheckpoint([parseSet("from=a")]), linprobeCheckpoint([])], ["a", null]);
});

Deno.test("linprobeYaml() gives back the same configuration", () => {
  const variants = [
    [],
    ["from=x", "data.augment=none", "data.split=0.25", "model.pooling=average"],
    ["model.encoder={width: 48, depth: 2, heads: 3}", "data.augment.crop_scale=[0.5, 1]"],
    ["optim={lr: 0.1, momentum: 0, weight_decay: 1e-6}", "run.evaluate_every=3"],
  ];
  for (const sets of variants) {
    const config = resolve(...sets);
    const again = resolveLinprobeConfig([parseYamlLayer(linprobeYaml(config), "again")]);
    assertEquals(again, config, sets.join(" "));
  }
});

Deno.test("linprobeYaml() writes every key that there is", () => {
  const keys = linprobeKeys().map(({ key }) => key);
  const written = leaves(parseYaml(linprobeYaml(resolve("model.encoder.depth=6"))));
  assertEquals(written.sort(), keys.filter((key) => !/(encoder|augment)$/.test(key)).sort());
});

Deno.test("linprobeKeys() describes every key, with the words that it takes", () => {
  assertEquals(wordsOfDescribed(linprobeKeys(), "run.backend"), ["auto", "webgpu", "cpu"]);
});
