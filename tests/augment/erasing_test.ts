import { officialErasing } from "../../src/config/finetune_types.ts";
import { drawErasure, drawErasures, type ErasingDraws } from "../../src/augment/erasing.ts";
import { Random } from "../../src/util/random.ts";
import { assert, assertEquals, assertNotEquals } from "../deps.ts";

/** Draws from lists. */
function scripted(uniforms: number[], integers: number[]): ErasingDraws & { asked: number[] } {
  const asked: number[] = [];
  return {
    asked,
    uniform: (low, high) => low + (high - low) * (uniforms.shift() ?? NaN),
    integer: (limit) => (asked.push(limit), integers.shift() ?? NaN),
    bits: () => 77,
  };
}

Deno.test("drawErasure() draws chance, area, aspect, place and key", () => {
  // Area in the middle of 0.02 … 1/3 of 1000 pixels, aspect 1: sides of round(sqrt(176.7)) = 13.
  const draws = scripted([0.24, 0.5, 0.5], [3, 9]);
  const erasure = drawErasure([20, 50], officialErasing, draws);
  assertEquals(erasure, { box: { top: 3, left: 9, height: 13, width: 13 }, key: 77 });
  assertEquals(draws.asked, [8, 38]);
  assertEquals(drawErasure([20, 50], officialErasing, scripted([0.25], [])), null);
});

Deno.test("drawErasure() tries again while the rectangle is as large as the image, ten times at most", () => {
  const tall = [1, 0]; // a third of the area at aspect 0.3 is 24 columns wide
  const draws = scripted([0, ...tall, 0.5, 0.5], [0, 0]);
  assertEquals(drawErasure([24, 24], officialErasing, draws)?.box.height, 10);
  const wide = scripted([0, ...Array.from({ length: 10 }, () => tall).flat()], []);
  assertEquals(drawErasure([24, 24], officialErasing, wide), null);
});

Deno.test("drawErasures() erases a quarter of the images, within bounds, repeatably", () => {
  const erasures = drawErasures(4000, [32, 32], officialErasing, 1, 2);
  assertEquals(drawErasures(4000, [32, 32], officialErasing, 1, 2), erasures);
  assertNotEquals(drawErasures(4000, [32, 32], officialErasing, 1, 3), erasures);
  const erased = erasures.filter((erasure) => erasure !== null);
  let share = 0;
  for (const { box: { top, left, height, width } } of erased) {
    assert(top >= 0 && left >= 0 && top + height <= 32 && left + width <= 32 && height < 32 && width < 32);
    share += height * width / 1024;
  }
  assert(Math.abs(erased.length / 4000 - 0.25) < 0.03, `${erased.length} of 4000`);
  assert(Math.abs(share / erased.length - 0.176) < 0.02, `${share / erased.length} of the area`);
  assertEquals(new Set(erased.map(({ key }) => key)).size, erased.length);
});

Deno.test("drawErasure() finds no room but for an empty rectangle in an image of one pixel", () => {
  for (let i = 0; i < 50; i++) {
    const erasure = drawErasure([1, 1], { ...officialErasing, probability: 1 }, new Random(i));
    assertEquals((erasure?.box.height ?? 0) * (erasure?.box.width ?? 0), 0);
  }
});
