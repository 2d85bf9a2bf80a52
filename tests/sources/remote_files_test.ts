import { BrokenImageError } from "../../src/images/image.ts";
import { openLoader } from "../../src/data/loader.ts";
import { listManifest } from "../../src/sources/manifest.ts";
import { openSource } from "../../src/sources/open_source.ts";
import { RemoteFiles } from "../../src/sources/remote_files.ts";
import { namesOf } from "../../src/sources/source.ts";
import { Storage } from "../../src/storage/storage.ts";
import { InputError, RunError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
import { someBytes, TestServer } from "../support/http_server.ts";
import { inFolder, maeAugment, writeImages } from "../data/support.ts";

const retry = { firstDelay: 1, attempts: 3 };

Deno.test("images are fetched into shared memory; one that is refused is broken, a network that stays away is not", async () => {
  await using server = new TestServer(someBytes(100_000));
  using storage = new Storage({ retry });
  const files = new RemoteFiles(storage);
  const location = await files.fetch(server.url);
  assert(location.kind === "bytes" && location.bytes.buffer instanceof SharedArrayBuffer);
  assertEquals([...location.bytes], [...server.bytes]);
  server.faults.push({ status: 404 }, { status: 403 });
  await assertRejects(() => files.fetch(server.url), BrokenImageError, "there is nothing");
  await assertRejects(() => files.fetch(server.url), BrokenImageError, "may not be read");
  server.always = { status: 500 };
  await assertRejects(() => files.fetch(server.url), RunError, "after 3 attempts");
});

Deno.test("no more images than so many are fetched side by side", async () => {
  let running = 0, most = 0;
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 5));
    running--;
    return new Response("x");
  });
  using storage = new Storage({ retry });
  const files = new RemoteFiles(storage, 4);
  await Promise.all(Array.from({ length: 20 }, () => files.fetch(`http://127.0.0.1:${server.addr.port}/x`)));
  assertEquals(most, 4);
});

/** Serves a folder. */
function serve(folder: string): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const path = folder + decodeURIComponent(new URL(request.url).pathname);
    const bytes = await Deno.readFile(path).catch(() => null);
    return new Response(bytes, { status: bytes ? 200 : 404 });
  });
}

Deno.test("a loader makes the same batches of addresses in a table as of paths, broken ones included", () =>
  inFolder(async (folder) => {
    await writeImages(folder, 12);
    await using server = serve(folder);
    const names = [...Array.from({ length: 12 }, (_, i) => `${String(i).padStart(3, "0")}.png`), "none.png"];
    const origin = `http://127.0.0.1:${server.addr.port}`;
    await Deno.writeTextFile(`${folder}/here.csv`, ["path", ...names].join("\n"));
    await Deno.writeTextFile(
      `${folder}/there.csv`,
      ["url", ...names.map((name) => `${origin}/${name}`)].join("\n"),
    );
    const made: { pixels: number[]; indices: number[]; broken: string[] }[] = [];
    for (const [manifest, workers] of [["here.csv", 0], ["there.csv", 0], ["there.csv", 2]] as const) {
      const loader = await openLoader({
        ...{ source: await openSource(`${folder}/${manifest}`), workers, imageSize: [12, 16], channels: 3 },
        ...{ augment: maeAugment, exif: "ignore", batchSize: 4, accumulate: 1, repeat: 1, seed: 7 },
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

Deno.test("a table behind the network names what lies beside it", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/sets`);
    await Deno.writeTextFile(`${folder}/sets/list.csv`, "path,label\na b/1.jpg,cat\n");
    await using server = serve(folder);
    using storage = new Storage({ retry });
    const address = `http://127.0.0.1:${server.addr.port}/sets/list.csv`;
    const source = await listManifest(address, undefined, storage);
    assertEquals(namesOf(source), ["a b/1.jpg"]);
    assertEquals(source.path(0), `http://127.0.0.1:${server.addr.port}/sets/a%20b/1.jpg`);
    await Deno.mkdir(`${folder}/sets/a b`);
    await Deno.writeTextFile(`${folder}/sets/a b/1.jpg`, "image");
    const location = await source.locate(0);
    assertEquals(location.kind === "bytes" && new TextDecoder().decode(location.bytes.slice()), "image");
    await assertRejects(() => openSource(`${address.slice(0, -8)}none.csv`), InputError, "there is nothing");
  }));
