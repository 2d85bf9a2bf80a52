import { openBytes } from "../../src/formats/byte_source.ts";
import { memoryBytes } from "../../src/formats/byte_source.ts";
import { readSample, readSampleSync } from "../../src/sources/sample_bytes.ts";
import { localShards } from "../../src/sources/shard_files.ts";
import { labelShards, SampleNumbers, type ShardSource } from "../../src/sources/shard_source.ts";
import { indexNameOf, ShardTables } from "../../src/sources/shard_tables.ts";
import { buildTarIndex, decodeTarIndex, encodeTarIndex, splitKey } from "../../src/sources/tar_index.ts";
import { openTarShards } from "../../src/sources/tar_source.ts";
import { namesOf } from "../../src/sources/source.ts";
import { InputError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../deps.ts";
import { inFolder } from "../support/folder.ts";
import { type TarFile, tarOf } from "../support/tar.ts";

/** Writes shards and opens them. */
async function opened(
  folder: string,
  shards: Readonly<Record<string, readonly TarFile[]>>,
  cache: string | null = null,
): Promise<ShardSource> {
  for (const [name, files] of Object.entries(shards)) await Deno.writeFile(`${folder}/${name}`, tarOf(files));
  const files = await localShards(Object.keys(shards).map((name) => `${folder}/${name}`));
  return await openTarShards("shards", files, { cache });
}

const two = {
  "t-0.tar": [["a/1.jpg", "one"], ["a/1.cls", "1"], ["a/2.cls", "0\n"], ["a/2.PNG", "two"]],
  "t-1.tar": [["readme.txt", "no image"], ["b.seg.png", "mask"], ["b.webp", "three"], [
    "b.json",
    '{"label": 2}',
  ]],
} as const;

const bytesOf = async (source: ShardSource, sample: number) => {
  const location = await source.locate(sample);
  const bytes = await readSample(location);
  assertEquals(readSampleSync(location), bytes);
  return new TextDecoder().decode(bytes);
};

Deno.test("shards are a data set: names, places, bytes and labels of their samples", () =>
  inFolder(async (folder) => {
    const source = await opened(folder, two);
    assertEquals([source.length, source.others, source.root], [3, 1, "shards"]);
    assertEquals(source.shards, [{ name: "t-0.tar", samples: 2 }, { name: "t-1.tar", samples: 1 }]);
    assertEquals(namesOf(source), ["t-0.tar/a/1.jpg", "t-0.tar/a/2.PNG", "t-1.tar/b.webp"]);
    assertEquals(source.path(1), `${folder}/t-0.tar, entry a/2.PNG at byte 3584`);
    assertEquals(await Promise.all([0, 1, 2].map((sample) => bytesOf(source, sample))), [
      "one",
      "two",
      "three",
    ]);
    const labelled = await labelShards(source);
    assertEquals([labelled.classes, [...labelled.labels]], [["0", "1", "2"], [1, 0, 2]]);
    assertEquals([...(await labelShards(source, ["2", "1", "0"])).labels], [1, 2, 0]);
  }));

Deno.test("classes.json beside the shards names their classes", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/classes.json`, '["cat", "dog", "eel"]');
    const source = await opened(folder, two);
    assertEquals((await labelShards(source)).classes, ["cat", "dog", "eel"]);
    assertEquals([...(await labelShards(source, ["eel", "dog", "cat"])).labels], [1, 2, 0]);
    await assertRejects(
      () => labelShards(source, ["dog", "cat"]),
      InputError,
      "t-1.tar, entry b.webp at byte 2560 has the label 2, which is none of the 2 classes, 0 to 1",
    );
    for (const wrong of ["[]", "{}", "[1]", '["a", "a"]', "not JSON"]) {
      await Deno.writeTextFile(`${folder}/classes.json`, wrong);
      await assertRejects(() => opened(folder, two), InputError, "must hold a JSON list of the names");
    }
  }));

Deno.test("labels may be words, which are classes in byte order, numbers among them as well", () =>
  inFolder(async (folder) => {
    const source = await opened(folder, {
      "a.tar": [["1.jpg", ""], ["1.cls", "eel"], ["2.jpg", ""], ["2.json", '{"class": "cat"}']],
      "b.tar": [["1.jpg", ""], ["1.cls", "7"]],
    });
    const { classes, labels } = await labelShards(source);
    assertEquals([classes, [...labels]], [["7", "cat", "eel"], [2, 1, 0]]);
    await assertRejects(
      () => labelShards(source, ["7", "cta", "eel"]),
      InputError,
      'entry 2.jpg at byte 2048 has the label "cat", which is none of the 3 classes; did you mean "cta"?',
    );
  }));

Deno.test("labels come from .cls, else .json, else a number in .txt", () =>
  inFolder(async (folder) => {
    const image = (key: string, ...members: TarFile[]): TarFile[] => [[`${key}.jpg`, ""], ...members];
    const source = await opened(folder, {
      "a.tar": [
        ...image("a", ["a.txt", "3"], ["a.json", "1"], ["a.cls", "2"]),
        ...image("b", ["b.txt", "3"], ["b.json", '{"label": 1}']),
        ...image("c", ["c.json", "{"], ["c.txt", " 3 "]),
        ...image("d", ["d.json", '{"class": 0, "label": 5}']),
      ],
    });
    assertEquals([...(await labelShards(source)).labels], [2, 1, 3, 5]);
    const without = await opened(folder, {
      "b.tar": [...image("a", ["a.cls", "1"]), ...image("b", ["b.txt", "a cat"])],
    });
    await assertRejects(
      () => labelShards(without),
      InputError,
      `b.tar, entry b.jpg at byte 2048 has no label: it has neither a .cls nor a .json with "label"`,
    );
    const single = await opened(folder, { "c.tar": image("a", ["a.cls", "cat"]) });
    await assertRejects(
      () => labelShards(single),
      InputError,
      '"shards" holds only one class, "cat"; at least two',
    );
  }));

Deno.test("members belong together by the path up to the first dot of the last part", () => {
  assertEquals(splitKey("a.b/c.d.JPG"), { key: "a.b/c", ending: "d.jpg" });
  assertEquals(splitKey("a.b/c"), { key: "a.b/c", ending: "" });
});

Deno.test("wrong shards are refused in one sentence each", () =>
  inFolder(async (folder) => {
    await opened(folder, { "t-0.tar": [["a.jpg", "x"]] });
    await assertRejects(
      () => localShards([`${folder}/t-0.tar`, `${folder}/t-1.tar`]),
      InputError,
      `there is no shard "${folder}/t-1.tar", one of the 2 that are named`,
    );
    await assertRejects(() => localShards([folder]), InputError, "is a folder");
    await assertRejects(
      () => opened(folder, { "e.tar": [["x.txt", ""]] }),
      InputError,
      "is a tar file without images: 1",
    );
    const whole = tarOf([["a.jpg", "x".repeat(3000)]]);
    await Deno.writeFile(`${folder}/cut.tar`, whole.subarray(0, 2000));
    const cut = await localShards([`${folder}/cut.tar`]);
    await assertRejects(
      () => openTarShards("cut.tar", cut, { cache: null }),
      InputError,
      `"${folder}/cut.tar" is not a sound tar file: entry "a.jpg" at byte 0: it ends at byte 3512, but`,
    );
    await assertRejects(
      () => opened(folder, { "up.tar": [["../a.jpg", "x"]] }),
      InputError,
      "leads out of its folder",
    );
  }));

Deno.test("a shard without images is passed over", () =>
  inFolder(async (folder) => {
    const source = await opened(folder, {
      "a.tar": [],
      "b.tar": [["1.jpg", "b"], ["1.cls", "0"]],
      "c.tar": [],
      "d.tar": [["1.jpg", "d"], ["1.cls", "1"]],
    });
    assertEquals(source.shards.map(({ name }) => name), ["b.tar", "d.tar"]);
    assertEquals([await bytesOf(source, 0), await bytesOf(source, 1)], ["b", "d"]);
    assertEquals([...(await labelShards(source)).labels], [0, 1]);
    assertThrows(() => source.name(2), RangeError);
    assertEquals(new SampleNumbers([0, 2, 0, 1]).find(2), { shard: 3, row: 0 });
  }));

Deno.test("a table is kept in the cache or taken from beside the shard, and made anew when it is of another shard", () =>
  inFolder(async (folder) => {
    const cache = `${folder}/cache`;
    const passes: string[] = [];
    const open = async () => {
      const files = await localShards([`${folder}/t-0.tar`, `${folder}/t-1.tar`]);
      const source = await openTarShards("x", files, { cache, onPass: ({ name }) => passes.push(name) });
      return [...namesOf(source), passes.splice(0).length];
    };
    await opened(folder, two);
    const names = ["t-0.tar/a/1.jpg", "t-0.tar/a/2.PNG", "t-1.tar/b.webp"];
    assertEquals(await open(), [...names, 2]);
    assertEquals(await open(), [...names, 0]);
    await opened(folder, { "t-0.tar": [["new.jpg", "another size"]] });
    assertEquals(await open(), ["t-0.tar/new.jpg", names[2], 1]);

    for (const { name } of Deno.readDirSync(cache)) await Deno.writeTextFile(`${cache}/${name}`, "damaged");
    assertEquals(await open(), ["t-0.tar/new.jpg", names[2], 2]);
    await Deno.remove(cache, { recursive: true });
    const bytes = await Deno.readFile(`${folder}/t-1.tar`);
    const index = await buildTarIndex(memoryBytes(bytes), "t-1.tar");
    assertEquals(indexNameOf("t-1.tar"), "t-1.index.safetensors");
    await Deno.writeFile(`${folder}/t-1.index.safetensors`, encodeTarIndex(index, bytes.length));
    assertEquals(await open(), ["t-0.tar/new.jpg", names[2], 1]);

    await Deno.remove(cache, { recursive: true });
    const other = tarOf([["x".repeat(90) + ".jpg", "of the same length"], ["y.jpg", "y"]]);
    const same = new Uint8Array(bytes.length);
    same.set(other);
    await Deno.writeFile(`${folder}/t-1.tar`, same);
    assertEquals(await open(), ["t-0.tar/new.jpg", `t-1.tar/${"x".repeat(90)}.jpg`, "t-1.tar/y.jpg", 2]);
  }));

Deno.test("tables that do not fit into memory are dropped and read again", () =>
  inFolder(async (folder) => {
    const names = ["a.tar", "b.tar", "c.tar"];
    const shards = Object.fromEntries(names.map((name) => [name, [[`${name[0]}.jpg`, name]] as const]));
    await opened(folder, shards);
    const files = await localShards(names.map((name) => `${folder}/${name}`));
    const tables = await ShardTables.open(files, { cache: `${folder}/cache` }, 1);
    const texts = (all: ShardTables) => names.map((_, shard) => all.table(shard)?.names.at(0));
    assertEquals(texts(tables), ["a.jpg", "b.jpg", "c.jpg"]);
    assertEquals(texts(tables), ["a.jpg", "b.jpg", "c.jpg"]);
    await Deno.remove(`${folder}/cache`, { recursive: true });
    assertEquals(tables.table(0), undefined);
    const kept = await ShardTables.open(files, { cache: null }, 1); // nowhere to read them again from
    assertEquals(texts(kept), ["a.jpg", "b.jpg", "c.jpg"]);
  }));

Deno.test("decodeTarIndex() takes only sound tables of the shard", async () => {
  const shard = tarOf(two["t-0.tar"]);
  const index = await buildTarIndex(memoryBytes(shard), "t");
  const bytes = encodeTarIndex(index, shard.length);
  const { names, ...rest } = decodeTarIndex(bytes, shard.length) ?? index;
  const { names: original, ...before } = index;
  assertEquals([rest, [0, 1].map((row) => names.at(row))], [before, [0, 1].map((row) => original.at(row))]);
  assert(names !== original);
  assertEquals(decodeTarIndex(bytes, shard.length + 512), undefined);
  assertEquals(decodeTarIndex(bytes.subarray(0, -1), shard.length), undefined);
  for (
    const wrong of [{ offsets: Float64Array.of(512, -1) }, { lengths: Uint32Array.of(3, 1e6) }, {
      labels: Int32Array.of(-2, 0),
    }]
  ) {
    assertEquals(
      decodeTarIndex(encodeTarIndex({ ...index, ...wrong }, shard.length), shard.length),
      undefined,
    );
  }
});

Deno.test("blocking reads give what other reads give", () =>
  inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/x`, Uint8Array.of(1, 2, 3, 4));
    using source = await openBytes(`${folder}/x`, { blocking: true });
    assertEquals([...await source.read(1, 2)], [2, 3]);
    assertEquals([...await source.read(3, 9)], [4]);
    assert((await source.read(9, 9)).length === 0);
  }));
