import { attentionStatistics, eachAttentionRow } from "../../src/models/attention_statistics.ts";
import { assertAlmostEquals, assertEquals, assertThrows } from "../deps.ts";

/** A packed product of one head of width 1 that sets all scores: q of token i is 1, k of token j is scores[j]. */
const packedOf = (scores: readonly number[]) => Float32Array.from(scores.flatMap((score) => [1, score, 0]));

Deno.test("equal scores give uniform attention, the largest entropy and the mean distance of the grid", () => {
  const layout = { heads: 1, grid: [1, 3], patchSize: [4, 10] } as const;
  const { classToken, classEntropy, entropy, distance } = attentionStatistics(packedOf([2, 2, 2, 2]), layout);
  assertEquals(classToken, [Float32Array.of(0.25, 0.25, 0.25, 0.25)]);
  assertAlmostEquals(classEntropy[0], Math.log(4), 1e-12);
  assertAlmostEquals(entropy[0], Math.log(4), 1e-12);
  // From the ends (0 + 10 + 20) / 3, from the middle (10 + 0 + 10) / 3; the class token's quarter does not count.
  assertAlmostEquals(distance[0], (10 + 20 / 3 + 10) / 3, 1e-12);
});

Deno.test("attention to one token has no entropy, and its distance is that to the patch", () => {
  const layout = { heads: 1, grid: [2, 2], patchSize: [3, 4] } as const;
  const last = attentionStatistics(packedOf([0, 0, 0, 0, 1e4]), layout);
  assertEquals(last.classToken, [Float32Array.of(0, 0, 0, 0, 1)]);
  assertEquals([last.classEntropy, last.entropy], [[0], [0]]);
  assertAlmostEquals(last.distance[0], (5 + 3 + 4 + 0) / 4, 1e-12);
  const onClass = attentionStatistics(packedOf([1e4, 0, 0, 0, 0]), layout);
  assertEquals([onClass.classToken[0][0], onClass.distance], [1, [0]]);
});

Deno.test("heads are kept apart, and what is no packed product is refused", () => {
  // Two heads of width 1, two tokens: the first head looks at the first token, the second at the second.
  const packed = Float32Array.of(1, 1, 50, 0, 0, 0, 1, 1, 0, 50, 0, 0);
  const { classToken } = attentionStatistics(packed, { heads: 2, grid: [1, 1], patchSize: [2, 2] });
  assertAlmostEquals(classToken[0][0], 1, 1e-9);
  assertAlmostEquals(classToken[1][1], 1, 1e-9);
  assertThrows(() => eachAttentionRow(packed, 2, 5, () => {}), RangeError, "5 heads for 2 tokens");
});
