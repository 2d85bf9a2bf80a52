/** What a pool does when its workers crash, stall or cannot start. */
import { assertEquals, assertRejects } from "../deps.ts";
import { LostWorkerError, type PoolOptions, WorkerPool } from "../../src/data/pool.ts";
import type { Item, RenderSettings } from "../../src/data/render.ts";
import { renderSamples } from "../../src/data/render_samples.ts";
import { fileSource } from "../../src/sources/source.ts";
import { maeAugment } from "./support.ts";

const settings: RenderSettings = {
  imageSize: [1, 1],
  channels: 1,
  exif: "ignore",
  augment: maeAugment,
  seed: 0,
};

/** A worker that writes position + 1 into each item's slot, after `deed` has been done with `worker` and `position` at hand. */
function workerThat(deed: string): string {
  const code = `
    let worker = 0;
    self.onmessage = ({ data }) => {
      if (data.kind === "setup") { worker = data.worker; return; }
      const takers = new Int32Array(data.takers), pixels = new Uint8Array(data.pixels);
      let count = 0;
      data.items.forEach(({ slot, position }, i) => {
        if (Atomics.compareExchange(takers, i, 0, worker) !== 0) return;
        ${deed}
        pixels[slot] = position + 1;
        count++;
      });
      self.postMessage({ kind: "report", id: data.id, count, failures: [] });
    };`;
  return `data:application/javascript,${encodeURIComponent(code)}`;
}

const items = (count: number): Item[] =>
  Array.from({ length: count }, (_, slot) => ({
    slot,
    position: slot,
    location: { kind: "file", path: `${slot}.png` },
  }));

/** Runs what is given on a pool whose restarts are collected. */
async function withPool(
  deed: string,
  count: number,
  run: (pool: WorkerPool, restarts: string[]) => Promise<void>,
  options: PoolOptions = {},
): Promise<void> {
  const restarts: string[] = [];
  const pool = new WorkerPool(settings, count, {
    workerUrl: workerThat(deed),
    onRestart: (message) => restarts.push(message),
    ...options,
  });
  try {
    await run(pool, restarts);
  } finally {
    pool.close();
  }
}

/** Three batches at once, so that a lost worker leaves something in several. */
async function threeBatches(pool: WorkerPool): Promise<void> {
  const batches = [1, 2, 3].map(() => new SharedArrayBuffer(8));
  const failures = await Promise.all(batches.map((batch) => pool.render(batch, 0, items(8))));
  assertEquals(failures, [[], [], []]);
  for (const batch of batches) assertEquals([...new Uint8Array(batch)], [1, 2, 3, 4, 5, 6, 7, 8]);
}

Deno.test("WorkerPool: what a crashed worker had in hand is made by its successor", async () => {
  const deed = `if (worker === 1 && position >= 5) throw new Error("bang");`;
  await withPool(deed, 1, async (pool, restarts) => {
    await threeBatches(pool);
    assertEquals(restarts.length, 1);
    assertEquals(restarts[0].startsWith("A data worker crashed: "), true);
    assertEquals(restarts[0].includes("bang; another one takes its place"), true);
    await threeBatches(pool);
    assertEquals(restarts.length, 1);
  });
  await withPool(deed, 3, async (pool, restarts) => {
    await threeBatches(pool);
    assertEquals(restarts.length <= 1, true); // the others may have been quicker
  });
});

Deno.test("WorkerPool: a worker that stalls is replaced; one that is only slow is not", async () => {
  const sleep = "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0";
  // One worker, so that it is the one that gets the image; three seconds, so that starting it on a busy machine is no stall.
  await withPool(`if (worker === 1 && position === 2) ${sleep});`, 1, async (pool, restarts) => {
    await threeBatches(pool);
    assertEquals(restarts, ["A data worker got nothing done in 3 seconds; another one takes its place"]);
  }, { stallSeconds: 3 });
  await withPool(`${sleep}, 50);`, 2, async (pool, restarts) => {
    await threeBatches(pool);
    assertEquals(restarts, []);
  }, { stallSeconds: 10 });
});

Deno.test("WorkerPool: an image that costs two workers ends the pool, and is named", async () => {
  const deed = `if (position === 5) throw new Error("bang");`;
  await withPool(deed, 2, async (pool) => {
    const error = await assertRejects(
      () => pool.render(new SharedArrayBuffer(8), 0, items(8)),
      LostWorkerError,
    );
    assertEquals(error.slot, 5);
    await assertRejects(() => pool.render(new SharedArrayBuffer(8), 0, items(8)), LostWorkerError);
  });
  await withPool(deed, 2, async (pool) => {
    const source = fileSource("photos", ["a.png", "b.png", "c.png", "d.png", "e.png", "f.png"]);
    const places = [0, 1, 2, 3, 4, 5].map((sample) => ({ sample, slot: sample, position: sample }));
    await assertRejects(
      () => renderSamples(pool, source, new SharedArrayBuffer(6), 0, places),
      Error,
      "Two data workers were lost over the same image; the second crashed: Uncaught Error: bang (photos/f.png)",
    );
  });
});

Deno.test("WorkerPool: a worker that is lost before it did anything is tried once more", async () => {
  await withPool("", 1, async (pool, restarts) => {
    await assertRejects(() => pool.render(new SharedArrayBuffer(8), 0, items(8)), LostWorkerError, "crashed");
    assertEquals(restarts.length, 1);
  }, { workerUrl: new URL("./no_such_worker.js", import.meta.url) });
});
