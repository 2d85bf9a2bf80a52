import { hashKeys, Random, Stream } from "../../src/util/random.ts";
import { assert, assertEquals, assertNotEquals } from "../deps.ts";

const draws = <T>(count: number, draw: () => T): T[] => Array.from({ length: count }, draw);

// Checkpoints hold a step and a seed, not a generator: were any of these bits to change, no old run could be resumed.
Deno.test("Random gives the same bits in every version", () => {
  assertEquals([hashKeys([]), hashKeys([0]), hashKeys([1, 2, 3]), hashKeys([2 ** 40 + 5], 2)], [
    2856213345,
    988983048,
    3636231181,
    399598388,
  ]);
  const bits = new Random(0, 1);
  assertEquals(draws(6, () => bits.bits()), [
    4239871433,
    2842998344,
    2970642078,
    1810965672,
    3394377808,
    3963823042,
  ]);
  const random = new Random(42, 3, 7, 2 ** 33);
  assertEquals(draws(4, () => random.uniform()), [
    0.4365246891975403,
    0.7534857392311096,
    0.9358578324317932,
    0.638577401638031,
  ]);
  assertEquals(draws(8, () => random.integer(10)), [4, 1, 7, 9, 2, 4, 2, 3]);
  assertEquals(draws(3, () => random.normal()), [
    -0.3021095825930266,
    -0.3373116381031824,
    -0.6305233081690155,
  ]);
  assertEquals([...new Random(1, 2, 0).permutation(10)], [3, 7, 1, 5, 6, 9, 2, 4, 0, 8]);
});

Deno.test("the streams of a seed keep their numbers", () => {
  assertEquals({ ...Stream }, {
    init: 1,
    order: 2,
    augment: 3,
    mask: 4,
    figure: 5,
    substitute: 6,
    mix: 7,
    erase: 8,
    split: 9,
    dropPath: 10,
  });
});

/** xoshiro128** as its authors define it, in whole numbers of any size. */
function* xoshiro(state: bigint[]): Generator<number> {
  const word = (x: bigint) => BigInt.asUintN(32, x);
  const rotate = (x: bigint, by: bigint) => word((x << by) | (x >> (32n - by)));
  while (true) {
    yield Number(word(rotate(word(state[1] * 5n), 7n) * 9n));
    const t = word(state[1] << 9n);
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= t;
    state[3] = rotate(state[3], 11n);
  }
}

Deno.test("Random.bits() is xoshiro128**", () => {
  for (const keys of [[], [0], [7, 4, 123], [2 ** 53 - 1]]) {
    const state = [1, 2, 3, 4].map((salt) => BigInt(hashKeys(keys, salt)));
    state[3] |= 1n;
    const expected = xoshiro(state);
    const random = new Random(...keys);
    for (let i = 0; i < 1000; i++) assertEquals(random.bits(), expected.next().value);
  }
});

Deno.test("hashKeys() tells apart keys of any size, their order and their number", () => {
  const lists = [
    [],
    [0],
    [0, 0],
    [1],
    [1, 0],
    [0, 1],
    [2 ** 32],
    [2 ** 32 + 1],
    [2 ** 53 - 1],
    [2 ** 21 - 1],
  ];
  assertEquals(new Set(lists.map((keys) => hashKeys(keys))).size, lists.length);
  assertEquals(new Set(lists.map((_, salt) => hashKeys([5], salt))).size, lists.length);
});

Deno.test("hashKeys() of successive steps looks random in every bit", () => {
  const ones = new Array<number>(32).fill(0);
  for (let step = 0; step < 4000; step++) {
    const hash = hashKeys([0, Stream.mask, step]);
    for (let bit = 0; bit < 32; bit++) ones[bit] += (hash >>> bit) & 1;
  }
  // 2000 ± 32 is one standard deviation; five of them
  for (const count of ones) assert(Math.abs(count - 2000) < 160, `a bit is set ${count} times of 4000`);
});

Deno.test("Random.uniform() is uniform, below its end, and exact in float32", () => {
  const random = new Random(1);
  const bins = new Array<number>(16).fill(0);
  for (let i = 0; i < 16_000; i++) {
    const value = random.uniform();
    assert(value >= 0 && value < 1 && Math.fround(value) === value);
    bins[Math.floor(16 * value)]++;
  }
  const chi2 = bins.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
  assert(chi2 < 40, `chi² of 15 degrees of freedom is ${chi2}`);
  for (let i = 0; i < 1000; i++) {
    const value = random.uniform(-3, 5);
    assert(value >= -3 && value < 5);
  }
});

Deno.test("Random.integer() is uniform within its bounds", () => {
  const random = new Random(2);
  const counts = new Array<number>(7).fill(0);
  for (let i = 0; i < 7000; i++) counts[random.integer(7)]++;
  const chi2 = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
  assert(chi2 < 28, `chi² of 6 degrees of freedom is ${chi2}`);
  for (let i = 0; i < 100; i++) assertEquals(random.integer(1), 0);
  let aboveHalf = 0;
  for (let i = 0; i < 1000; i++) aboveHalf += random.integer(2 ** 32) >= 2 ** 31 ? 1 : 0;
  assert(Math.abs(aboveHalf - 500) < 80);
  // 3·2^30 is the limit at which a plain remainder would draw a third of the numbers twice as often.
  let low = 0;
  for (let i = 0; i < 3000; i++) low += random.integer(3 * 2 ** 30) < 2 ** 30 ? 1 : 0;
  assert(Math.abs(low - 1000) < 130, `${low} of 3000 are in the lowest third`);
});

Deno.test("Random.normal() has the mean and deviation asked for", () => {
  const random = new Random(3);
  const values = draws(20_000, () => random.normal(5, 2));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  assert(Math.abs(mean - 5) < 0.07 && Math.abs(Math.sqrt(variance) - 2) < 0.05, `${mean} ± ${variance}`);
  const outside = values.filter((value) => Math.abs(value - 5) > 4).length / values.length;
  assert(Math.abs(outside - 0.0455) < 0.01, `${outside} are beyond two deviations`);
  assert(values.every(Number.isFinite));
});

Deno.test("Random.permutation() holds each number once, and every order is as likely", () => {
  for (const count of [0, 1, 2, 1000]) {
    assertEquals(
      [...new Random(4).permutation(count)].sort((a, b) => a - b),
      Array.from(Array(count).keys()),
    );
  }
  const orders = new Map<string, number>();
  for (let key = 0; key < 6000; key++) {
    const order = new Random(5, key).permutation(3).join();
    orders.set(order, (orders.get(order) ?? 0) + 1);
  }
  assertEquals(orders.size, 6);
  for (const count of orders.values()) assert(Math.abs(count - 1000) < 150, `an order comes ${count} times`);
});

Deno.test("Random.uniformArray() is a run of uniform()", () => {
  const random = new Random(6);
  assertEquals([...new Random(6).uniformArray(5)], draws(5, () => random.uniform()));
  assertNotEquals([...new Random(6).uniformArray(5)], [...new Random(7).uniformArray(5)]);
});
