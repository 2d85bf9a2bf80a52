import { assertEquals, assertThrows } from "../../deps.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { readTensor } from "../../../src/gpu/tensors.ts";
import type { Size } from "../../../src/config/types.ts";
import {
  type ImageShape,
  normalizePixels,
  patchifyPixels,
} from "../../../src/ops/pixels/normalize_pixels.ts";
import { withBody } from "../../../src/ops/operation.ts";
import { patchGrid, patchify, unpatchify } from "../../../src/ops/pixels/patchify.ts";
import { reconstructionTarget } from "../../../src/ops/loss/pixel_loss.ts";
import { Random } from "../../../src/util/random.ts";
import { testOnBackends } from "../../support/backends.ts";
import { assertClose, randomTensor } from "../../support/compare.ts";
import { Fixture } from "../../support/fixtures.ts";
import { testOnTargets } from "../../support/targets.ts";

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
      for (const pixels of [bytes, unitsOf(bytes)]) {
        const composed = await readTensor(withBody("composed", () => normalizePixels(pixels, shape, m, s)));
        const kernel = await readTensor(withBody("kernel", () => normalizePixels(pixels, shape, m, s)));
        assertClose(kernel, composed, 5e-7, `[${shape}]`); // one rounding of values near 2
      }
    }
    assertThrows(() => normalizePixels(new Uint8Array(3), [1, 1, 1, 3], [0], [1]), RangeError, "3 means");
  },
);

/** Bytes as the floats that count as much. */
function unitsOf(bytes: Uint8Array): Float32Array {
  return Float32Array.from(bytes, (value) => value / 255);
}

testOnBackends("normalizePixels() takes floats of any size as they are, on both bodies", async () => {
  const pixels = Float32Array.of(-3, 0, 0.5, 1, 7, 1e6);
  for (const body of ["composed", "kernel"] as const) {
    const normalized = withBody(body, () => normalizePixels(pixels, [1, 1, 3, 2], [1, -1], [2, 0.5]));
    assertEquals([...await readTensor(normalized)], [-2, 2, -0.25, 4, 3, 2000002], body);
  }
});

// Patches whose rows of pixels are a multiple of four values, or not, and batches whose size is none
const patchShapes: [ImageShape, Size][] = [
  [[2, 8, 12, 3], [4, 4]],
  [[3, 6, 4, 5], [3, 2]],
  [[1, 3, 5, 1], [1, 1]],
  [[1, 3, 9, 3], [3, 3]],
  [[70, 16, 16, 4], [8, 4]],
  [[2, 28, 28, 3], [14, 14]],
];

for (const [shape, patchSize] of patchShapes) {
  const random = new Random(5);
  const bytes = Uint8Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.integer(256));
  const [m, s] = [[...mean, 0.5, 0.4].slice(0, shape[3]), [...std, 0.25, 0.2].slice(0, shape[3])];
  const title = `[${shape}] in ${patchSize.join("x")}`;

  testOnTargets(
    `patchify() and patchifyPixels(): kernels equal the composed ones, ${title}`,
    async (record) => {
      const images = randomTensor(shape, 1);
      const [cut, cutByKernel] = (["composed", "kernel"] as const).map((body) =>
        record(() => withBody(body, () => patchify(images, patchSize)))
      );
      assertEquals(await readTensor(cutByKernel), await readTensor(cut));
      for (const pixels of [bytes, unitsOf(bytes)]) {
        const [made, madeByKernel] = (["composed", "kernel"] as const).map((body) =>
          record(() => withBody(body, () => patchifyPixels(pixels, shape, patchSize, m, s)))
        );
        assertEquals(madeByKernel.shape, made.shape);
        // one rounding of values near 2
        assertClose(await readTensor(madeByKernel), await readTensor(made), 5e-7, title);
      }
    },
  );
}

testOnBackends("patchify() takes images that were cast from integers", async () => {
  const integers = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 4, 1], "int32");
  const patches = patchify(tf.cast(integers, "float32"), [2, 2]);
  assertEquals([...await readTensor(patches)], [1, 2, 5, 6, 3, 4, 7, 8]);
});

testOnBackends(
  "patchifyPixels() reads bytes wherever they start, and refuses what does not fit",
  async () => {
    const memory = Uint8Array.from({ length: 33 }, (_, i) => 7 * i);
    const expected = patchify(normalizePixels(memory.slice(1), [2, 4, 4, 1], [0.5], [0.25]), [2, 2]);
    const patches = patchifyPixels(memory.subarray(1), [2, 4, 4, 1], [2, 2], [0.5], [0.25]);
    assertClose(await readTensor(patches), await readTensor(expected), 5e-7, "patches");
    const cut = (patchSize: Size) => patchifyPixels(memory.slice(1), [2, 4, 4, 1], patchSize, [0], [1]);
    assertThrows(() => cut([3, 2]), RangeError, "no whole number of 3x2 patches");
    assertThrows(() => patchifyPixels(memory, [2, 4, 4, 1], [2, 2], [0], [1]), RangeError, "33 values");
  },
);
