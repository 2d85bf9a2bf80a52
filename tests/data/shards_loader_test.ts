/** Batches from shards: the same whatever the workers, whatever the kind of shards, and from any step on. */
import { type LoaderOptions, openLoader } from "../../src/data/loader.ts";
import { openShards } from "../../src/sources/open_shards.ts";
import type { ImageSource } from "../../src/sources/source.ts";
import { writeRowGroups } from "../../src/formats/parquet.ts";
import { Storage } from "../../src/storage/storage.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertNotEquals, assertRejects } from "../deps.ts";
import { inFolder } from "../support/folder.ts";
import { S3Server, serverCredentials } from "../support/s3_server.ts";
import { tarOf } from "../support/tar.ts";

const NAMES = ["rgb.jpg", "gray.jpg", "progressive.jpg", "rgb8.png", "palette4_trns.png", "exif_6.png"];

const files = () =>
  Promise.all(NAMES.map((name) => Deno.readFile(new URL(`../fixtures/images/${name}`, import.meta.url))));

/** Two shards or row groups of three images each. */
async function sources(folder: string): Promise<Record<"tar" | "parquet", ImageSource>> {
  const images = await files();
  for (const half of [0, 1]) {
    const own = images.slice(3 * half, 3 * half + 3);
    await Deno.writeFile(
      `${folder}/t-${half}.tar`,
      tarOf(own.map((bytes, i) => [`${i}.${NAMES[3 * half + i].slice(-3)}`, bytes])),
    );
  }
  const schema = [{ name: "root", num_children: 1 }, {
    name: "image",
    type: "BYTE_ARRAY" as const,
    repetition_type: "REQUIRED" as const,
  }];
  const groups = [0, 1].map((half) => ({
    rows: 3,
    columns: [{ name: "image", data: images.slice(3 * half, 3 * half + 3) }],
  }));
  await writeRowGroups(`${folder}/p.parquet`, { schema }, groups);
  return {
    tar: await openShards(`${folder}/t-{0..1}.tar`, { cache: null }),
    parquet: await openShards(`${folder}/p.parquet`),
  };
}

async function batches(source: ImageSource, more: Partial<LoaderOptions>): Promise<Uint8Array[]> {
  const loader = await openLoader({
    source,
    batchSize: 2,
    accumulate: 1,
    repeat: 1,
    workers: 0,
    imageSize: [16, 16],
    channels: 3,
    exif: "apply",
    augment: { cropScale: [0.2, 1], cropRatio: [3 / 4, 4 / 3], flip: true },
    seed: 3,
    shuffle: { buffer: 3, shards: 2 },
    ...more,
  });
  try {
    const made: Uint8Array[] = [];
    for (let i = more.startStep ?? 0; i < 6; i++) made.push(new Uint8Array((await loader.next()).pixels));
    return made;
  } finally {
    await loader.close();
  }
}

Deno.test("batches from tar and Parquet shards are the same with any number of workers, and from any step on", () =>
  inFolder(async (folder) => {
    const { tar, parquet } = await sources(folder);
    const expected = await batches(tar, {});
    assertEquals(expected.length, 6);
    assertNotEquals(expected[0], expected[3]); // another epoch
    assertEquals(await batches(tar, { workers: 2 }), expected);
    assertEquals(await batches(parquet, {}), expected);
    assertEquals(await batches(parquet, { workers: 2 }), expected);
    assertEquals(await batches(parquet, { startStep: 4 }), expected.slice(4));
  }));

Deno.test("shards in a bucket of S3, tar and Parquet, give the batches of those on the disk", () =>
  inFolder(async (folder) => {
    const local = await sources(folder);
    await using server = await S3Server.start(`${folder}/s3`);
    for (const name of ["t-0.tar", "t-1.tar", "p.parquet"]) {
      await server.put(`set/${name}`, await Deno.readFile(`${folder}/${name}`));
    }
    const s3 = { endpoint: server.endpoint, credentials: serverCredentials, origin: "the test" };
    using storage = new Storage({ retry: { attempts: 2, firstDelay: 1 }, s3 });
    const inTar = await batches(local.tar, {});
    for (
      const [text, expected] of [
        ["s3://data/set/t-{0..1}.tar", inTar],
        ["s3://data/set/*.tar", inTar],
        ["s3://data/set/p.parquet", await batches(local.parquet, {})],
      ] as const
    ) {
      const source = await openShards(text, { storage, cache: null });
      assertEquals(await batches(source, {}), expected, text);
      assertEquals(await batches(source, { workers: 2, startStep: 2 }), expected.slice(2), text);
    }
    await assertRejects(
      () => openShards("s3://data/set/t-{0..2}.tar", { storage, cache: null }),
      InputError,
      "t-2.tar",
    );
  }));
