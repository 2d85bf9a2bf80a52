import { listLabelledImages } from "../../src/sources/labelled_images.ts";
import { openLabelledSource } from "../../src/sources/labelled_source.ts";
import { openShards, shardPartsIn } from "../../src/sources/open_shards.ts";
import { openSource } from "../../src/sources/open_source.ts";
import { readSample } from "../../src/sources/sample_bytes.ts";
import { namesOf } from "../../src/sources/source.ts";
import { buildTarIndex, encodeTarIndex } from "../../src/sources/tar_index.ts";
import { memoryBytes } from "../../src/formats/byte_source.ts";
import { Storage } from "../../src/storage/storage.ts";
import { InputError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
import { inFolder } from "../support/folder.ts";
import { tarOf } from "../support/tar.ts";

const PARQUET = decodeURIComponent(new URL("../fixtures/parquet/", import.meta.url).pathname);
const cache = null;

/** A shard of two images of different classes, named by its number. */
const shard = (number: number) =>
  tarOf([[`${number}a.jpg`, `image ${number}a`], [`${number}a.cls`, "0"], [
    `${number}b.jpg`,
    `image ${number}b`,
  ], [
    `${number}b.cls`,
    "1",
  ]]);

async function shardsIn(folder: string, names: readonly string[]): Promise<void> {
  for (const [i, name] of names.entries()) await Deno.writeFile(`${folder}/${name}`, shard(i));
}

Deno.test("shards are found by pattern, by star, by folder and by name", () =>
  inFolder(async (folder) => {
    await shardsIn(folder, ["t-000.tar", "t-001.tar", "t-002.tar"]);
    const names = ["t-000.tar/0a.jpg", "t-000.tar/0b.jpg", "t-001.tar/1a.jpg", "t-001.tar/1b.jpg"];
    assertEquals(namesOf(await openShards(`${folder}/t-{000..001}.tar`, { cache })), names);
    assertEquals((await openShards(`${folder}/*.tar`, { cache })).length, 6);
    assertEquals((await openShards(folder, { cache })).length, 6);
    assertEquals(namesOf(await openShards(`${folder}/t-002.tar`, { cache })), [
      "t-002.tar/2a.jpg",
      "t-002.tar/2b.jpg",
    ]);
    const both = await openSource(
      [`${folder}/t-000.tar`, `${PARQUET}plain.parquet`].map((source) => ({ source, weight: 1 })),
      { cache },
    );
    assertEquals([both.length, both.name(2)], [12, "plain.parquet/plain.parquet/0"]);
    assertEquals((await openLabelledSource(folder, { cache })).classes, ["0", "1"]);
    assertEquals((await openLabelledSource(`${PARQUET}{plain,brotli}.parquet`)).classes, [
      "ant",
      "bee",
      "cow",
    ]);
  }));

Deno.test("a folder is one of shards when it holds no images and no folders", () =>
  inFolder(async (folder) => {
    assertEquals([await shardPartsIn(folder), await shardPartsIn(`${folder}/none`)], [undefined, undefined]);
    await shardsIn(folder, ["t-000.tar", "val-1.tar", "x.tar"]);
    await Deno.writeFile(`${folder}/train-00001-of-00294-0ab1.parquet`, shard(1));
    await Deno.writeTextFile(`${folder}/README.md`, "");
    assertEquals([...await shardPartsIn(folder) ?? []].map(([part]) => part), ["t", "train", "val", "x"]);
    await Deno.writeTextFile(`${folder}/a.jpg`, "");
    assertEquals(await shardPartsIn(folder), undefined);
    await Deno.remove(`${folder}/a.jpg`);
    await Deno.mkdir(`${folder}/photos`);
    assertEquals(await shardPartsIn(folder), undefined);
  }));

Deno.test("wrong patterns and missing shards are refused in one sentence each", () =>
  inFolder(async (folder) => {
    await shardsIn(folder, ["train-000.tar", "val-000.tar"]);
    await Deno.copyFile(`${PARQUET}plain.parquet`, `${folder}/val-000.parquet`);
    const cases = [
      [
        `${folder}/train-{000..001}.tar`,
        `there is no shard "${folder}/train-001.tar", one of the 2 that are named`,
      ],
      [
        `${folder}/train-00.tar`,
        `there is no shard "${folder}/train-00.tar"; did you mean "${folder}/train-000.tar"?`,
      ],
      [`${folder}/train-{000..a}.tar`, "mixes a letter and a number"],
      [`${folder}/test-*.tar`, `there is nothing like "${folder}/test-*.tar"`],
      [`${folder}/{train,train}-000.tar`, "twice"],
      [`${folder}/val-000.{tar,parquet}`, "stands for files of several kinds"],
      [
        folder,
        `holds shards of several names (train, val); name those that are meant, such as "${folder}/train*.tar"`,
      ],
    ];
    const packed = await new Response(
      new Blob([shard(0)]).stream().pipeThrough(new CompressionStream("gzip")),
    ).bytes();
    await Deno.writeFile(`${folder}/packed.tar.gz`, packed);
    cases.push([
      `${folder}/packed.tar.gz`,
      `"${folder}/packed.tar.gz" is compressed (gzip), but images are read from shards by`,
    ]);
    for (const [text, sentence] of cases) {
      await assertRejects(() => openShards(text, { cache }), InputError, sentence);
    }
  }));

Deno.test("a folder of shards called train and val is a data set for classification", () =>
  inFolder(async (folder) => {
    await shardsIn(folder, ["train-000.tar", "train-001.tar", "val-000.tar"]);
    const images = await listLabelledImages(folder, { seed: 0, cache });
    assertEquals([images.train.length, images.validation.length, images.classes], [4, 2, ["0", "1"]]);
    await assertRejects(
      () => listLabelledImages(folder, { seed: 0, fraction: 0.5, cache }),
      InputError,
      'has shards "val" to',
    );
    await Deno.remove(`${folder}/val-000.tar`);
    await assertRejects(
      () => listLabelledImages(folder, { seed: 0, cache }),
      InputError,
      "has no shards to validate with",
    );
    const split = await listLabelledImages(`${folder}/train-{000..001}.tar`, {
      seed: 0,
      fraction: 0.5,
      cache,
    });
    assertEquals([split.train.length, split.validation.length], [2, 2]);
  }));

/** Files by their paths. */
function serve(
  files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>,
  seen: string[],
): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    const range = request.headers.get("range") ?? "";
    seen.push(`${pathname} ${range}`);
    const bytes = files.get(pathname);
    if (bytes === undefined) return new Response(null, { status: 404 });
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
    if (first === undefined) return new Response(bytes, { headers: { etag: '"1"' } });
    const part = bytes.slice(Number(first), Number(last) + 1);
    const headers = {
      etag: '"1"',
      "content-range": `bytes ${first}-${Number(first) + part.length - 1}/${bytes.length}`,
    };
    return new Response(part, { status: 206, headers });
  });
}

