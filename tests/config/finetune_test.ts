import {
  finetuneCheckpoint,
  finetuneKeys,
  finetuneYaml,
  resolveFinetuneConfig,
} from "../../src/config/finetune.ts";
import type { EncoderOfCheckpoint, FinetuneConfig } from "../../src/config/finetune_types.ts";
import { parseSet, parseYamlLayer } from "../../src/config/layers.ts";
import { parseYaml } from "../../src/deps/std.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "../deps.ts";
import { commonRun, leaves, photos, resolverOf, wordsOfDescribed } from "./support.ts";

const from = "from=runs/mine";

const { resolve, refusal } = resolverOf(resolveFinetuneConfig);

const tiny: EncoderOfCheckpoint = {
  encoder: { width: 192, depth: 12, heads: 3, mlpRatio: 4 },
  patchSize: [4, 4],
  channels: 3,
  imageSize: [32, 32],
  mean: [0.5, 0.4, 0.3],
  std: [0.2, 0.3, 0.4],
  normEpsilon: 1e-12,
};

function resolveTiny(...sets: string[]): FinetuneConfig {
  return resolveFinetuneConfig([photos, ...[from, ...sets].map(parseSet)], { encoder: tiny });
}

Deno.test("resolveFinetuneConfig() has the paper's recipe for ViT-B", () => {
  assertEquals(resolve(from), {
    from: "runs/mine",
    model: {
      encoderName: "vit_base",
      encoder: { width: 768, depth: 12, heads: 12, mlpRatio: 4 },
      imageSize: [224, 224],
      patchSize: [16, 16],
      channels: 3,
      pooling: "average",
      normEpsilon: 1e-6,
      dropPath: 0.1,
      trainBlocks: "all",
    },
    data: {
      train: "photos",
      split: null,
      cropShare: 224 / 256,
      augment: {
        cropScale: [0.08, 1],
        cropRatio: [3 / 4, 4 / 3],
        flip: true,
        randAugment: {
          operations: 2,
          magnitude: 9,
          deviation: 0.5,
          probability: 0.5,
          interpolation: "bicubic",
        },
        colorJitter: null,
        erasing: { probability: 0.25, area: [0.02, 1 / 3], aspect: [0.3, 1 / 0.3] },
      },
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
    mix: { mixup: 0.8, cutmix: 1, probability: 1, switchProbability: 0.5, labelSmoothing: 0.1 },
    optim: {
      batchSize: 64,
      accumulate: 1,
      epochs: 100,
      warmupEpochs: 5,
      blr: 5e-4,
      lr: null,
      minLr: 1e-6,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 0.05,
      clipNorm: null,
      maxBadSteps: 5,
      layerDecay: 0.65,
      ema: null,
    },
    run: {
      out: "runs/vit_base_finetune",
      ...commonRun,
      evaluateEvery: 1,
    },
  });
});

Deno.test("resolveFinetuneConfig() has the paper's recipe from scratch where there is no checkpoint", () => {
  const { from, optim, run } = resolve();
  assertEquals([from, run.out], [null, "runs/vit_base_scratch"]);
  assertEquals([optim.epochs, optim.warmupEpochs, optim.blr, optim.weightDecay], [300, 20, 1e-4, 0.3]);
  assertEquals([optim.betas, optim.layerDecay, optim.ema], [[0.9, 0.95], 1, 0.9999]);
  assertEquals(resolve("optim.layer_decay=0.5", "optim.ema=null").optim.ema, null);
});

Deno.test("resolveFinetuneConfig() shortens the default warm-up of short runs", () => {
  assertEquals(resolve(from, "optim.epochs=20").optim.warmupEpochs, 2);
  assertEquals(resolve("optim.epochs=50").optim.warmupEpochs, 5);
});

Deno.test("resolveFinetuneConfig() lowers the default last rate to a low highest one", () => {
  assertEquals(resolve(from, "optim.lr=1e-7").optim.minLr, 1e-7);
  assertStringIncludes(
    refusal(from, "optim.lr=1e-7", "optim.min_lr=1e-6"),
    "optim.min_lr 0.000001 (from --set)",
  );
});

Deno.test("resolveFinetuneConfig() crops images above 224 pixels to validate as the official code does", () => {
  assertEquals(resolve("model.image_size=448").data.cropShare, 1);
  assertEquals(resolve("model.image_size=448", "data.crop_share=0.5").data.cropShare, 0.5);
});

Deno.test("resolveFinetuneConfig() switches sections off and on, the later layer winning", () => {
  const augment = (...sets: string[]) => resolve(...sets).data.augment;
  const key = "data.augment.rand_augment";
  assertEquals(augment(`${key}=none`).randAugment, null);
  assertEquals(augment(`${key}.magnitude=5`, `${key}=none`).randAugment, null);
  assertEquals(augment(`${key}=none`, `${key}.magnitude=5`).randAugment?.magnitude, 5);
  assertEquals(augment(`${key}.magnitude=5`, `${key}=default`).randAugment?.magnitude, 9);
  assertEquals(augment("data.augment.erasing=none").erasing, null);
  const jitter = { brightness: 0.4, contrast: 0.1, saturation: 0.4 };
  assertEquals(augment(`${key}=none`, "data.augment.color_jitter.contrast=0.1").colorJitter, jitter);
  assertEquals(augment(`${key}=none`, "data.augment.color_jitter=default").colorJitter?.contrast, 0.4);
});

Deno.test("resolveFinetuneConfig() says how a section is left out", () => {
  const key = "data.augment.erasing";
  assertEquals(
    refusal(`${key}=null`),
    `${key} must be none, default, or a mapping of probability, area and aspect, not null (from --set): none leaves it out`,
  );
  assertStringIncludes(refusal(`${key}=true`), "default switches it on");
  assertStringIncludes(refusal(`${key}=nine`), 'did you mean "none"?');
});

Deno.test("resolveFinetuneConfig() starts from what the checkpoint says", () => {
  const { model, data, run } = resolveTiny();
  assertEquals([model.encoderName, model.patchSize, model.imageSize, model.channels], [
    "vit_tiny",
    [4, 4],
    [32, 32],
    3,
  ]);
  assertEquals([data.mean, data.std, run.out], [tiny.mean, tiny.std, "runs/vit_tiny_finetune"]);
  const unknown = { ...tiny, imageSize: null, mean: undefined, std: undefined };
  const other = resolveFinetuneConfig([photos, parseSet(from)], { encoder: unknown });
  assertEquals([other.model.imageSize, other.data.mean[0]], [[224, 224], 0.485]);
});

Deno.test("resolveFinetuneConfig() takes another image size and statistics than the checkpoint's", () => {
  const { model, data } = resolveTiny("model.image_size=64", "data.mean=[0, 0, 0]");
  assertEquals([model.imageSize, data.mean, data.std], [[64, 64], [0, 0, 0], tiny.std]);
});

Deno.test("resolveFinetuneConfig() takes sizes that repeat the checkpoint's", () => {
  const repeated = resolveTiny("model={encoder: vit_tiny, patch_size: 4, channels: 3}").model;
  assertEquals(repeated, resolveTiny().model);
});

Deno.test("resolveFinetuneConfig() refuses sizes that contradict the checkpoint", () => {
  const refusals: [set: string, message: string][] = [
    [
      "model.encoder=vit_base",
      "model.encoder vit_base (from --set) contradicts the checkpoint, whose encoder is vit_tiny",
    ],
    [
      "model.encoder.width=96",
      "model.encoder.width 96 (from --set) contradicts the checkpoint, whose encoder has 192",
    ],
    ["model.encoder.depth=6", "model.encoder.depth 6 (from --set)"],
    ["model.encoder.heads=6", "model.encoder.heads 6 (from --set)"],
    ["model.encoder.mlp_ratio=2", "model.encoder.mlp_ratio 2 (from --set)"],
    [
      "model.patch_size=[4, 8]",
      "model.patch_size [4,8] (from --set) contradicts the checkpoint, whose encoder was trained with 4",
    ],
    [
      "model.channels=1",
      "model.channels 1 (from --set) contradicts the checkpoint, whose encoder was trained with 3",
    ],
    [
      "model.norm_epsilon=1e-6",
      "model.norm_epsilon 0.000001 (from --set) contradicts the checkpoint, whose encoder was trained with 1e-12",
    ],
  ];
  for (const [set, message] of refusals) {
    const refused = assertThrows(() => resolveTiny(set), InputError).message.replaceAll('"', "");
    assertStringIncludes(refused, message);
    assertStringIncludes(refused, "leave the key out");
  }
});

Deno.test("resolveFinetuneConfig() blames the checkpoint for channels that no image has", () => {
  const encoder = { ...tiny, channels: 2000 };
  const layers = [photos, parseSet(from)];
  assertStringIncludes(
    assertThrows(() => resolveFinetuneConfig(layers, { encoder }), InputError).message,
    "model.channels must be a whole number from 1 to 1024, not 2000 (from the checkpoint)",
  );
});

Deno.test("resolveFinetuneConfig() takes as many blocks to train as there are", () => {
  for (const blocks of ["all", 0, 0.5, 1, 12] as const) {
    assertEquals(resolve(from, `model.train_blocks=${blocks}`).model.trainBlocks, blocks);
  }
  assertStringIncludes(
    refusal(from, "model.train_blocks=13"),
    "model.train_blocks 13 (from --set) is more than the encoder has (model.encoder.depth 12)",
  );
  assertStringIncludes(
    refusal(from, "model.train_blocks=1.5"),
    "model.train_blocks must be all, 0, 0.5 (the MLP half of the last block) or a whole number of blocks, not 1.5",
  );
});

Deno.test("resolveFinetuneConfig() refuses what would have no effect", () => {
  assertEquals(
    refusal("data.augment.color_jitter.contrast=0.1"),
    "data.augment.color_jitter.contrast 0.1 (from --set) stands back where there is RandAugment; set " +
      "data.augment.rand_augment to none, or leave colour jitter out",
  );
  assertStringIncludes(
    refusal("data.augment.color_jitter=default"),
    'color_jitter "default" (from --set) stands',
  );
  assertStringIncludes(
    refusal("optim.batch_size=1"),
    "optim.batch_size 1 (from --set) leaves no other image",
  );
  assertEquals(resolve("optim.batch_size=1", "mix.probability=0").optim.batchSize, 1);
  assertEquals(resolve("optim.batch_size=1", "mix={mixup: 0, cutmix: 0}").optim.batchSize, 1);
});

Deno.test("resolveFinetuneConfig() checks what pre-training checks", () => {
  assertStringIncludes(refusal("model.image_size=100"), "must be a whole number of patches");
  assertStringIncludes(refusal("model.encoder.heads=5"), "must divide model.encoder.width 768");
  assertStringIncludes(refusal("data.mean=[0.5]"), "must have one number for each of the 3 channels");
  assertStringIncludes(
    refusal("optim={epochs: 5, warmup_epochs: 6}"),
    "must not be more than optim.epochs 5",
  );
  assertThrows(
    () => resolveFinetuneConfig([]),
    InputError,
    "data.train is missing: give images with --data SOURCE",
  );
});

Deno.test("resolveFinetuneConfig() refuses values outside their range", () => {
  const wrong = [
    "model.drop_path=1",
    "model.pooling=max",
    "data.split=1",
    "data.crop_share=0",
    "data.augment.rand_augment.magnitude=11",
    "data.augment.erasing.area=[0.5, 0.1]",
    "mix.label_smoothing=1",
    "mix.mixup=-1",
    "optim.layer_decay=0",
    "optim.ema=1",
    "run.evaluate_every=0",
    "from=3",
  ];
  for (const set of wrong) {
    const [key, value] = set.split("=");
    assertMatch(
      refusal(set),
      new RegExp(`^${key} must be .*, not "?${value.slice(0, 2).replace(/[[\]]/g, "\\$&")}`),
    );
  }
});

Deno.test("resolveFinetuneConfig() knows its own keys only", () => {
  assertStringIncludes(
    refusal("mask.ratio=0.5"),
    'Unknown key "mask.ratio" (from --set): the keys and sections are from, model,',
  );
  assertStringIncludes(refusal("run.figure_images=1"), 'Unknown key "run.figure_images"');
  assertStringIncludes(refusal("model.pool=average"), 'did you mean "model.pooling"?');
  assertStringIncludes(refusal("optim.layerDecay=1"), 'did you mean "optim.layer_decay"?');
  assertStringIncludes(refusal("labelsmoothing=1"), 'did you mean "mix.label_smoothing"?');
});

Deno.test("finetuneCheckpoint() finds the checkpoint before sizes are known", () => {
  const layers = ["from=a", "model.train_blocks=24", "from=b"].map(parseSet);
  assertEquals(finetuneCheckpoint(layers), "b");
  assertEquals(finetuneCheckpoint([]), null);
});

Deno.test("finetuneYaml() gives back the same configuration", () => {
  const variants = [
    [],
    [from],
    ['from="null"', "model.train_blocks=0.5", "model.pooling=class_token", "data.split=0.1"],
    ["model.encoder={width: 48, depth: 2, heads: 3, mlp_ratio: 2.5}", "model.train_blocks=2"],
    ["data.augment={rand_augment: none, color_jitter: {contrast: 0}, erasing: none, flip: false}"],
    ["data.augment={rand_augment: {operations: 3, interpolation: random}, erasing: {aspect: [1, 1]}}"],
    ["mix={mixup: 0, cutmix: 0.5, switch_probability: 0.1, probability: 0, label_smoothing: 0}"],
    ["optim={ema: null, lr: 1e-9, layer_decay: 0.75}", "run={evaluate_every: 7, out: a b, remat: true}"],
    [from, "optim.ema=0.5"],
  ];
  for (const sets of variants) {
    const config = resolve(...sets);
    const again = resolveFinetuneConfig([parseYamlLayer(finetuneYaml(config), "again")]);
    assertEquals(again, config, sets.join(" "));
  }
});

Deno.test("finetuneYaml() writes every key that there is", () => {
  const sections = ["model.encoder", "rand_augment", "color_jitter", "erasing"];
  const config = resolve("model.encoder.depth=6");
  const { augment } = config.data;
  const colorJitter = { brightness: 0, contrast: 0, saturation: 0 };
  const all = { ...config, data: { ...config.data, augment: { ...augment, colorJitter } } };
  const keys = finetuneKeys().map(({ key }) => key).filter((key) =>
    !sections.some((end) => key.endsWith(end))
  );
  assertEquals(leaves(parseYaml(finetuneYaml(all))).sort(), keys.sort());
});

Deno.test("finetuneKeys() describes every key, with the words that it takes", () => {
  assertEquals(wordsOfDescribed(finetuneKeys(), "model.pooling"), ["average", "class_token"]);
});

Deno.test("resolveFinetuneConfig() keeps what changes bytes of colour away from floats and bands", () => {
  const set = (...sets: string[]) => () =>
    resolveFinetuneConfig([photos, parseSet(from), ...sets.map(parseSet)]);
  assertStringIncludes(
    assertThrows(set("data.values=float32"), InputError).message,
    "changes 8-bit gray or RGB images, and data.values is float32; set data.augment.rand_augment to none",
  );
  const bands = ["model.channels=2", "data.mean=[0, 0]", "data.std=[1, 1]", "data.augment.rand_augment=none"];
  assertStringIncludes(
    assertThrows(set(...bands, "data.augment.color_jitter=default"), InputError).message,
    "changes 8-bit gray or RGB images, and model.channels is 2; set data.augment.color_jitter to none",
  );
  assertEquals(set(...bands)().model.channels, 2);
});

Deno.test("resolveFinetuneConfig() takes depth, bands and range from the checkpoint", () => {
  const reading = { values: "float32", bands: [3, 1, 2], range: [0, 4095] } as const;
  const encoder = { ...tiny, mean: [0, 0, 0], std: [1, 1, 1], reading };
  const sets = [from, "data.augment.rand_augment=none"].map(parseSet);
  const { values, bands, range } = resolveFinetuneConfig([photos, ...sets], { encoder }).data;
  assertEquals({ values, bands, range }, reading);
});
