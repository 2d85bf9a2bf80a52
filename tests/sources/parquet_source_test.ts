import { OpenFiles } from "../../src/sources/open_files.ts";
import { findColumns, hubClasses } from "../../src/sources/parquet_columns.ts";
import { GroupImages } from "../../src/sources/parquet_groups.ts";
import { openParquetShards, type ParquetOptions } from "../../src/sources/parquet_source.ts";
import { readSample } from "../../src/sources/sample_bytes.ts";
import { localShards } from "../../src/sources/shard_files.ts";
import { labelShards, type ShardSource } from "../../src/sources/shard_source.ts";
import { BrokenImageError } from "../../src/images/image.ts";
import { openBytes } from "../../src/formats/byte_source.ts";
import {
  type ParquetColumn,
  type ParquetFooter,
  readParquetFooter,
} from "../../src/formats/parquet_footer.ts";
import { InputError, RunError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../deps.ts";
import { inFolder } from "../support/folder.ts";

const FIXTURES = decodeURIComponent(new URL("../fixtures/parquet/", import.meta.url).pathname);
const pathOf = (name: string) => `${FIXTURES}${name}.parquet`;

async function opened(names: readonly string[], options: ParquetOptions = {}): Promise<ShardSource> {
  return await openParquetShards("hub", await localShards(names.map(pathOf)), options);
}

const image = (i: number) =>
  Uint8Array.from({ length: i % 3 === 0 ? 50 : i * 37 }, (_, k) => ((i % 3 === 0 ? 0 : i) + k * k) & 255);

Deno.test("Parquet files are a data set: names, bytes, labels and classes of their rows", async () => {
  const source = await opened(["snappy_dictionary", "plain"]);
  assertEquals([source.length, source.classes, source.shards.length], [20, ["ant", "bee", "cow"], 6]);
  assertEquals(source.shards[1], { name: "snappy_dictionary.parquet/4", samples: 4 });
  assertEquals([source.name(7), source.name(10)], ["snappy_dictionary.parquet/7", "plain.parquet/0"]);
  assertEquals(source.path(13), `${pathOf("plain")}, row 3`);
  for (const sample of [19, 0, 1, 5, 13, 0]) {
    const location = await source.locate(sample);
    assert(location.kind === "bytes" && location.bytes.buffer instanceof SharedArrayBuffer);
    assertEquals([...await readSample(location)], [...image(sample % 10)], `sample ${sample}`);
  }
  await assertRejects(() => Promise.resolve(source.locate(4)), BrokenImageError, "its row holds no image");
  const { labels, classes } = await labelShards(source);
  assertEquals([[...labels.subarray(8, 14)], classes], [[2, 0, 0, 1, 2, 0], ["ant", "bee", "cow"]]);
});

Deno.test("a column of words is labels too, and columns may be named", async () => {
  const source = await opened(["words"]);
  const { labels, classes } = await labelShards(source);
  assertEquals([[...labels.subarray(0, 5)], classes], [[2, 0, 1, 2, 0], ["cat", "dog", "eel"]]);
  const byNumber = await opened(["words"], { columns: { path: "jpg", label: "width" } });
  assertEquals((await labelShards(byNumber)).classes.length, 10);
  const refusals = [
    [{ path: "jgp" }, 'has no column "jgp"; did you mean "jpg"?'],
    [{ path: "cls" }, 'has a column "cls", but it holds no bytes of images: BYTE_ARRAY'],
    [{ label: "jpg" }, 'has a column "jpg", but it holds no labels'],
  ] as const;
  for (const [columns, sentence] of refusals) {
    await assertRejects(() => opened(["words"], { columns }), InputError, sentence);
  }
});

Deno.test("findColumns() takes usual names first, then the only column of bytes", () => {
  const column = (
    path: string,
    type: ParquetColumn["type"] = "BYTE_ARRAY",
    isText = false,
  ): ParquetColumn => ({
    path,
    type,
    isText,
    maxDefinition: 1,
    maxRepetition: 0,
  });
  const footer = (...columns: ParquetColumn[]): ParquetFooter => ({
    columns,
    rowGroups: [],
    metadata: new Map(),
  });
  assertEquals(
    findColumns("x", footer(column("mask.bytes"), column("image.bytes"), column("label", "INT64"))),
    {
      image: 1,
      label: 2,
    },
  );
  assertEquals(findColumns("x", footer(column("caption", "BYTE_ARRAY", true), column("data"))), {
    image: 1,
    label: undefined,
  });
  assertThrows(
    () => findColumns("x", footer(column("a"), column("b"))),
    InputError,
    'several columns of bytes, "a", "b"',
  );
  assertThrows(
    () => findColumns("x", footer(column("a", "FLOAT"))),
    InputError,
    'has no column of images; its columns are "a"',
  );
  assertThrows(() => findColumns("x", footer()), InputError, "it has no columns");
  for (
    const json of [
      "{",
      "[]",
      '{"info": {"features": {"label": {"names": "ab"}}}}',
      '{"info": {"features": {}}}',
    ]
  ) {
    assertEquals(hubClasses({ ...footer(), metadata: new Map([["huggingface", json]]) }, "label"), undefined);
  }
});

Deno.test("wrong Parquet shards are refused in one sentence each", () =>
  inFolder(async (folder) => {
    const refused = async (bytes: Uint8Array) => {
      await Deno.writeFile(`${folder}/a.parquet`, bytes);
      const shards = await localShards([`${folder}/a.parquet`]);
      return (await assertRejects(() => openParquetShards("a", shards), InputError)).message;
    };
    const whole = await Deno.readFile(pathOf("plain"));
    const path = `"${folder}/a.parquet"`;
    assertEquals(
      await refused(whole.subarray(0, 3000)),
      `${path} is not a sound Parquet file: it does not end with PAR1; it may be cut short`,
    );
    assertEquals(
      await refused(await Deno.readFile(pathOf("lz4"))),
      `${path} cannot be read: its first row group: it is compressed by LZ4, which is not supported; write it with Snappy or Zstandard`,
    );
    const damaged = whole.slice();
    damaged.fill(0xff, 4, 40);
    assertEquals(
      await refused(damaged),
      `${path} cannot be read: its first row group: the header of a page is damaged`,
    );
    await assertRejects(() => opened(["plain", "words"]), InputError, "name different classes");
    const without = await opened(["words"], { columns: { label: "cls" } });
    await assertRejects(
      () => labelShards(without, ["cat", "dog"]),
      InputError,
      'words.parquet, row 0 has the label "eel", which is none',
    );
  }));

Deno.test("a row group that is damaged is so many broken images, and no more", () =>
  inFolder(async (folder) => {
    const bytes = await Deno.readFile(pathOf("plain"));
    using original = await openBytes(pathOf("plain"));
    const { rowGroups } = await readParquetFooter(original, "x");
    bytes.fill(0xff, rowGroups[1].chunks[0].offset, rowGroups[1].chunks[0].offset + 10);
    await Deno.writeFile(`${folder}/a.parquet`, bytes);
    const source = await openParquetShards("a", await localShards([`${folder}/a.parquet`]));
    for (const sample of [5, 6, 5]) {
      await assertRejects(
        () => Promise.resolve(source.locate(sample)),
        BrokenImageError,
        "its row group cannot be read: the header of a page is damaged",
      );
    }
    assertEquals((await readSample(await source.locate(8))).length, 296);
    await Deno.truncate(`${folder}/a.parquet`, 100);
    const fresh = await localShards([`${folder}/a.parquet`]);
    const files = new OpenFiles([{ ...fresh[0], size: bytes.length }]);
    await assertRejects(() => files.read(0, 50, 10), RunError, "has changed since it was opened: it had");
  }));

Deno.test("a row group is decoded once while its images are held, and again when they were dropped", async () => {
  const shards = await localShards([pathOf("plain")]);
  using source = await shards[0].open();
  const { columns: [column], rowGroups } = await readParquetFooter(source, "x");
  const group = { file: 0, start: 0, rows: 4, column, chunk: rowGroups[0].chunks[0] };
  const roomy = new GroupImages(new OpenFiles(shards));
  await Promise.all([0, 1, 2, 3].map((row) => roomy.take(group, row)));
  assertEquals(roomy.decoded, 1);
  assertEquals([...await roomy.take(group, 2)], [...image(2)]);
  assertEquals(roomy.decoded, 2);
  const tight = new GroupImages(new OpenFiles(shards), 60);
  for (const row of [0, 1, 2, 3]) assertEquals([...await tight.take(group, row)], [...image(row)]);
  assertEquals(tight.decoded, 3); // for rows 0, 1 and 2; the last one is held from the first time on
  for (const row of [0, 3]) assertEquals([...await tight.take(group, row)], [...image(row)]);
  assertEquals(tight.decoded, 4); // the next epoch holds others again
});

Deno.test("many files are open at a time, but not all", () =>
  inFolder(async (folder) => {
    const paths = Array.from({ length: 150 }, (_, i) => `${folder}/${i}`);
    for (const path of paths) await Deno.writeTextFile(path, path.slice(-2));
    let [open, most] = [0, 0];
    const files = (await localShards(paths)).map((file) => ({
      ...file,
      open: async () => {
        const source = await file.open();
        most = Math.max(most, ++open);
        return {
          ...source,
          size: source.size,
          read: source.read.bind(source),
          [Symbol.dispose]: () => {
            open--;
            source[Symbol.dispose]();
          },
        };
      },
    }));
    const opened = new OpenFiles(files);
    for (const i of [...paths.keys(), 3]) {
      assertEquals([...await opened.read(i, 1, 1)], [paths[i].charCodeAt(paths[i].length - 1)]);
    }
    await Promise.resolve();
    assert(most <= 66 && open <= 64, `${most} at most, ${open} in the end`);
  }));
