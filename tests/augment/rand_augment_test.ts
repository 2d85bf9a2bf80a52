import { officialRandAugment } from "../../src/config/finetune_types.ts";
import {
  applyOperation,
  type AugmentDraws,
  fillColor,
  operationArgument,
  type OperationName,
  operationNames,
  randAugment,
} from "../../src/augment/rand_augment.ts";
import { Random } from "../../src/util/random.ts";
import { assert, assertAlmostEquals, assertEquals } from "../deps.ts";
import { noise } from "../data/support.ts";

const fill = [124, 116, 104];

/** Draws from lists; notes what was asked. */
function scripted(
  integers: number[],
  uniforms: number[],
  normals: number[],
): AugmentDraws & { left(): number } {
  return {
    integer: () => integers.shift() ?? NaN,
    uniform: () => uniforms.shift() ?? NaN,
    normal: () => normals.shift() ?? NaN,
    left: () => integers.length + uniforms.length + normals.length,
  };
}

Deno.test("operationArgument() is timm's, increasing with the strength", () => {
  const expected: Record<OperationName, [at0: number, at9: number, at9Negated: number, at10: number]> = {
    AutoContrast: [0, 0, 0, 0],
    Equalize: [0, 0, 0, 0],
    Invert: [0, 0, 0, 0],
    Rotate: [0, 27, -27, 30],
    PosterizeIncreasing: [4, 1, 1, 0],
    SolarizeIncreasing: [256, 26, 26, 0],
    SolarizeAdd: [0, 99, 99, 110],
    ColorIncreasing: [1, 1.81, 0.19, 1.9],
    ContrastIncreasing: [1, 1.81, 0.19, 1.9],
    BrightnessIncreasing: [1, 1.81, 0.19, 1.9],
    SharpnessIncreasing: [1, 1.81, 0.19, 1.9],
    ShearX: [0, 0.27, -0.27, 0.3],
    ShearY: [0, 0.27, -0.27, 0.3],
    TranslateXRel: [0, 0.405, -0.405, 0.45],
    TranslateYRel: [0, 0.405, -0.405, 0.45],
  };
  assertEquals(operationNames, Object.keys(expected) as OperationName[]);
  for (const name of operationNames) {
    const found = [
      operationArgument(name, 0, () => false),
      operationArgument(name, 9, () => false),
      operationArgument(name, 9, () => true),
      operationArgument(name, 10, () => false),
    ];
    found.forEach((value, i) => assertAlmostEquals(value, expected[name][i], 1e-12, `${name} ${i}`));
  }
  assertEquals(operationArgument("PosterizeIncreasing", 7.4, () => false), 2);
});

Deno.test("fillColor() rounds half to even, as timm does", () => {
  assertEquals(fillColor([0.485, 0.456, 0.406]), [124, 116, 104]);
  assertEquals(fillColor([0.1, 0.3, 1, 2]), [26, 76, 255, 255]);
});

Deno.test("randAugment() draws operations first, then for each chance, strength, sign and interpolation", () => {
  const image = noise(12, 10, 3);
  const rotate = operationNames.indexOf("Rotate"), color = operationNames.indexOf("ColorIncreasing");
  const draws = scripted([rotate, color, 1], [0.49, 0.5, 0.2, 0.49], [8.5, 20]);
  const result = randAugment(image, { ...officialRandAugment, interpolation: "random" }, fill, draws);
  const rotated = applyOperation(image, "Rotate", -25.5, () => "bicubic", fill);
  assertEquals(result.data, applyOperation(rotated, "ColorIncreasing", 1.9, () => "bilinear", fill).data);
  assertEquals(draws.left(), 0);
});

Deno.test("randAugment() leaves operations out by chance, and cuts strengths below 0", () => {
  const image = noise(6, 6, 3);
  const skipped = scripted([0, 1], [0.5, 0.99], []);
  assertEquals(randAugment(image, officialRandAugment, fill, skipped), image);
  assertEquals(skipped.left(), 0);
  const weak = scripted([operationNames.indexOf("SolarizeAdd")], [0], [-3]);
  assertEquals(randAugment(image, { ...officialRandAugment, operations: 1 }, fill, weak).data, image.data);
});

Deno.test("randAugment() is a function of its stream, and draws every operation", () => {
  const image = noise(16, 16, 3);
  const one = randAugment(image, officialRandAugment, fill, new Random(1, 2)).data;
  assertEquals(randAugment(image, officialRandAugment, fill, new Random(1, 2)).data, one);
  let changed = 0;
  for (let i = 0; i < 400; i++) {
    const { data } = randAugment(image, officialRandAugment, fill, new Random(5, i));
    if (data.some((value, k) => value !== image.data[k])) changed++;
  }
  // A quarter of the images have both operations left out.
  assert(changed > 260 && changed < 340, `${changed} of 400 changed`);
  assertEquals(randAugment(noise(5, 5, 1), officialRandAugment, [1], new Random(3)).channels, 1);
});
