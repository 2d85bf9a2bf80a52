import { loadEvalImages } from "../../../src/data/eval_images.ts";
import { listImages } from "../../../src/sources/image_folder.ts";
import { readTensor, writeVariable } from "../../../src/gpu/tensors.ts";
import { createMae, type Mae, type MaeConfig } from "../../../src/models/mae.ts";
import { parameter } from "../../../src/nn/parameters.ts";
import { normalizePixels } from "../../../src/ops/pixels/normalize_pixels.ts";
import type { EncoderSource } from "../../../src/train/model_files/encoder_source.ts";
import {
  type FeatureEncoder,
  openFeatureEncoder,
  randomEncoderState,
  sharedEncoder,
} from "../../../src/train/features/feature_encoder.ts";
import { computeFeatures, type FeatureOptions, type Features } from "../../../src/train/features/features.ts";
import { InputError, RunError } from "../../../src/util/errors.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../../deps.ts";
import { testOnBackends, testOnWebGpu } from "../../support/backends.ts";
import { assertRelative } from "../../support/compare.ts";
import { inFolder } from "../../support/folder.ts";
import { writeImages } from "../support.ts";

const sizes = { imageSize: [8, 12], patchSize: [4, 4], channels: 3 } as const;
const config: MaeConfig = {
  ...sizes,
  encoder: { width: 8, depth: 2, heads: 2, mlpRatio: 2 },
  decoder: { width: 8, depth: 1, heads: 1, mlpRatio: 2 },
};
const statistics = { mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.25] };

async function sourceOf(mae: Mae): Promise<EncoderSource> {
  const state = await mae.state();
  const encoder = { ...sizes, encoder: config.encoder, ...statistics };
  return { path: "model.safetensors", description: "", state, encoder, classifier: null };
}

async function featuresOf(
  folder: string,
  { classifier, images }: Pick<FeatureEncoder, "classifier" | "images">,
  options: Partial<FeatureOptions> = {},
): Promise<Features> {
  const source = await listImages(folder);
  return await computeFeatures(classifier, source, { images, batchSize: 4, workers: 0, ...options });
}

/** Runs a test with a folder of seven pictures. */
function withPictures(test: (folder: string) => Promise<void>): Promise<void> {
  return inFolder(async (folder) => {
    await writeImages(folder, 7);
    await test(folder);
  });
}

testOnBackends(
  "features are the class token of whole images, or the normalised average of their patches",
  () =>
    withPictures(async (folder) => {
      const mae = createMae(config, { seed: 3 });
      const { pixels } = await loadEvalImages(await listImages(folder), {
        imageSize: [8, 12],
        channels: 3,
        exif: "apply",
        cropShare: 224 / 256,
      });
      const images = normalizePixels(pixels, [7, 8, 12, 3], statistics.mean, statistics.std);
      const latent = await readTensor(mae.encode(images)); // [7, 7, 8]
      const source = await sourceOf(mae);
      using cleanup = new DisposableStack();
      const classToken = openFeatureEncoder(source);
      cleanup.defer(() => classToken.dispose());
      const seen: number[][] = [];
      const features = await featuresOf(folder, classToken, {
        onProgress: (done, all) => seen.push([done, all]),
      });
      assertEquals([features.width, [...features.samples], features.broken], [8, [0, 1, 2, 3, 4, 5, 6], []]);
      assertEquals(seen, [[4, 7], [7, 7]]);
      const tokens = Float32Array.from({ length: 56 }, (_, i) => latent[Math.floor(i / 8) * 56 + i % 8]);
      assertRelative(features.values, tokens, 1e-5, "class tokens");

      const average = openFeatureEncoder(source, { pooling: "average" });
      cleanup.defer(() => average.dispose());
      const averaged = (await featuresOf(folder, average)).values;
      for (let image = 0; image < 7; image++) {
        const row = averaged.subarray(8 * image, 8 * image + 8);
        const mean = row.reduce((sum, value) => sum + value) / 8;
        const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 8;
        assert(
          Math.abs(mean) < 1e-5 && Math.abs(variance - 1) < 1e-3,
          `image ${image}: ${mean}, ${variance}`,
        );
      }
      assert(averaged.some((value, i) => Math.abs(value - features.values[i]) > 0.1));
    }),
);

