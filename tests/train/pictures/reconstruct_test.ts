import type { Size } from "../../../src/config/types.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { openRuntime } from "../../../src/gpu/runtime.ts";
import { createMae, type Mae } from "../../../src/models/mae.ts";
import { patchify } from "../../../src/ops/pixels/patchify.ts";
import { reconstructionTarget } from "../../../src/ops/loss/pixel_loss.ts";
import { reconstruct, toRgb, viewOf } from "../../../src/train/pictures/reconstruct.ts";
import { Random } from "../../../src/util/random.ts";
import { assert, assertAlmostEquals, assertEquals, assertNotEquals } from "../../deps.ts";
import { testOnBackends } from "../../support/backends.ts";

const imageSize: Size = [8, 12];
const patchSize: Size = [4, 6];

function tinyModel(channels: number): Mae {
  const stack = { width: 8, depth: 1, heads: 2, mlpRatio: 2 };
  return createMae({ imageSize, patchSize, channels, encoder: stack, decoder: stack, normalizeTarget: true });
}

/** Makes the model predict exactly the target of its images, changed by `change`. */
function predictTarget(model: Mae, normalized: boolean, change = (target: tf.Tensor) => target): void {
  const forward = model.forward.bind(model);
  model.forward = (images, options) => {
    const target = reconstructionTarget(patchify(images, model.patchSize), normalized);
    return { ...forward(images, options), prediction: change(target) as tf.Tensor3D };
  };
}

function noisePicture(channels: number, key: number): Uint8Array {
  const random = new Random(11, key);
  return Uint8Array.from({ length: imageSize[0] * imageSize[1] * channels }, () => random.integer(256));
}

const settings = (channels: number, normalizedTarget: boolean) => ({
  mask: { ratio: 0.5, sampling: "random" },
  seed: 5,
  mean: [0.485, 0.456, 0.406, 0.5].slice(0, channels),
  std: [0.229, 0.224, 0.225, 0.25].slice(0, channels),
  normalizedTarget,
} as const);

testOnBackends("reconstruct() gives the original when the model predicts its target", async () => {
  for (const channels of [1, 3, 4]) {
    for (const normalized of [false, true]) {
      const model = tinyModel(channels);
      predictTarget(model, normalized);
      const flat = new Uint8Array(imageSize[0] * imageSize[1] * channels).fill(77); // patches without variance
      const pictures = [noisePicture(channels, 1), noisePicture(channels, 2), flat];
      const results = await reconstruct(model, pictures, settings(channels, normalized));
      for (const [i, { original, reconstruction, mask }] of results.entries()) {
        assertEquals(original, pictures[i]);
        assertEquals(reconstruction, pictures[i], `${channels} channels, normalised: ${normalized}`);
        assertEquals([mask.length, mask.reduce((sum, removed) => sum + removed)], [4, 2]);
      }
      model.dispose();
    }
  }
});

Deno.test("reconstruct() brightens by what a prediction is above its target, in the target's own scale", async () => {
  await openRuntime({ backend: "cpu" });
  const model = tinyModel(1);
  predictTarget(model, false, (target) => tf.add(target, 0.2));
  const picture = noisePicture(1, 3).map((value) => value / 2);
  const [{ reconstruction }] = await reconstruct(model, [picture], settings(1, false));
  // 0.2 of the normalised scale is 0.2 · std · 255 of a byte
  const expected = picture.map((value) => Math.round(value + 0.2 * 0.229 * 255));
  for (const [i, value] of reconstruction.entries()) assert(Math.abs(value - expected[i]) <= 1);
  model.dispose();
});

Deno.test("reconstruct() cuts values off at black and white", async () => {
  await openRuntime({ backend: "cpu" });
  const model = tinyModel(3);
  for (const [change, value] of [[1000, 255], [-1000, 0]]) {
    predictTarget(model, false, (target) => tf.add(tf.zerosLike(target), change));
    const [{ reconstruction }] = await reconstruct(model, [noisePicture(3, 4)], settings(3, false));
    assertEquals(new Set(reconstruction), new Set([value]));
  }
  model.dispose();
});

Deno.test("reconstruct() masks by seed and place alone, and leaves no tensors behind", async () => {
  const runtime = await openRuntime({ backend: "cpu" });
  const model = tinyModel(3);
  const before = runtime.memory();
  const pictures = Array.from({ length: 6 }, (_, i) => noisePicture(3, i));
  const masks = async (seed: number) =>
    (await reconstruct(model, pictures, { ...settings(3, true), seed })).map(({ mask }) => mask.join(""));
  const first = await masks(5);
  assertEquals(await masks(5), first);
  assertNotEquals(await masks(6), first);
  assert(new Set(first).size > 1, "every picture has the same mask");
  assertEquals(runtime.memory(), before);
  model.dispose();
});

