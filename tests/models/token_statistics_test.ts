import { effectiveRank, type TokenStatistics, tokenStatistics } from "../../src/models/token_statistics.ts";
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "../deps.ts";
import { fixtureJson } from "../support/fixtures.ts";

/** Rows of values as tokens. */
const tokensOf = (...rows: number[][]) => Float32Array.from(rows.flat());
const unit = (width: number, i: number) => Array.from({ length: width }, (_, j) => i === j ? 1 : 0);

Deno.test("tokenStatistics() agrees with numpy", async () => {
  type Case = TokenStatistics & { rows: number; columns: number; offset: number };
  for (const expected of Object.values(await fixtureJson("token_statistics.json")) as Case[]) {
    const { rows, columns, offset } = expected;
    const tokens = Float32Array.from({ length: rows * columns }, (_, at) => {
      const [i, j] = [Math.floor(at / columns), at % columns];
      return (31 * i * i + 17 * j * j + 7 * i * j) % 97 / 97 + offset;
    });
    const actual = tokenStatistics(tokens, columns);
    for (const name of ["effectiveRank", "classCosine", "patchNorm", "classNorm"] as const) {
      assertAlmostEquals(actual[name], expected[name], 1e-6, `${name} of ${rows} x ${columns}`);
    }
    if (expected.patchCosine === null) assertEquals(actual.patchCosine, NaN);
    else assertAlmostEquals(actual.patchCosine, expected.patchCosine, 1e-6);
  }
});

Deno.test("identical tokens have rank 1 and cosine 1, orthogonal ones as many ranks as patches and cosine 0", () => {
  const row = [3, 0.1, -7, 2.5, 1e-3];
  const same = tokenStatistics(tokensOf(...Array(13).fill(row)), 5);
  assertAlmostEquals(same.effectiveRank, 1, 1e-6);
  assertAlmostEquals(same.patchCosine, 1, 1e-12);
  assertAlmostEquals(same.classCosine, 1, 1e-12);
  assertAlmostEquals(same.patchNorm, same.classNorm, 1e-12);

  const apart = tokenStatistics(tokensOf(...Array.from({ length: 7 }, (_, i) => unit(8, i))), 8);
  assertAlmostEquals(apart.effectiveRank, 6, 1e-9);
  assertAlmostEquals(apart.patchCosine, 0, 1e-12);
  assertAlmostEquals(apart.classCosine, 0, 1e-12);
  assertAlmostEquals(apart.patchNorm, 1, 1e-12);
});

Deno.test("effectiveRank() does not depend on scale or orientation", () => {
  // Singular values 2, 1 and 1: the entropy of a half and two quarters is 1.5 ln 2.
  const tall = tokensOf([2, 0, 0], [0, 0, 1], [0, -1, 0], [0, 0, 0]);
  const wide = tokensOf([2, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0]);
  for (const scale of [1, 1e-18, 1e18]) {
    assertAlmostEquals(effectiveRank(tall.map((value) => value * scale), 3), 2 ** 1.5, 1e-6);
    assertAlmostEquals(effectiveRank(wide.map((value) => value * scale), 4), 2 ** 1.5, 1e-6);
  }
});

Deno.test("tokenStatistics() answers odd tokens with NaN or 0, and refuses what are none", () => {
  const zero = tokenStatistics(new Float32Array(12), 4);
  assertEquals(zero, { effectiveRank: 0, patchCosine: 0, classCosine: 0, patchNorm: 0, classNorm: 0 });
  const broken = tokenStatistics(tokensOf([1, 2], [3, NaN], [1, 1]), 2);
  assert(Object.values(broken).slice(0, 4).every(Number.isNaN));
  assertEquals(tokenStatistics(tokensOf([1, 2], [2, 1]), 2).patchCosine, NaN);
  assertThrows(() => tokenStatistics(new Float32Array(4), 4), RangeError, "class token and patch tokens");
  assertThrows(() => tokenStatistics(new Float32Array(9), 4), RangeError, "4 values each");
});
