import { joinSources } from "../../src/sources/joined_source.ts";
import { openLoader } from "../../src/data/loader.ts";
import { sharesOf } from "../../src/data/mixed_order.ts";
import { orderOf } from "../../src/data/order.ts";
import { fileSource, type ImageSource, namesOf, subsetOf } from "../../src/sources/source.ts";
import { InputError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertNotEquals, assertThrows } from "../deps.ts";
import { inFolder, maeAugment, writeImages } from "../data/support.ts";

/** A source of so many made-up files. */
function files(root: string, count: number): ImageSource {
  return fileSource(root, Array.from({ length: count }, (_, i) => `${i}.png`), 1);
}

function inShards(root: string, ...sizes: number[]): ImageSource {
  const shards = sizes.map((samples, i) => ({ name: `${i}.tar`, samples }));
  return { ...files(root, sizes.reduce((sum, size) => sum + size, 0)), shards };
}

const join = (...entries: [ImageSource, number | null][]) =>
  joinSources(entries.map(([source, weight]) => ({ source, weight })));

/** How often each sample is drawn. */
function counts(samples: Iterable<number>, length: number): number[] {
  const found = Array<number>(length).fill(0);
  for (const sample of samples) found[sample]++;
  return found;
}

Deno.test("joinSources() puts data sets in a row, by names of which no two are alike", () => {
  const joined = join([files("a/photos", 2), null], [files("b/photos", 1), null], [files("c", 2), null]);
  assertEquals([joined.length, joined.others, joined.root], [5, 3, "a/photos, b/photos, c"]);
  assertEquals(namesOf(joined), ["photos/0.png", "photos/1.png", "photos-2/0.png", "c/0.png", "c/1.png"]);
  assertEquals(joined.path(2), "b/photos/0.png");
  assertEquals(joined.locate(4), { kind: "file", path: "c/1.png" });
  assertEquals([joined.parts, joined.shards], [undefined, undefined]);
  const one = files("a", 3);
  assertEquals(join([one, 5]), one);
});

Deno.test("joinSources() without weights is one permutation of files, or one order of shards", () => {
  const both = join([files("a", 4), null], [files("b", 6), null]);
  assertEquals(orderOf(both, 3, 1).draw(1, 0, 10), orderOf({ length: 10 }, 3, 1).draw(1, 0, 10));
  const shards = join([inShards("a", 3, 2), null], [inShards("b", 4), null]);
  assertEquals(shards.shards?.map(({ name }) => name), ["a/0.tar", "a/1.tar", "b/0.tar"]);
  assertEquals(shards.parts, undefined);
  const mixed = join([inShards("a", 3, 2), null], [files("b", 5), null]); // each in its own way, in equal parts
  assertEquals([mixed.shards, mixed.parts?.map(({ weight }) => weight)], [undefined, [5, 5]]);
  assertEquals(counts(orderOf(mixed, 1, 1).draw(0, 0, 10), 10), Array<number>(10).fill(1));
});

Deno.test("joinSources() refuses weights for some data sets only", () => {
  assertThrows(
    () => join([files("a", 4), 1], [files("b", 6), null]),
    InputError,
    "data.train gives a weight to some of its sources, and none to b; give one to all or to none",
  );
});

Deno.test("sharesOf() gives whole numbers nearest to the shares, whose sum is exact", () => {
  assertEquals(sharesOf([3, 1], 100), [75, 25]);
  assertEquals(sharesOf([1, 1, 1], 10), [4, 3, 3]);
  assertEquals(sharesOf([1e-9, 1], 7), [0, 7]);
  assertEquals(sharesOf([0.2, 0.3, 0.5], 1), [0, 0, 1]);
});

Deno.test("a mixture draws from each data set by its weight, and goes through each in its own order", () => {
  const source = join([files("a", 30), 3], [files("b", 90), 1]);
  const order = orderOf(source, 7, 1);
  const epochs = [0, 1, 2, 3].map((epoch) => order.draw(epoch, 0, 120));
  for (const epoch of epochs) assertEquals(epoch.filter((sample) => sample < 30).length, 90);
  assertEquals(counts(epochs[0].filter((sample) => sample < 30), 30), Array<number>(30).fill(3));
  // 30 of the 90 in each epoch: three epochs have seen all of them, none twice.
  const large = epochs.flatMap((epoch) => [...epoch.filter((sample) => sample >= 30)]).map((sample) =>
    sample - 30
  );
  assertEquals(counts(large.slice(0, 90), 90), Array<number>(90).fill(1));
  assertNotEquals(epochs[0], epochs[1]);
  const firstHalf = epochs[0].subarray(0, 60).filter((sample) => sample < 30).length;
  assert(firstHalf > 35 && firstHalf < 55, `${firstHalf} of 45`); // mixed all over
});

Deno.test("the order of a mixture is a function of seed, epoch and position, wherever one starts", () => {
  const source = join([inShards("a", 5, 4, 8), 2], [files("b", 10), 1], [inShards("c", 3), 5]);
  const whole = orderOf(source, 1, 2).draw(3, 0, 60);
  const other = orderOf(source, 1, 2);
  for (const [first, count] of [[50, 5], [55, 2], [0, 10], [31, 8]]) {
    assertEquals(other.draw(3, first, count), whole.slice(first, first + count));
  }
  assertNotEquals(orderOf(source, 2, 2).draw(3, 0, 60), whole);
});

Deno.test("subsetOf() keeps the mixture of what is left", () => {
  const source = join([inShards("a", 2, 2), 2], [files("b", 3), 1], [files("c", 2), 1]);
  const part = subsetOf(source, Uint32Array.of(1, 2, 5, 6));
  assertEquals(part.parts, [
    { weight: 2, samples: 2, shards: [{ name: "0.tar", samples: 1 }, { name: "1.tar", samples: 1 }] },
    { weight: 1, samples: 2, shards: undefined },
  ]);
  assertEquals(counts(orderOf(part, 1, 3).draw(0, 0, 12), 4), [4, 4, 2, 2]);
});

Deno.test("a loader resumes in the middle of an epoch of a mixture, with any number of workers", () =>
  inFolder(async (folder) => {
    await writeImages(folder, 10);
    const all = fileSource(folder, Array.from({ length: 10 }, (_, i) => `00${i}.png`));
    const half = (from: number) => subsetOf(all, Uint32Array.from({ length: 5 }, (_, i) => from + i));
    const shards = [{ name: "0", samples: 2 }, { name: "1", samples: 3 }];
    const source = join([{ ...half(0), shards }, 1], [half(5), 2]);
    const batches = async (startStep: number, workers: number, count: number) => {
      const settings = { imageSize: [8, 8], channels: 3, exif: "ignore", augment: maeAugment } as const;
      const rest = { batchSize: 3, accumulate: 1, repeat: 2, seed: 3, startStep, workers };
      const loader = await openLoader({ source, ...settings, ...rest });
      const found: unknown[] = [];
      for (let i = 0; i < count; i++) {
        const { pixels, indices, epoch, step } = await loader.next();
        found.push({ pixels: pixels.slice(), indices, epoch, step });
      }
      await loader.close();
      return found;
    };
    const whole = await batches(0, 0, 9);
    assertEquals(await batches(4, 2, 5), whole.slice(4));
    assertEquals(await batches(7, 1, 2), whole.slice(7));
  }));
