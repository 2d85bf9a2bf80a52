import { jitterColors } from "../../src/augment/color_jitter.ts";
import { adjustBrightness, adjustContrast, adjustSaturation } from "../../src/augment/colors.ts";
import type { CropDraws } from "../../src/augment/crop.ts";
import { Random } from "../../src/util/random.ts";
import { assertEquals } from "../deps.ts";
import { noise } from "../data/support.ts";

Deno.test("jitterColors() draws an order, then factors around 1, and applies them in that order", () => {
  const image = noise(9, 8, 3);
  const ranges: [number, number][] = [];
  const integers = [0, 1];
  const draws: CropDraws = {
    integer: () => integers.shift() ?? NaN,
    uniform: (low, high) => {
      ranges.push([low, high]);
      return high;
    },
  };
  const jittered = jitterColors(image, { brightness: 0.4, contrast: 0.3, saturation: 2 }, draws);
  assertEquals(ranges, [[0.6, 1.4], [0.7, 1.3], [0, 3]]);
  // Order 0 1 2, then 2 swapped with 0, then 1 with 1: saturation, contrast, brightness.
  const expected = adjustBrightness(adjustContrast(adjustSaturation(image, 3), 1.3), 1.4);
  assertEquals(jittered.data, expected.data);
});

Deno.test("jitterColors() leaves alone what has strength 0, and draws nothing for it", () => {
  const image = noise(4, 4, 3);
  let drawn = 0;
  const draws: CropDraws = { integer: () => 0, uniform: (low) => (drawn++, low) };
  assertEquals(jitterColors(image, { brightness: 0, contrast: 0, saturation: 0 }, draws), image);
  assertEquals(drawn, 0);
  const gray = noise(4, 4, 1);
  const settings = { brightness: 0, contrast: 0, saturation: 0.9 };
  assertEquals(jitterColors(gray, settings, new Random(1)).data, gray.data);
});
