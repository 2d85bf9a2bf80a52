import { orderOf } from "../../src/data/order.ts";
import { epochOrder } from "../../src/data/sampler.ts";
import { passKeys, ShardPass } from "../../src/data/shard_order.ts";
import type { Shard } from "../../src/sources/source.ts";
import { assert, assertEquals, assertNotEquals } from "../deps.ts";

const shardsOf = (...sizes: number[]): Shard[] => sizes.map((samples, i) => ({ name: `${i}.tar`, samples }));

function pass(shards: readonly Shard[], buffer: number, open: number, keys = passKeys(1, 0, 0)): number[] {
  const drawn = new ShardPass(shards, { buffer, shards: open }, keys);
  return Array.from({ length: shards.reduce((sum, { samples }) => sum + samples, 0) }, () => drawn.next());
}

const sorted = (samples: Iterable<number>) => [...samples].sort((a, b) => a - b);
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

Deno.test("a pass over shards gives each sample once, whatever the shards, the buffer and the seed", () => {
  for (const sizes of [[1], [5, 0, 3], [7, 7, 7, 7], [0, 0, 100, 1], [13, 1, 1, 1, 1, 40]]) {
    const shards = shardsOf(...sizes);
    const all = upTo(sizes.reduce((sum, size) => sum + size, 0));
    for (const [buffer, open] of [[1, 1], [4, 2], [1000, 3], [10, 100]]) {
      for (const seed of [1, 2]) assertEquals(sorted(pass(shards, buffer, open, [seed])), all);
    }
  }
});

Deno.test("a pass with no buffer reads whole shards in random order, or a few of them in turn", () => {
  const shards = shardsOf(3, 3, 3, 3, 3, 3);
  const single = pass(shards, 1, 1);
  for (let i = 0; i < 18; i += 3) {
    assertEquals(single.slice(i, i + 3), [single[i], single[i] + 1, single[i] + 2]);
  }
  assertNotEquals(single, upTo(18));
  const pairs = pass(shards, 1, 2);
  const [a, b] = pairs;
  assertEquals(pairs.slice(0, 6), [a, b, a + 1, b + 1, a + 2, b + 2]);
  assertEquals(pairs.filter((sample) => sample % 3 === 0), single.filter((sample) => sample % 3 === 0));
});

Deno.test("a pass draws from no more samples than the buffer and the open shards hold", () => {
  const [size, buffer, open] = [100, 50, 4];
  const shards = shardsOf(...Array<number>(40).fill(size));
  const seen = new Map<number, { first: number; last: number }>();
  pass(shards, buffer, open).forEach((sample, position) => {
    const shard = Math.floor(sample / size);
    const { first } = seen.get(shard) ?? { first: position };
    seen.set(shard, { first, last: position });
  });
  let most = 0;
  for (let position = 0; position < 4000; position += 10) {
    const alive = [...seen.values()].filter(({ first, last }) => first <= position && position <= last);
    most = Math.max(most, alive.length);
  }
  // A shard is done with once the last of its samples has left the buffer, which takes a few times the buffer's length.
  assert(most >= open && most <= open + 2 * open, `${most} shards at a time`);
});

Deno.test("a buffer as large as the data set shuffles it wholly", () => {
  const shards = shardsOf(10, 10, 10);
  const sums = new Float64Array(30);
  for (let seed = 0; seed < 2000; seed++) {
    pass(shards, 30, 2, [seed]).forEach((sample, position) => sums[position] += sample);
  }
  for (const sum of sums) assert(Math.abs(sum / 2000 - 14.5) < 1, `${sum / 2000}`); // deviation 0.19
});

Deno.test("orderOf() keeps the permutation of files, bit for bit", () => {
  const order = orderOf({ length: 11 }, 5, 3);
  const expected = [...epochOrder(5, 0, 11, 3), ...epochOrder(5, 1, 11, 3)];
  const drawn = [[0, 0, 20], [0, 20, 13], [1, 0, 33]].flatMap(([epoch, first, count]) => [
    ...order.draw(epoch, first, count),
  ]);
  assertEquals(drawn, expected);
});

Deno.test("orderOf() of shards is a function of seed, epoch and position, wherever one starts", () => {
  const source = { length: 30, shards: shardsOf(10, 4, 9, 7) };
  const settings = { buffer: 6, shards: 2 };
  const whole = orderOf(source, 3, 2, settings);
  const epochs = [0, 1].map((epoch) => whole.draw(epoch, 0, 60));
  assertEquals(sorted(epochs[0].subarray(0, 30)), upTo(30)); // each repetition is a pass of its own
  assertEquals(sorted(epochs[0].subarray(30)), upTo(30));
  assertNotEquals(epochs[0].subarray(0, 30), epochs[0].subarray(30));
  assertNotEquals(epochs[0], epochs[1]);
  const other = orderOf(source, 3, 2, settings);
  for (
    const [epoch, first, count] of [[1, 47, 5], [1, 52, 3], [0, 29, 4], [0, 30, 1], [0, 2, 8], [1, 0, 1]]
  ) {
    assertEquals(other.draw(epoch, first, count), epochs[epoch].slice(first, first + count));
  }
  assertNotEquals(orderOf(source, 4, 2, settings).draw(0, 0, 30), epochs[0].slice(0, 30));
  assertNotEquals(orderOf(source, 3, 2, { buffer: 7, shards: 2 }).draw(0, 0, 30), epochs[0].slice(0, 30));
});

Deno.test("orderOf() finds its way through a billion samples without an array of them", () => {
  const shards = shardsOf(...Array<number>(100_000).fill(10_000));
  const before = Deno.memoryUsage().rss;
  const started = performance.now();
  const order = orderOf({ length: 1e9, shards }, 1, 1);
  const drawn = order.draw(0, 1_000_000, 1000);
  const seconds = (performance.now() - started) / 1000;
  assertEquals(new Set(drawn).size, 1000);
  assert(drawn.some((sample) => sample > 5e8));
  assert(Deno.memoryUsage().rss - before < 2e8);
  assert(seconds < 5, `${seconds} s`); // 0.1 s on an idle machine
});
