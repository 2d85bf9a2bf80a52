import { drawBeta, drawGamma } from "../../src/util/distributions.ts";
import { Random } from "../../src/util/random.ts";
import { assert, assertAlmostEquals } from "../deps.ts";

/** Mean and variance of many draws. */
function moments(draw: (random: Random) => number): [mean: number, variance: number] {
  const random = new Random(11);
  const values = Array.from({ length: 20000 }, () => draw(random));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return [mean, values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length];
}

Deno.test("drawGamma() has its shape for mean and variance, below 1 and above", () => {
  for (const shape of [0.3, 0.8, 1, 2.5]) {
    const [mean, variance] = moments((random) => drawGamma(random, shape));
    assertAlmostEquals(mean, shape, 0.04, `mean for ${shape}`);
    assertAlmostEquals(variance, shape, 0.15, `variance for ${shape}`);
  }
});

Deno.test("drawBeta() has the mean and variance of the distribution", () => {
  for (const [a, b] of [[0.8, 0.8], [1, 1], [0.2, 0.2], [2, 5]]) {
    const [mean, variance] = moments((random) => drawBeta(random, a, b));
    assertAlmostEquals(mean, a / (a + b), 0.01);
    assertAlmostEquals(variance, a * b / ((a + b) ** 2 * (a + b + 1)), 0.005);
  }
  const random = new Random(1);
  for (let i = 0; i < 100; i++) {
    const value = drawBeta(random, 1e-3, 1e-3);
    assert(value >= 0 && value <= 1);
  }
});
