import { tf } from "../../../src/deps/tfjs.ts";
import { readTensor } from "../../../src/gpu/tensors.ts";
import { type ChangedPixels, mixedPatches } from "../../../src/ops/pixels/mixed_patches.ts";
import { type ImageShape, normalizePixels } from "../../../src/ops/pixels/normalize_pixels.ts";
import { withBody } from "../../../src/ops/operation.ts";
import { patchify } from "../../../src/ops/pixels/patchify.ts";
import {
  eraseOnHost,
  type Erasure,
  type Mix,
  mixOnHost,
  noiseAt,
  noMix,
} from "../../../src/ops/pixels/pixel_changes.ts";
import { softCrossEntropy } from "../../../src/ops/loss/cross_entropy.ts";
import { Random } from "../../../src/util/random.ts";
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "../../deps.ts";
import { testOnBackends } from "../../support/backends.ts";
import { assertClose } from "../../support/compare.ts";
import { Fixture, fixtureJson } from "../../support/fixtures.ts";

/** [N, C, H, W] to [N, H, W, C]. */
function channelsLast(values: Float32Array, [count, height, width, channels]: ImageShape): Float32Array {
  return Float32Array.from(values, (_, i) => {
    const c = i % channels, pixel = Math.floor(i / channels) % (height * width);
    const n = Math.floor(i / (channels * height * width));
    return values[(n * channels + c) * height * width + pixel];
  }).subarray(0, count * height * width * channels);
}

interface Recorded {
  cases: Record<
    string,
    { lam: number; boxes: { box_yl_yh_xl_xh: number[]; lam: number }[]; soft_target_ce: number }
  >;
}

function recordedMix({ lam, boxes }: Recorded["cases"][string]): Mix {
  if (boxes.length === 0) return { share: lam, box: null };
  const [top, bottom, left, right] = boxes[0].box_yl_yh_xl_xh;
  return { share: boxes[0].lam, box: { top, left, height: bottom - top, width: right - left } };
}

const batchModes = ["mixup", "cutmix_inside", "cutmix_clipped"];

Deno.test("mixOnHost() gives timm's mixed images", async () => {
  const { cases } = await fixtureJson("mixup.json") as unknown as Recorded;
  const fixture = await Fixture.read("mixup.safetensors");
  const shape: ImageShape = [4, 8, 10, 3];
  const images = channelsLast(fixture.values("x"), shape);
  for (const name of batchModes) {
    const mixed = mixOnHost(images, shape, recordedMix(cases[name]));
    assertEquals(mixed, channelsLast(fixture.values(`${name}/x`), shape), name);
  }
  assertEquals(mixOnHost(images, shape, noMix), images);
});

testOnBackends("softCrossEntropy() of mixed labels is timm's SoftTargetCrossEntropy", async () => {
  const { cases } = await fixtureJson("mixup.json") as unknown as Recorded;
  const fixture = await Fixture.read("mixup.safetensors");
  for (const name of batchModes) {
    const labels = fixture.tensor(`${name}/target`);
    const loss = (logits: tf.Tensor) => softCrossEntropy(logits, labels);
    const { value, grad } = tf.valueAndGrad(loss)(fixture.tensor("logits"));
    assertAlmostEquals((await readTensor(value))[0], cases[name].soft_target_ce, 4e-6, name);
    assertClose(await readTensor(grad), fixture.values(`${name}/grad_logits`), 1e-6, name);
  }
});

Deno.test("noiseAt() is standard normal, and another under every key and index", () => {
  const values = Array.from({ length: 20000 }, (_, i) => noiseAt(0xdeadbeef, i));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
  const fourth = values.reduce((sum, value) => sum + value ** 4, 0) / values.length;
  const neighbours = values.reduce((sum, value, i) => sum + value * values[(i + 1) % values.length], 0) /
    values.length;
  assert(values.every(Number.isFinite));
  assertAlmostEquals(mean, 0, 0.03);
  assertAlmostEquals(variance, 1, 0.04);
  assertAlmostEquals(fourth, 3, 0.3);
  assertAlmostEquals(neighbours, 0, 0.03);
  const under = Array.from({ length: 5000 }, (_, key) => noiseAt(key, 3));
  assertEquals(new Set(under).size, 5000);
});

