/** ONNX files as ONNX Runtime computes them, beside the official code's numbers and our own model's. */
import { tf } from "../../../src/deps/tfjs.ts";
import type { StoredTensor } from "../../../src/formats/dtypes.ts";
import { readTensor } from "../../../src/gpu/tensors.ts";
import { createClassifier } from "../../../src/models/classifier.ts";
import type { ClassifierConfig } from "../../../src/models/classifier_config.ts";
import { createMae } from "../../../src/models/mae.ts";
import { normalizePixels } from "../../../src/ops/pixels/normalize_pixels.ts";
import { type ModelFacts, openModelSource } from "../../../src/train/model_files/model_source.ts";
import { type OnnxOptions, writeOnnx } from "../../../src/train/model_files/onnx.ts";
import { InputError } from "../../../src/util/errors.ts";
import { assert, assertEquals, assertRejects } from "../../deps.ts";
import { testOnBackends } from "../../support/backends.ts";
import { assertClose, randomTensor } from "../../support/compare.ts";
import { Fixture, fixturePath } from "../../support/fixtures.ts";
import { inFolder } from "../../support/folder.ts";
import { OnnxSession, readOnnx, runOnnx } from "../../support/onnx.ts";
import { memorySource, randomClassifier, roundedToHalf } from "./onnx_support.ts";

/** What issue 5 allows is 1e-4; measured are 6e-6 and less, at values up to 10. */
const bound = 2e-5;

const small = { imageSize: 32, patchSize: 8, encoder: { width: 48, depth: 2, heads: 3, mlpRatio: 4 } };
const poolings = [["gap", "average"], ["cls", "class_token"]] as const;

