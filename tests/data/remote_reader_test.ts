import { BrokenImageError } from "../../src/data/image.ts";
import { openLoader } from "../../src/data/loader.ts";
import { RemoteReader } from "../../src/data/remote_reader.ts";
import { fileSource } from "../../src/data/source.ts";
import { Storage } from "../../src/storage/storage.ts";
import { RunError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
import { someBytes, TestServer } from "../support/http_server.ts";
import { inFolder, maeAugment, writeImages } from "./support.ts";

const file = someBytes(3_000_000);

async function serving(
  test: (server: TestServer, reader: RemoteReader) => Promise<void>,
  atOnce = 8,
): Promise<void> {
  await using server = new TestServer(file);
  using storage = new Storage({ retry: { firstDelay: 1, attempts: 3 } });
  await test(server, new RemoteReader(storage, { atOnce, cacheBytes: 2 ** 22 }));
}

Deno.test("samples are fetched into shared memory; what lies on this machine stays where it is", () =>
  serving(async ({ url }, reader) => {
    const whole = await reader.fetch({ kind: "file", path: url });
    const part = await reader.fetch({ kind: "range", path: url, offset: 1000, length: 50 });
    assert(whole.kind === "bytes" && part.kind === "bytes");
    assert(whole.bytes.buffer instanceof SharedArrayBuffer && part.bytes.buffer instanceof SharedArrayBuffer);
    assertEquals([...part.bytes], [...file.slice(1000, 1050)]);
    assertEquals(whole.bytes.length, file.length);
    const local = { kind: "range", path: "/data/x.tar", offset: 1, length: 2 } as const;
    assertEquals(await reader.fetch(local), local);
  }));

Deno.test("entries of a shard share requests, however many are asked for at once", () =>
  serving(async ({ url, seen }, reader) => {
    await Promise.all(Array.from({ length: 100 }, async (_, i) => {
      const location = await reader.fetch({ kind: "range", path: url, offset: i * 20_000, length: 20_000 });
      assert(location.kind === "bytes" && location.bytes.every((byte, at) => byte === file[i * 20_000 + at]));
    }));
    assert(seen.length <= 4, `${seen.length} requests`);
    assertEquals(seen.filter(({ range }) => range === "bytes=0-0").length, 1);
  }));

Deno.test("a sample that is refused is broken; a network that stays away, or a shard that vanishes, is a failure", () =>
  serving(async (server, reader) => {
    server.faults.push({ status: 404 });
    await assertRejects(
      () => reader.fetch({ kind: "file", path: server.url }),
      BrokenImageError,
      "there is nothing",
    );
    server.faults.push({ status: 403 });
    const range = { kind: "range", path: server.url, offset: 0, length: 10 } as const;
    await assertRejects(() => reader.fetch(range), BrokenImageError, "may not be read");
    await reader.fetch(range); // a shard that could not be opened is tried again
    const beyond = { ...range, offset: file.length - 4 };
    await assertRejects(() => reader.fetch(beyond), BrokenImageError, "ends 6 bytes before the entry does");
    const other = { ...range, path: `${server.origin}/other`, offset: 2_000_000 };
    await reader.fetch(other);
    server.always = { status: 500 };
    await assertRejects(() => reader.fetch({ kind: "file", path: server.url }), RunError, "after 3 attempts");
    server.always = { status: 404 };
    await assertRejects(() => reader.fetch({ ...other, offset: 10 }), RunError, "there is nothing");
  }));

Deno.test("a shard behind the network has a size, a state and neighbours", () =>
  serving(async (server, reader) => {
    const shard = await reader.shardFile(server.url, "file.bin");
    assertEquals([shard.name, shard.address, shard.size, shard.version, shard.isLocal], [
      "file.bin",
      server.url,
      file.length,
      '"1"',
      false,
    ]);
    using source = await shard.open();
    assertEquals(await source.read(5, 5), file.slice(5, 10));
    assertEquals((await shard.beside("file.index"))?.length, file.length);
    assertEquals(server.seen[server.seen.length - 1].path, "/file.index");
    server.faults.push({ status: 404 });
    assertEquals(await shard.beside("none"), undefined);
  }));

Deno.test("a loader makes the same batches of addresses as of files, broken ones included", () =>
  inFolder(async (folder) => {
    await writeImages(folder, 12);
    const names = [...Array.from({ length: 12 }, (_, i) => `${String(i).padStart(3, "0")}.png`), "none.png"];
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
      const bytes = await Deno.readFile(folder + new URL(request.url).pathname).catch(() => null);
      return new Response(bytes, { status: bytes ? 200 : 404 });
    });
    using storage = new Storage();
    const remote = new RemoteReader(storage).reading(
      fileSource(`http://127.0.0.1:${server.addr.port}`, names),
    );
    const made: { pixels: number[]; indices: number[]; broken: string[] }[] = [];
    for (const [source, workers] of [[fileSource(folder, names), 0], [remote, 0], [remote, 2]] as const) {
      const loader = await openLoader({
        ...{ source, workers, imageSize: [12, 16], channels: 3, augment: maeAugment, exif: "ignore" },
        ...{ batchSize: 4, accumulate: 1, repeat: 1, seed: 7 },
      });
      const pixels: number[] = [], indices: number[] = [];
      for (let i = 0; i < 6; i++) {
        const batch = await loader.next();
        pixels.push(...batch.pixels);
        indices.push(...batch.indices);
      }
      await loader.close();
      made.push({ pixels, indices, broken: loader.broken.map(({ path }) => path.slice(-8)) });
    }
    assertEquals(made[0].broken, ["none.png"]);
    for (const other of made.slice(1)) assertEquals(other, made[0]);
  }));
