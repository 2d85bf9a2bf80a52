import { augmentForTraining, officialCropShare, transformForEvaluation } from "../../src/augment/augment.ts";
import type { CropDraws } from "../../src/augment/crop.ts";
import type { Image } from "../../src/images/image.ts";
import { flipHorizontally, resizeBicubic } from "../../src/images/resize.ts";
import { Random } from "../../src/util/random.ts";
import { assert, assertEquals } from "../deps.ts";
import { Fixture, fixtureJson } from "../support/fixtures.ts";
import { drawAndAugment, maeAugment, noise } from "../data/support.ts";

async function photo(fixture: Promise<Fixture>): Promise<Image> {
  const { data, shape: [height, width, channels] } = (await fixture).get("photo");
  return { data: data as Uint8Array, height, width, channels };
}

Deno.test("transformForEvaluation() gives the official pixels for every recorded size", async () => {
  const reading = Fixture.read("transforms.safetensors");
  const image = await photo(reading);
  const fixture = await reading;
  const cases = (await fixtureJson("transforms.json")).eval as {
    input_size: number;
    resize_short_side: number;
  }[];
  assertEquals(cases.length, 2);
  for (const { input_size: size, resize_short_side: side } of cases) {
    const expected = fixture.get(`eval_resize_${side}_center_${size}`).data;
    assertEquals(transformForEvaluation(image, [size, size], officialCropShare([size, size])), expected);
  }
});

Deno.test("transformForEvaluation() covers sizes of any proportion", () => {
  for (const [height, width] of [[5, 90], [90, 5], [32, 48], [1, 1]]) {
    const image = noise(height, width, 3);
    assertEquals(transformForEvaluation(image, [32, 48]).length, 32 * 48 * 3);
  }
  const exact = noise(32, 48, 4);
  assertEquals(transformForEvaluation(exact, [32, 48]), exact.data);
});

Deno.test("officialCropShare() crops 224 of 256 up to 224 and nothing above", () => {
  assertEquals([[32, 32], [224, 224], [225, 100], [448, 448]].map(([h, w]) => officialCropShare([h, w])), [
    224 / 256,
    224 / 256,
    1,
    1,
  ]);
});

/** Draws that take the whole image and then decide about the flip. */
function drawsWithFlip(flip: number): CropDraws & { left: number[] } {
  const left = [1, 0, flip];
  return { left, uniform: () => left.shift() ?? NaN, integer: () => 0 };
}

Deno.test("augmentForTraining() draws crop, then flip below one half", () => {
  const image = noise(12, 12, 3);
  const plain = resizeBicubic(image, { top: 0, left: 0, height: 12, width: 12 }, [6, 6]);
  const mirrored = plain.slice();
  flipHorizontally(mirrored, [6, 6], 3);
  for (const [draw, expected] of [[0.49, mirrored], [0.5, plain]] as const) {
    const draws = drawsWithFlip(draw);
    assertEquals(drawAndAugment(augmentForTraining, image, [6, 6], maeAugment, draws), expected);
    assertEquals(draws.left, []);
  }
  const unused = drawsWithFlip(0);
  assertEquals(
    drawAndAugment(augmentForTraining, image, [6, 6], { ...maeAugment, flip: false }, unused),
    plain,
  );
  assertEquals(unused.left, [0]);
});

Deno.test("augmentForTraining() is a function of its stream, and fills non-square sizes", () => {
  const image = noise(40, 30, 1);
  const one = drawAndAugment(augmentForTraining, image, [16, 24], maeAugment, new Random(1, 2));
  assertEquals(one.length, 16 * 24);
  assertEquals(drawAndAugment(augmentForTraining, image, [16, 24], maeAugment, new Random(1, 2)), one);
  const other = drawAndAugment(augmentForTraining, image, [16, 24], maeAugment, new Random(1, 3));
  assert(other.some((value, i) => value !== one[i]));
});

Deno.test("training pixels, normalised, are the recorded floats", async () => {
  // The normalised fixture is the same crop in NCHW without N, flipped and not.
  const fixture = await Fixture.read("transforms.safetensors");
  const { mean, std } = await fixtureJson("transforms.json") as { mean: number[]; std: number[] };
  const name = "crop_i10_j20_h80_w100_to32";
  const pixels = (fixture.get(name).data as Uint8Array).slice();
  flipHorizontally(pixels, [32, 32], 3);
  const expected = fixture.values(`${name}_flipped_normalized`);
  let largest = 0;
  for (let i = 0; i < 32 * 32; i++) {
    for (let c = 0; c < 3; c++) {
      const value = (pixels[i * 3 + c] / 255 - mean[c]) / std[c];
      largest = Math.max(largest, Math.abs(value - expected[c * 1024 + i]));
    }
  }
  assert(largest < 1e-6, `off by ${largest}`);
});