/** Writes a model, runs it on images, and gives the output of that name. */
async function outputOf(
  state: ReadonlyMap<string, StoredTensor>,
  images: { shape: readonly number[]; values: Float32Array | Uint8Array },
  name: string,
  options: OnnxOptions & { facts?: Partial<ModelFacts> } = {},
): Promise<{ shape: readonly number[]; values: Float32Array }> {
  const folder = await Deno.makeTempDir();
  try {
    const { files } = await writeOnnx(`${folder}/m.onnx`, memorySource(state, options.facts), options);
    return await runOnnx(files, images, name);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Images [N, H, W, C] as the graph takes them, [N, C, H, W]. */
async function channelsFirst(images: tf.Tensor) {
  const moved = tf.transpose(images, [0, 3, 1, 2]);
  return { shape: moved.shape, values: await readTensor(moved) };
}

for (const [key, pooling] of poolings) {
  Deno.test(`the official fine-tuned model's numbers come from its ONNX file, ${pooling}`, () =>
    inFolder(async (folder) => {
      const fixture = await Fixture.read("finetune.safetensors");
      const source = memorySource(fixture.under(`${key}/init/`));
      const { shape } = fixture.get("images");
      const images = fixture.values("images");
      const classifier = await writeOnnx(`${folder}/c.onnx`, source);
      assertEquals(classifier, {
        files: [`${folder}/c.onnx`],
        model: "classifier",
        input: "pixel_values",
        outputs: ["logits"],
        imageSize: [32, 32],
        resampledFrom: null,
      });
      await using session = await OnnxSession.open(classifier.files);
      for (const count of [1, 3, 4]) {
        const some = { shape: [count, ...shape.slice(1)], values: images.slice(0, count * 3 * 32 * 32) };
        const logits = (await session.run(some)).get("logits");
        assertEquals(logits?.shape, [count, 10]);
        const official = fixture.values(`${key}/logits`).slice(0, 10 * count);
        assertClose(logits?.values ?? [], official, bound, `logits of ${count}`);
      }
      const encoder = await writeOnnx(`${folder}/e.onnx`, source, { model: "encoder" });
      assertEquals(encoder.outputs, ["last_hidden_state", "features"]);
      const features = await runOnnx(encoder.files, { shape, values: images }, "features");
      assertEquals(features.shape, [4, 48]);
      assertClose(features.values, fixture.values(`${key}/features`), bound, "features");
    }));
}

testOnBackends("a pre-trained encoder's ONNX file gives our latent and our features", async () => {
  const fixture = await Fixture.read("mae_a.safetensors");
  const state = fixture.under("init/");
  const mae = createMae({ ...small, decoder: { width: 32, depth: 2, heads: 4, mlpRatio: 4 } });
  mae.loadState(state);
  const images = tf.transpose(fixture.tensor("images"), [0, 2, 3, 1]);
  const input = { shape: fixture.get("images").shape, values: fixture.values("images") };
  const latent = await outputOf(state, input, "last_hidden_state");
  assertEquals(latent.shape, [4, 17, 48]);
  assertClose(latent.values, await readTensor(mae.encode(images)), bound, "latent");
  for (const [, pooling] of poolings) {
    const classifier = createClassifier({ ...small, classes: 1, pooling });
    classifier.loadEncoder(state);
    const features = await outputOf(state, input, "features", { pooling });
    assertClose(features.values, await readTensor(classifier.features(images)), bound, pooling);
    classifier.dispose();
  }
  const byDefault = await outputOf(state, input, "features");
  const byClassToken = await outputOf(state, input, "features", { pooling: "class_token" });
  assertEquals(byDefault.values, byClassToken.values);
});

const configs: Record<string, ClassifierConfig> = {
  "squares": { ...small, classes: 7, pooling: "average" },
  "a wide image of one channel": {
    imageSize: [16, 36],
    patchSize: [8, 6],
    channels: 1,
    encoder: { width: 24, depth: 3, heads: 2, mlpRatio: 2.5 },
    classes: 3,
    pooling: "class_token",
  },
  "a tall image, a single head, many channels": {
    imageSize: [20, 8],
    patchSize: [5, 8],
    channels: 5,
    encoder: { width: 20, depth: 1, heads: 1, mlpRatio: 3 },
    classes: 2,
    pooling: "average",
  },
};

for (const [name, config] of Object.entries(configs)) {
  testOnBackends(`a classifier's ONNX file gives our logits: ${name}`, async () => {
    const model = await randomClassifier(config);
    const facts = { heads: config.encoder.heads, imageSize: model.imageSize, pooling: config.pooling };
    for (const count of [1, 3]) {
      const images = randomTensor([count, ...model.imageSize, model.channels], count);
      const logits = await outputOf(await model.state(), await channelsFirst(images), "logits", { facts });
      assertEquals(logits.shape, [count, config.classes]);
      const own = await readTensor(model.logits(images));
      assert(Math.max(...own) - Math.min(...own) > 0.5, "logits that do not differ prove nothing");
      assertClose(logits.values, own, bound, `logits of ${count}`);
    }
  });
}

testOnBackends("with rawPixels the graph takes bytes and normalises them", async () => {
  const model = await randomClassifier({ ...small, classes: 4, pooling: "average" });
  const [mean, std] = [[0.3, 0.4, 0.5], [0.2, 0.25, 0.3]];
  const shape: [number, number, number, number] = [2, 32, 32, 3];
  const pixels = Uint8Array.from({ length: 2 * 32 * 32 * 3 }, (_, i) => (i * 7919) % 256);
  const options = { facts: { mean, std }, rawPixels: true };
  const logits = await outputOf(await model.state(), { shape, values: pixels }, "logits", options);
  const own = model.logits(normalizePixels(pixels, shape, mean, std));
  assertClose(logits.values, await readTensor(own), bound, "logits");
});

testOnBackends("f16 stores weights in half the bytes and computes as ours with rounded weights", async () => {
  const config: ClassifierConfig = { ...small, classes: 4, pooling: "class_token" };
  const model = await randomClassifier(config);
  const state = await model.state();
  const images = randomTensor([2, 32, 32, 3], 5);
  const logits = await outputOf(state, await channelsFirst(images), "logits", { precision: "f16" });
  model.loadState(roundedToHalf(state));
  assertClose(logits.values, await readTensor(model.logits(images)), bound, "logits");
  await inFolder(async (folder) => {
    const source = memorySource(state);
    const [whole, half] = ["f32", "f16"].map((name) => `${folder}/${name}.onnx`);
    await writeOnnx(whole, source);
    await writeOnnx(half, source, { precision: "f16" });
    const [{ size }, { size: halved }] = [await Deno.stat(whole), await Deno.stat(half)];
    assert(halved < 0.6 * size, `${halved} of ${size} bytes`);
  });
});

testOnBackends("for images of another size positions are resampled, as ours are", async () => {
  const trained = await randomClassifier({ ...small, classes: 4, pooling: "class_token" });
  const state = await trained.state();
  const larger = createClassifier({ ...small, imageSize: [48, 24], classes: 4, pooling: "class_token" });
  larger.loadEncoder(state);
  const images = randomTensor([2, 48, 24, 3], 6);
  const options = { model: "encoder", imageSize: [48, 24] } as const;
  const features = await outputOf(state, await channelsFirst(images), "features", options);
  assertClose(features.values, await readTensor(larger.features(images)), bound, "features");
  await inFolder(async (folder) => {
    const { resampledFrom, imageSize } = await writeOnnx(`${folder}/m.onnx`, memorySource(state), options);
    assertEquals([resampledFrom, imageSize], [[4, 4], [48, 24]]);
  });
});

Deno.test("a folder of Hugging Face becomes the same ONNX file as the official encoder", () =>
  inFolder(async (folder) => {
    using source = await openModelSource(fixturePath("hf_vitmae_a"));
    const { files, outputs } = await writeOnnx(`${folder}/m.onnx`, source);
    assertEquals(outputs, ["last_hidden_state", "features"]);
    const fixture = await Fixture.read("mae_a.safetensors");
    const images = { shape: fixture.get("images").shape, values: fixture.values("images") };
    const own = await outputOf(fixture.under("init/"), images, "last_hidden_state");
    assertEquals((await runOnnx(files, images, "last_hidden_state")).values, own.values);
  }));

Deno.test("weights beside the model give the same bits as weights in it", async () => {
  const fixture = await Fixture.read("finetune.safetensors");
  const state = fixture.under("gap/init/");
  const images = { shape: fixture.get("images").shape, values: fixture.values("images") };
  const inside = await outputOf(state, images, "logits");
  const beside = await outputOf(state, images, "logits", { largestFile: 30_000 });
  assertEquals(beside.values, inside.values);
});

Deno.test("the file says what it is and what its images must be", () =>
  inFolder(async (folder) => {
    const fixture = await Fixture.read("finetune.safetensors");
    const classes = Array.from({ length: 10 }, (_, i) => `class "${i}"`);
    const facts = { normEpsilon: 1e-12, classes, mean: [0.1, 0.2, 0.3], std: [1, 2, 3], cropShare: 0.875 };
    const path = `${folder}/m.onnx`;
    await writeOnnx(path, memorySource(fixture.under("cls/init/"), facts));
    const model = await readOnnx(path);
    assertEquals(model.operatorSets, [["", 17]]);
    assertEquals(model.irVersion, 8);
    assertEquals(model.producer[0], "mae");
    assertEquals(model.inputs, [["pixel_values", 1, ["batch", 3, 32, 32]]]);
    assertEquals(model.outputs, [["logits", 1, ["batch", 10]]]);
    assertEquals(Object.fromEntries(model.metadata), {
      image_size: "[32,32]",
      patch_size: "[8,8]",
      channels: "3",
      mean: "[0.1,0.2,0.3]",
      std: "[1,2,3]",
      crop_share: "0.875",
      classes: JSON.stringify(classes),
      pooling: "class_token",
    });
    const norms = model.nodes.filter(({ op }) => op === "LayerNormalization");
    assertEquals(norms.map(({ attributes }) => attributes.get("epsilon")), Array(5).fill(Math.fround(1e-12)));
  }));

Deno.test("constants have the official names, linear layers transposed, and every name is used", () =>
  inFolder(async (folder) => {
    const state = (await Fixture.read("finetune.safetensors")).under("gap/init/");
    const path = `${folder}/m.onnx`;
    await writeOnnx(path, memorySource(state));
    const { constants, nodes, inputs, outputs } = await readOnnx(path);
    for (const [name, { shape }] of state) {
      const isLinear = /(qkv|attn\.proj|fc[12]|head)\.weight$/.test(name);
      assertEquals(constants.get(name)?.shape, isLinear ? shape.toReversed() : shape, name);
    }
    assertEquals(new Set(nodes.map(({ name }) => name)).size, nodes.length);
    const known = new Set([...constants.keys(), ...inputs.map(([name]) => name)]);
    const used = new Set<string>();
    for (const { name, inputs, outputs } of nodes) {
      for (const input of inputs) {
        assert(known.has(input), `${name} reads ${input} before there is one`);
        used.add(input);
      }
      for (const output of outputs) known.add(output);
    }
    assertEquals([...constants.keys()].filter((name) => !used.has(name)), []);
    for (const [name] of outputs) assert(known.has(name), name);
  }));

Deno.test("what cannot be written is refused in a sentence, and no file is left", () =>
  inFolder(async (folder) => {
    const fixture = await Fixture.read("finetune.safetensors");
    const classifier = fixture.under("cls/init/");
    const averaging = fixture.under("gap/init/");
    const encoder = new Map([...classifier].filter(([name]) => !name.startsWith("head.")));
    const without = (...names: string[]) =>
      new Map([...classifier].filter(([name]) => !names.includes(name)));
    const withPlaces = (places: number): Map<string, StoredTensor> =>
      new Map([...encoder, [
        "pos_embed",
        { dtype: "F32", shape: [1, places, 48], data: new Float32Array(48 * places) },
      ]]);
    const huge = new Map(classifier).set("head.weight", {
      dtype: "F32",
      shape: [10, 48],
      data: new Float32Array(480).fill(1e5),
    });
    const refused: [Map<string, StoredTensor>, Partial<ModelFacts>, OnnxOptions, string][] = [
      [without("pos_embed"), {}, {}, "no position embedding"],
      [withPlaces(16), {}, {}, "positions of 15 patches, which is no square: say how large"],
      [withPlaces(16), { imageSize: [32, 32] }, {}, "positions of 15 patches, and images of 32x32 have 4x4"],
      [encoder, { imageSize: [30, 32] }, {}, "Images of 30x32 are no whole number of patches of 8x8"],
      [encoder, {}, { imageSize: [40, 33] }, "Images of 40x33 are no whole number"],
      [encoder, { heads: null }, {}, "does not say how many heads its encoder of width 48 has: give --heads"],
      [encoder, {}, { model: "classifier" }, "has no head"],
      [classifier, { classes: ["one"] }, {}, "names 1 classes, and its head is for 10"],
      [classifier, { pooling: null }, {}, "neither class token nor the patches' average"],
      [classifier, {}, { pooling: "average" }, "reads class_token, not average"],
      [averaging, {}, { model: "encoder", pooling: "class_token" }, "norm.weight is missing"],
      [without("cls_token", "norm.bias"), {}, {}, "cls_token is missing; norm.bias is missing"],
      [
        new Map([...classifier, ["blocks.1.norm1.bias", fixture.get("cls/init/head.bias")]]),
        {},
        {},
        "[10] instead of [48]",
      ],
      [huge, {}, { precision: "f16" }, "100000 in head.weight, which half precision cannot hold"],
    ];
    for (const [state, facts, options, sentence] of refused) {
      await assertRejects(
        () => writeOnnx(`${folder}/m.onnx`, memorySource(state, facts), options),
        InputError,
        sentence,
      );
    }
    const broken = { ...memorySource(encoder), read: () => Promise.reject(new Error("the disk is gone")) };
    await assertRejects(() => writeOnnx(`${folder}/m.onnx`, broken), Error, "the disk is gone");
    assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
    // Images as wide as they are say what positions do not.
    const { imageSize } = await writeOnnx(`${folder}/m.onnx`, memorySource(withPlaces(16)), {
      imageSize: [24, 40],
    });
    assertEquals(imageSize, [24, 40]);
  }));
