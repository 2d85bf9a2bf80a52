import { colorOf } from "../../src/report/color_map.ts";
import { assert, assertEquals } from "../deps.ts";

/** OKLab of an sRGB colour. */
function labOf(color: readonly number[]): number[] {
  const [r, g, b] = color.map((byte) => {
    const value = byte / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
  ];
}

Deno.test("colorOf() rises in lightness, by equal steps of colour", () => {
  const colors = Array.from({ length: 17 }, (_, i) => labOf(colorOf(i / 16)));
  const steps = colors.slice(1).map((lab, i) => Math.hypot(...lab.map((value, j) => value - colors[i][j])));
  const mean = steps.reduce((sum, step) => sum + step, 0) / steps.length;
  for (const [i, step] of steps.entries()) {
    assert(Math.abs(step - mean) < 0.1 * mean, `step ${i} is ${step}, the mean ${mean}`);
    assert(colors[i + 1][0] > colors[i][0] + 0.02, `lightness does not rise in step ${i}`);
  }
  assert(colors[0][0] < 0.2 && colors[16][0] > 0.95);
});

Deno.test("colorOf() takes numbers beyond for the nearer end, and NaN for the dark one", () => {
  assertEquals([colorOf(-3), colorOf(NaN)], [colorOf(0), colorOf(0)]);
  assertEquals(colorOf(7), colorOf(1));
  assertEquals(colorOf(0.4), colorOf(0.4));
});