/** Which patch a byte of a picture belongs to. */
function patchOf(byte: number, channels: number): number {
  const pixel = Math.floor(byte / channels);
  const [y, x] = [Math.floor(pixel / imageSize[1]), pixel % imageSize[1]];
  return Math.floor(y / patchSize[0]) * (imageSize[1] / patchSize[1]) + Math.floor(x / patchSize[1]);
}

/** Mean and unbiased deviation of each patch of a normalised picture. */
function statistics(picture: readonly number[], channels: number): { mean: number; deviation: number }[] {
  return [0, 1, 2, 3].map((patch) => {
    const values = picture.filter((_, i) => patchOf(i, channels) === patch);
    const mean = values.reduce((sum, value) => sum + value) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    return { mean, deviation: Math.sqrt(squares / (values.length - 1) + 1e-6) };
  });
}

testOnBackends(
  "reconstruct() denormalises, and measures the removed patches, as a plain loop does",
  async () => {
    for (const channels of [1, 3]) {
      for (const normalized of [false, true]) {
        const model = tinyModel(channels);
        const off = 0.5; // of the target's scale
        predictTarget(model, normalized, (target) => tf.add(tf.mul(target, 0.8), off));
        const picture = noisePicture(channels, 9);
        const options = settings(channels, normalized);
        const [{ reconstruction, mask, loss, psnr }] = await reconstruct(model, [picture], options);
        const { mean, std } = options;
        const pixels = [...picture].map((byte, i) => (byte / 255 - mean[i % channels]) / std[i % channels]);
        const patches = statistics(pixels, channels);
        let [squares, target, removed] = [0, 0, 0];
        for (const [i, value] of pixels.entries()) {
          const patch = normalized ? patches[patchOf(i, channels)] : { mean: 0, deviation: 1 };
          const scaled = (value - patch.mean) / patch.deviation;
          const predicted = (0.8 * scaled + off) * patch.deviation + patch.mean;
          const byte = Math.min(255, Math.max(0, (predicted * std[i % channels] + mean[i % channels]) * 255));
          assert(Math.abs(reconstruction[i] - byte) <= 0.51, `${reconstruction[i]}, not ${byte}`);
          if (mask[patchOf(i, channels)] === 0) continue;
          squares += (reconstruction[i] - picture[i]) ** 2;
          target += (0.8 * scaled + off - scaled) ** 2;
          removed++;
        }
        assertAlmostEquals(loss, target / removed, 1e-4);
        assertAlmostEquals(psnr ?? NaN, 10 * Math.log10(255 ** 2 / (squares / removed)), 1e-6);
        model.dispose();
      }
    }
  },
);

Deno.test("viewOf() pastes exactly the visible patches and grays the others", async () => {
  await openRuntime({ backend: "cpu" });
  for (const channels of [1, 3, 4]) {
    const model = tinyModel(channels);
    const picture = noisePicture(channels, 12);
    const heard: number[] = [];
    const options = { ...settings(channels, true), onPicture: (index: number) => heard.push(index) };
    const [result] = await reconstruct(model, [picture], options);
    assertEquals(heard, [0]);
    const { masked, reconstruction, pasted, loss, psnr } = viewOf(result, model);
    assertEquals([loss, psnr], [result.loss, result.psnr]);
    const original = toRgb(picture, imageSize, channels);
    assertEquals(reconstruction, toRgb(result.reconstruction, imageSize, channels));
    for (let i = 0; i < original.length; i++) {
      const isRemoved = result.mask[patchOf(i, 3)] === 1;
      assertEquals([masked[i], pasted[i]], isRemoved ? [206, reconstruction[i]] : [original[i], original[i]]);
    }
    model.dispose();
  }
});

Deno.test("reconstruct() calls what is equal exact", async () => {
  await openRuntime({ backend: "cpu" });
  const model = tinyModel(3);
  predictTarget(model, true);
  const [{ loss, psnr }] = await reconstruct(model, [noisePicture(3, 1)], settings(3, true));
  assertEquals([loss, psnr], [0, null]);
  model.dispose();
});

Deno.test("toRgb() repeats gray, keeps RGB, and leaves alpha out", () => {
  assertEquals([...toRgb(Uint8Array.of(7, 200), [1, 2], 1)], [7, 7, 7, 200, 200, 200]);
  assertEquals([...toRgb(Uint8Array.of(1, 2, 3, 4, 5, 6), [2, 1], 3)], [1, 2, 3, 4, 5, 6]);
  assertEquals([...toRgb(Uint8Array.of(1, 2, 3, 255, 4, 5, 6, 0), [1, 2], 4)], [1, 2, 3, 4, 5, 6]);
  assertEquals([...toRgb(Uint8Array.of(9, 255, 8, 0), [1, 2], 2)], [9, 9, 9, 8, 8, 8]);
});
