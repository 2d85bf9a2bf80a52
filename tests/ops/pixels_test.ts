import { assertEquals, assertThrows } from "../deps.ts";
import { tf } from "../../src/deps/tfjs.ts";
import { readTensor } from "../../src/gpu/tensors.ts";
import { normalizePixels } from "../../src/ops/normalize_pixels.ts";
import { withBody } from "../../src/ops/operation.ts";
import { patchGrid, patchify, unpatchify } from "../../src/ops/patchify.ts";
import { reconstructionTarget } from "../../src/ops/pixel_loss.ts";
import { Random } from "../../src/util/random.ts";
import { testOnBackends } from "../support/backends.ts";
import { assertClose } from "../support/compare.ts";
import { Fixture } from "../support/fixtures.ts";

const mean = [0.485, 0.456, 0.406];
const std = [0.229, 0.224, 0.225];

testOnBackends(
  "patchify() and its target equal the official ones, and unpatchify() undoes it exactly",
  async () => {
    const fixture = await Fixture.read("mae_a.safetensors");
    const images = tf.transpose(fixture.tensor("images"), [0, 2, 3, 1]);
    const patches = patchify(images, [8, 8]);
    assertEquals([...await readTensor(patches)], [...fixture.values("patchify")]);
    assertEquals(
      [...await readTensor(unpatchify(patches, [32, 32], [8, 8]))],
      [...await readTensor(images)],
    );
    assertClose(
      await readTensor(reconstructionTarget(patches, true)),
      fixture.values("target_norm_pix"),
      2e-5,
      "target",
    );
  },
);

testOnBackends("patchify() handles sizes that are not square and any number of channels", async () => {
  const images = tf.reshape(tf.range(0, 2 * 6 * 4 * 5), [2, 6, 4, 5]);
  const patches = patchify(images, [3, 2]);
  assertEquals(patches.shape, [2, 4, 30]);
  // Second patch of the first image: rows 0 to 2, columns 2 and 3.
  const second = await readTensor(tf.slice(patches, [0, 1, 0], [1, 1, 30]));
  assertEquals([...second.slice(0, 10)], [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  assertEquals([...second.slice(10, 12)], [30, 31]);
  assertEquals([...await readTensor(unpatchify(patches, [6, 4], [3, 2]))], [...await readTensor(images)]);
  assertThrows(() => patchGrid([10, 8], [4, 4]), RangeError, "10x8 are no whole number of 4x4 patches");
  assertThrows(() => unpatchify(patches, [6, 6], [3, 2]), RangeError, "do not make images");
});

testOnBackends("normalizePixels() equals the official transform", async () => {
  const fixture = await Fixture.read("mae_a.safetensors");
  const bytes = Uint8Array.from(fixture.values("images_u8_nhwc"));
  const images = tf.transpose(normalizePixels(bytes, [4, 32, 32, 3], mean, std), [0, 3, 1, 2]);
  assertClose(await readTensor(images), fixture.values("images"), 5e-7, "pixels");
});

testOnBackends(
  "normalizePixels() gives the same from its composed body and its kernel, ragged sizes included",
  async () => {
    const random = new Random(3);
    const shapes: [number, number, number, number][] = [[1, 1, 1, 1], [1, 3, 1, 1], [2, 5, 7, 3], [
      3,
      4,
      4,
      2,
    ]];
    for (const shape of shapes) {
      const bytes = Uint8Array.from({ length: tf.util.sizeFromShape(shape) }, () => random.integer(256));
      const [m, s] = [mean.concat(0.5).slice(0, shape[3]), std.concat(0.25).slice(0, shape[3])];
      const composed = await readTensor(withBody("composed", () => normalizePixels(bytes, shape, m, s)));
      const kernel = await readTensor(withBody("kernel", () => normalizePixels(bytes, shape, m, s)));
      assertClose(kernel, composed, 5e-7, `[${shape}]`); // one rounding of values near 2
    }
    assertThrows(() => normalizePixels(new Uint8Array(3), [1, 1, 1, 3], [0], [1]), RangeError, "3 means");
  },
);
