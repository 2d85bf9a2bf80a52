import { Limiter, mapSideBySide } from "../../src/util/limiter.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";

Deno.test("Limiter runs tasks in order, no more than so many at a time, whatever fails", async () => {
  const limiter = new Limiter(3);
  let running = 0, most = 0;
  const started: number[] = [];
  const task = (i: number) =>
    limiter.run(async () => {
      started.push(i);
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, i % 4));
      running--;
      if (i % 5 === 0) throw new Error(`${i}`);
      return i;
    });
  const settled = await Promise.allSettled(Array.from({ length: 40 }, (_, i) => task(i)));
  assertEquals(started, Array.from({ length: 40 }, (_, i) => i));
  assertEquals([most, running], [3, 0]);
  assert(settled.every((result, i) => result.status === (i % 5 === 0 ? "rejected" : "fulfilled")));
  await assertRejects(() => limiter.run(() => Promise.reject(new Error("again"))), Error, "again");
  assertEquals(await limiter.run(() => Promise.resolve(1)), 1);
});

Deno.test("mapSideBySide() keeps the order, the bound, and begins nothing after a failure", async () => {
  let [running, most] = [0, 0];
  const task = async (item: number) => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, item % 3));
    running--;
    return 2 * item;
  };
  const items = Array.from({ length: 20 }, (_, i) => i);
  assertEquals(await mapSideBySide(items, 4, task), items.map((item) => 2 * item));
  assertEquals([most, await mapSideBySide([], 4, task)], [4, []]);
  const begun: number[] = [];
  const failing = (item: number) => {
    begun.push(item);
    return item === 2 ? Promise.reject(new Error("the third fails")) : Promise.resolve(item);
  };
  await assertRejects(() => mapSideBySide(items, 2, failing), Error, "the third fails");
  assert(begun.length < 8, `${begun}`);
});
