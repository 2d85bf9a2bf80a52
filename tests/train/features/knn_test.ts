import { knnAccuracy, type LabelledFeatures } from "../../../src/train/features/knn.ts";
import { InputError } from "../../../src/util/errors.ts";
import { Random } from "../../../src/util/random.ts";
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "../../deps.ts";
import { testOnBackends, testOnWebGpu } from "../../support/backends.ts";

/** Vectors around one direction per class, of random lengths. */
function clusters(
  count: number,
  width: number,
  classes: number,
  spread: number,
  seed: number,
): LabelledFeatures {
  const random = new Random(seed);
  const shared = new Random(99);
  const centers = Array.from({ length: classes * width }, () => shared.normal());
  const labels = Uint32Array.from({ length: count }, () => random.integer(classes));
  const values = Float32Array.from(
    { length: count * width },
    (_, i) => centers[labels[Math.floor(i / width)] * width + i % width] + spread * random.normal(),
  );
  const scales = Float32Array.from({ length: count }, () => random.uniform(0.1, 9));
  return { values: values.map((value, i) => value * scales[Math.floor(i / width)]), width, labels };
}

/** The same by the definition, in plain loops. */
function bruteForce(
  bank: LabelledFeatures,
  queries: LabelledFeatures,
  k: number,
  temperature: number,
  classes: number,
): [top1: number, top5: number] {
  const row = ({ values, width }: LabelledFeatures, i: number) => {
    const vector = Array.from(values.subarray(i * width, (i + 1) * width));
    const length = Math.hypot(...vector);
    return vector.map((value) => value / length);
  };
  let [top1, top5] = [0, 0];
  queries.labels.forEach((label, q) => {
    const query = row(queries, q);
    const near = Array.from(bank.labels, (label, i) => {
      const similarity = row(bank, i).reduce((sum, value, j) => sum + value * query[j], 0);
      return { label, similarity };
    }).sort((a, b) => b.similarity - a.similarity).slice(0, k);
    const votes = Array<number>(classes).fill(0);
    for (const { label, similarity } of near) votes[label] += Math.exp(similarity / temperature);
    const order = votes.map((vote, label) => ({ vote, label })).filter(({ vote }) => vote > 0)
      .sort((a, b) => b.vote - a.vote || a.label - b.label).map(({ label }) => label);
    if (order[0] === label) top1++;
    if (order.slice(0, 5).includes(label)) top5++;
  });
  return [top1 / queries.labels.length, top5 / queries.labels.length];
}

testOnBackends("neighbours vote as a plain loop over all pairs has them", async () => {
  for (const [count, width, classes] of [[61, 12, 7], [40, 8, 3]]) {
    const [bank, queries] = [clusters(count, width, classes, 1.2, 1), clusters(29, width, classes, 1.2, 2)];
    for (const temperature of [0.07, 1]) {
      const found = await knnAccuracy(bank, queries, { ks: [1, 5, 20], temperature, classes });
      assertEquals(found.map(({ k }) => k), [1, 5, 20]);
      for (const { k, top1, top5 } of found) {
        const expected = bruteForce(bank, queries, k, temperature, classes);
        assertAlmostEquals(top1, expected[0], 1e-12);
        if (top5 !== null) assertAlmostEquals(top5, expected[1], 1e-12);
        assertEquals(top5 === null, classes <= 5);
        assert(expected[0] > 1 / classes && expected[0] < 1, `${expected[0]} shows nothing`);
      }
    }
  }
});

testOnWebGpu("votes of a very low temperature are the nearest neighbour's", async () => {
  const [bank, queries] = [clusters(80, 8, 6, 2, 3), clusters(30, 8, 6, 2, 4)];
  const [[one], [twenty]] = await Promise.all([
    knnAccuracy(bank, queries, { ks: [1], classes: 6 }),
    knnAccuracy(bank, queries, { ks: [20], classes: 6, temperature: 1e-6 }),
  ]);
  assertEquals(one.top1, twenty.top1);
});

testOnWebGpu("banks and queries that take several blocks are compared whole", async () => {
  // 2^26 bytes hold 1,024 vectors of this width, and 2^25 bytes 8,192 similarities to each of them.
  const width = 16384;
  const vectors = (labels: Uint32Array): LabelledFeatures => {
    const values = new Float32Array(labels.length * width);
    labels.forEach((label, i) => values[i * width + label] = 1 + i % 3);
    return { values, width, labels };
  };
  const bank = vectors(Uint32Array.from({ length: 1030 }, (_, i) => i));
  const queries = vectors(Uint32Array.of(0, 1023, 1024, 1029, 5));
  const shares: number[] = [];
  const [{ top1 }] = await knnAccuracy(bank, queries, {
    ks: [3],
    classes: 1030,
    onProgress: (share) => shares.push(share),
  });
  assertEquals([top1, shares.length, shares.at(-1)], [1, 2, 1]);
});

testOnWebGpu("more neighbours than there are images are refused", async () => {
  const bank = clusters(10, 8, 2, 1, 1);
  await assertRejects(
    () => knnAccuracy(bank, bank, { ks: [5, 11], classes: 2 }),
    InputError,
    "k 11 is more than the 10",
  );
});