Deno.test("remote shards: tables from beside them or made once, images in large pieces", () =>
  inFolder(async (folder) => {
    const [first, second] = [shard(0), shard(1)];
    const table = encodeTarIndex(await buildTarIndex(memoryBytes(first), "x"), first.length);
    const parquet = await Deno.readFile(`${PARQUET}zstd_v2.parquet`);
    const files = new Map([
      ["/d/t-0.tar", first],
      ["/d/t-0.index.safetensors", table],
      ["/d/t-1.tar", second],
      ["/d/classes.json", new TextEncoder().encode('["cat", "dog"]')],
      ["/p.parquet", parquet],
    ]);
    const seen: string[] = [];
    await using server = serve(files, seen);
    using storage = new Storage();
    const origin = `http://127.0.0.1:${server.addr.port}`;
    const notices: string[] = [];
    const open = () =>
      openShards(`${origin}/d/t-{0..1}.tar`, {
        storage,
        cache: folder,
        onNotice: (text) => notices.push(text),
      });
    const source = await open();
    assertEquals(notices.length, 1);
    assert(notices[0].startsWith(`"${origin}/d/t-1.tar" has no table beside it`), notices[0]);
    assertEquals(namesOf(source), ["t-0.tar/0a.jpg", "t-0.tar/0b.jpg", "t-1.tar/1a.jpg", "t-1.tar/1b.jpg"]);
    assertEquals(source.path(3), `${origin}/d/t-1.tar, entry 1b.jpg at byte 2560`);
    seen.length = 0;
    for (const [sample, text] of ["image 0a", "image 0b", "image 1a", "image 1b"].entries()) {
      const location = await source.locate(sample);
      assert(location.kind === "bytes" && location.bytes.buffer instanceof SharedArrayBuffer);
      assertEquals(String.fromCharCode(...await readSample(location)), text);
    }
    assertEquals(seen.length, 4); // each shard is opened, and read once
    assertEquals((await openLabelledSource(`${origin}/d/t-{0..1}.tar`, { storage, cache: folder })).classes, [
      "cat",
      "dog",
    ]);
    await open();
    assertEquals(notices.length, 1); // both tables are in the cache by now

    const rows = await openShards(`${origin}/p.parquet`, { storage });
    const location = await rows.locate(9);
    assertEquals([rows.length, rows.classes?.length, location.kind === "bytes" && location.bytes.length], [
      10,
      3,
      50,
    ]);
    await assertRejects(() => openShards(`${origin}/q-{0..1}.tar`, { storage }), InputError, "/q-");
  }));