testOnWebGpu(
  "features depend neither on the batch nor on what else is in it; broken files are left out",
  () =>
    withPictures(async (folder) => {
      const encoder = openFeatureEncoder(await sourceOf(createMae(config, { seed: 3 })));
      const whole = await featuresOf(folder, encoder);
      assertEquals(await featuresOf(folder, encoder, { batchSize: 3 }), whole);
      await Deno.writeTextFile(`${folder}/02.png`, "no picture");
      const told: string[] = [];
      const rest = await featuresOf(folder, encoder, { onBroken: ({ path }) => told.push(path) });
      assertEquals([[...rest.samples], told], [[0, 1, 3, 4, 5, 6], [`${folder}/02.png`]]);
      assertEquals(
        rest.values,
        Float32Array.from([...whole.values.subarray(0, 16), ...whole.values.subarray(24)]),
      );
      const signal = AbortSignal.abort();
      assertEquals((await featuresOf(folder, encoder, { signal })).samples.length, 0);
      for (let i = 0; i < 7; i++) await Deno.writeTextFile(`${folder}/0${i}.png`, "no picture");
      await assertRejects(() => featuresOf(folder, encoder), RunError, "None of the 7 images");
      encoder.dispose();
    }),
);

/** A step of training, for what the test is about. */
function fill(mae: Mae, value: number): void {
  writeVariable(parameter(mae.parameters, "blocks.0.mlp.fc1.bias"), new Float32Array(16).fill(value));
}

testOnWebGpu(
  "a model in training shares its parameters with its features",
  () =>
    withPictures(async (folder) => {
      const mae = createMae(config, { seed: 3 });
      const images = { ...sizes, ...statistics, exif: "apply", cropShare: 1 } as const;
      for (const pooling of ["class_token", "average"] as const) {
        const shared = sharedEncoder(mae, pooling);
        const before = await featuresOf(folder, { ...shared, images });
        fill(mae, pooling === "average" ? -1 : 1);
        const after = await featuresOf(folder, { ...shared, images });
        assert(before.values.some((value, i) => value !== after.values[i]));
        const own = openFeatureEncoder(await sourceOf(mae), { pooling, cropShare: 1 });
        assertRelative(after.values, (await featuresOf(folder, own)).values, 1e-6, pooling);
        shared.dispose();
      }
    }),
);

testOnWebGpu("a random encoder is the one that pre-training begins with", async () => {
  const state = await randomEncoderState(config, 5);
  const mae = createMae(config, { seed: 5 });
  for (const [name, { data }] of await mae.state()) assertEquals(state.get(name)?.data, data);
});

testOnWebGpu("an encoder that does not suit the images is refused", async () => {
  const source = await sourceOf(createMae(config, { seed: 3 }));
  const opening = (changes: Partial<EncoderSource["encoder"]>, imageSize?: [number, number]) => () =>
    openFeatureEncoder({ ...source, encoder: { ...source.encoder, ...changes } }, { imageSize });
  assertThrows(opening({}, [10, 12]), InputError, "Images of 10x12 are no whole number of patches of 4x4");
  assertThrows(opening({ imageSize: null }), InputError, "give --image-size");
  assertThrows(opening({ encoder: { ...config.encoder, heads: 3 } }), InputError, "multiple of its 3 heads");
  const resampled = openFeatureEncoder(source, { imageSize: [16, 12] });
  assertEquals(resampled.notices, ["Positions are resampled from 2x3 to 4x3 patches"]);
  resampled.dispose();
});