Deno.test("eraseOnHost() changes what lies in its rectangle and nothing else", () => {
  const images = new Float32Array(2 * 5 * 6 * 3).fill(9);
  eraseOnHost(images, [2, 5, 6, 3], [null, { box: { top: 1, left: 2, height: 3, width: 4 }, key: 5 }]);
  images.forEach((value, i) => {
    const inside = i >= 90 && Math.floor((i - 90) / 18) >= 1 && Math.floor((i - 90) / 18) < 4 &&
      (i % 18) >= 6;
    assertEquals(value, inside ? Math.fround(noiseAt(5, i - 90)) : 9);
  });
});

/** A batch of random bytes with some rectangles. */
function batchOf(shape: ImageShape, mix: Mix): ChangedPixels {
  const [images, height, width, channels] = shape;
  const random = new Random(images, height, width, channels);
  const pixels = Uint8Array.from({ length: images * height * width * channels }, () => random.integer(256));
  const erasures = Array.from({ length: images }, (_, n): Erasure | null => {
    if (n % 3 === 1) return null;
    const top = random.integer(height), left = random.integer(width);
    const box = {
      top,
      left,
      height: random.integer(height - top) + 1,
      width: random.integer(width - left) + 1,
    };
    return { box, key: random.bits() };
  });
  const mean = [0.485, 0.456, 0.406, 0.5].slice(0, channels),
    std = [0.229, 0.224, 0.225, 0.25].slice(0, channels);
  return { pixels, shape, mean, std, erasures, mix };
}

/** The definition, on the host. */
function expectedPatches(batch: ChangedPixels, patchSize: [number, number]): Promise<Float32Array> {
  const { pixels, shape, mean, std, erasures, mix } = batch;
  const channels = shape[3];
  const images = Float32Array.from(pixels, (v, i) => (v / 255 - mean[i % channels]) / std[i % channels]);
  eraseOnHost(images, shape, erasures);
  return readTensor(patchify(tf.tensor4d(mixOnHost(images, shape, mix), shape), patchSize));
}

testOnBackends("mixedPatches() is erasing, mixing and cutting, ragged sizes included", async () => {
  const cases: [shape: ImageShape, patch: [number, number], box: number[]][] = [
    [[4, 8, 12, 3], [4, 4], [2, 3, 5, 7]],
    [[3, 5, 7, 1], [5, 7], [0, 0, 5, 7]],
    [[1, 6, 10, 3], [3, 2], [1, 9, 2, 1]],
    [[5, 6, 9, 4], [2, 3], [5, 0, 1, 9]],
    [[2, 16, 16, 3], [16, 16], [4, 4, 0, 0]],
  ];
  for (const [shape, patch, [top, left, height, width]] of cases) {
    for (const mix of [noMix, { share: 0.3, box: null }, { share: 0.5, box: { top, left, height, width } }]) {
      const batch = batchOf(shape, mix);
      const expected = await expectedPatches(batch, patch);
      const floats = { ...batch, pixels: Float32Array.from(batch.pixels, (value) => value / 255) };
      for (
        const [body, own] of [["kernel", batch], ["composed", batch], ["kernel", floats], [
          "composed",
          floats,
        ]] as const
      ) {
        const patches = withBody(body, () => mixedPatches(own, patch));
        assertEquals(patches.shape, [
          shape[0],
          shape[1] * shape[2] / patch[0] / patch[1],
          patch[0] * patch[1] * shape[3],
        ]);
        // Logarithm and cosine of the device: WGSL allows 2^-11 for the cosine.
        assertClose(await readTensor(patches), expected, 2e-3, `${body} of [${shape}]`);
      }
    }
  }
});

testOnBackends("mixedPatches() without changes is the normalised batch itself", async () => {
  const batch = { ...batchOf([2, 8, 8, 3], noMix), erasures: [null, null] };
  const plain = patchify(normalizePixels(batch.pixels, batch.shape, batch.mean, batch.std), [4, 4]);
  assertClose(await readTensor(mixedPatches(batch, [4, 4])), await readTensor(plain), 5e-7, "patches");
  assertThrows(() => mixedPatches({ ...batch, erasures: [null] }, [4, 4]), RangeError, "given 384,3,3,1");
  assertThrows(() => mixedPatches(batch, [3, 4]), RangeError, "no whole number");
});
