import { assert, assertEquals } from "../deps.ts";
import type { Size } from "../../src/config/types.ts";
import { sampleNoise } from "../../src/models/mask_sampling.ts";
import { argsort, keptCount } from "../../src/ops/tokens/masking.ts";
import { Random } from "../../src/util/random.ts";

/** Kept patches of one image as a grid of booleans. */
function keptGrid(noise: Float32Array, length: number, ratio: number): boolean[] {
  const kept = new Set(argsort(noise).subarray(0, keptCount(length, ratio)));
  return Array.from({ length }, (_, patch) => kept.has(patch));
}

/** Share of neighbouring pairs of patches with the same fate. */
function clumping(kept: boolean[], [rows, columns]: Size): number {
  let [same, pairs] = [0, 0];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column + 1 < columns; column++) {
      pairs++;
      if (kept[row * columns + column] === kept[row * columns + column + 1]) same++;
    }
  }
  return same / pairs;
}

Deno.test("grid sampling keeps one patch of every two by two", () => {
  const noise = sampleNoise({ ratio: 0.75, sampling: "grid" }, [4, 6], 2, new Random(1));
  for (const image of [noise.subarray(0, 24), noise.subarray(24)]) {
    const kept = keptGrid(image, 24, 0.75);
    assertEquals(kept.flatMap((value, i) => value ? [i] : []), [0, 2, 4, 12, 14, 16]);
  }
});

Deno.test("random sampling keeps every patch equally often", () => {
  const counts = new Float64Array(16);
  const noise = sampleNoise({ ratio: 0.75, sampling: "random" }, [4, 4], 4000, new Random(2));
  for (let n = 0; n < 4000; n++) {
    for (const patch of argsort(noise.subarray(16 * n, 16 * n + 16)).subarray(0, 4)) counts[patch]++;
  }
  for (const count of counts) {
    assert(Math.abs(count - 1000) < 150, `a patch was kept ${count} times of 1000 expected`);
  }
});

Deno.test("block sampling removes connected regions, and exactly as many patches as asked", () => {
  const grid: Size = [14, 14];
  const mean = (sampling: "block" | "random", ratio: number) => {
    const noise = sampleNoise({ ratio, sampling }, grid, 50, new Random(3));
    let sum = 0;
    for (let n = 0; n < 50; n++) {
      const kept = keptGrid(noise.subarray(196 * n, 196 * n + 196), 196, ratio);
      assertEquals(kept.filter(Boolean).length, keptCount(196, ratio));
      sum += clumping(kept, grid);
    }
    return sum / 50;
  };
  for (const ratio of [0.5, 0.75]) {
    const [block, random] = [mean("block", ratio), mean("random", ratio)];
    assert(block > random + 0.1, `neighbours agree in ${block} of pairs, at random in ${random}`);
  }
});

Deno.test("block sampling works on grids smaller than a block", () => {
  const noise = sampleNoise({ ratio: 0.5, sampling: "block" }, [2, 2], 1, new Random(1));
  assertEquals(keptGrid(noise, 4, 0.5).filter(Boolean).length, 2);
});
