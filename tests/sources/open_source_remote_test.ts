import { openLabelledSource } from "../../src/sources/labelled_source.ts";
import { openLoader } from "../../src/data/loader.ts";
import { openSource } from "../../src/sources/open_source.ts";
import { fileSource, type ImageSource, namesOf } from "../../src/sources/source.ts";
import { Storage } from "../../src/storage/storage.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertRejects } from "../deps.ts";
import { S3Server, serverCredentials } from "../support/s3_server.ts";
import { inFolder, maeAugment, writeImages } from "../data/support.ts";

/** Serves the files of a folder, in whole and in parts, on loopback. */
function serveFolder(folder: string): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const path = decodeURIComponent(new URL(request.url).pathname);
    const bytes = await Deno.readFile(folder + path).catch(() => null);
    if (bytes === null) return new Response("not here", { status: 404 });
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("range") ?? "") ?? [];
    if (from === undefined) return new Response(bytes);
    const part = bytes.slice(Number(from), to === "" ? undefined : Number(to) + 1);
    const range = `bytes ${from}-${Number(from) + part.length - 1}/${bytes.length}`;
    return new Response(part, { status: 206, headers: { "content-range": range } });
  });
}

async function firstBatch(source: ImageSource, workers: number) {
  const settings = { imageSize: [8, 8], channels: 3, exif: "ignore", augment: maeAugment } as const;
  const loader = await openLoader({
    source,
    ...settings,
    batchSize: source.length,
    accumulate: 1,
    repeat: 1,
    seed: 3,
    workers,
  });
  try {
    const { pixels, indices } = await loader.next();
    return { pixels: pixels.slice(), indices: [...indices], broken: loader.broken };
  } finally {
    await loader.close();
  }
}

const names = ["000.png", "001.png", "002.png", "003.png"];

Deno.test("a manifest of addresses, or at an address, gives the pixels of the files", () =>
  inFolder(async (folder) => {
    await writeImages(folder, 4);
    await using server = serveFolder(folder);
    const origin = `http://127.0.0.1:${server.addr.port}`;
    using storage = new Storage({ retry: { attempts: 2, firstDelay: 1 } });
    await Deno.writeTextFile(
      `${folder}/urls.csv`,
      ["url", ...names.map((name) => `${origin}/${name}`)].join("\n"),
    );
    await Deno.writeTextFile(
      `${folder}/near.jsonl`,
      names.map((path) => JSON.stringify({ path })).join("\n"),
    );
    const files = await firstBatch(fileSource(folder, names), 0);
    const urls = await openSource(`${folder}/urls.csv`, { storage });
    assertEquals([urls.name(1), urls.path(1)], [`${origin}/001.png`, `${origin}/001.png`]);
    assertEquals(await firstBatch(urls, 2), files);
    const near = await openSource(`${origin}/near.jsonl?key=secret`, { storage });
    assertEquals([near.root, namesOf(near), near.path(3)], [
      `${origin}/near.jsonl?…`,
      names,
      `${origin}/003.png`,
    ]);
    assertEquals(await firstBatch(near, 0), files);
    const single = await openSource(`${origin}/002.png`, { storage });
    assertEquals([single.length, single.path(0)], [1, `${origin}/002.png`]);
  }));

Deno.test("an address that is gone is a broken image", () =>
  inFolder(async (folder) => {
    await writeImages(folder, 4);
    await using server = serveFolder(folder);
    const origin = `http://127.0.0.1:${server.addr.port}`;
    using storage = new Storage({ retry: { attempts: 2, firstDelay: 1 } });
    const rows = ["000.png", "001.png", "gone.png", "003.png"].map((name) => `${origin}/${name}?key=secret`);
    await Deno.writeTextFile(`${folder}/urls.csv`, ["url", ...rows].join("\n"));
    const { broken, indices } = await firstBatch(await openSource(`${folder}/urls.csv`, { storage }), 1);
    assertEquals([broken.length, broken[0].path, indices.includes(2)], [1, `${origin}/gone.png?…`, false]);
  }));

Deno.test("a manifest from elsewhere may not name files of this machine, nor kinds of addresses that are unknown", () =>
  inFolder(async (folder) => {
    await using server = serveFolder(folder);
    const origin = `http://127.0.0.1:${server.addr.port}`;
    using storage = new Storage({ retry: { attempts: 2, firstDelay: 1 } });
    for (const path of ["/etc/picture.png", "file:///etc/picture.png", "C:\\\\a.png"]) {
      await Deno.writeTextFile(`${folder}/m.csv`, `path\n${path}\n`);
      await assertRejects(
        () => openSource(`${origin}/m.csv`, { storage }),
        InputError,
        "of this machine, which a table from elsewhere may not name",
      );
    }
    await Deno.writeTextFile(`${folder}/m.csv`, "path\na.png\ngs://bucket/b.png\n");
    await assertRejects(
      () => openSource(`${folder}/m.csv`),
      InputError,
      'm.csv" line 3: "gs://bucket/b.png" begins with',
    );
    await assertRejects(
      () => openSource(`${origin}/set/`, { storage }),
      InputError,
      "folders behind HTTP cannot be listed",
    );
    await assertRejects(() => openSource(`${origin}/no.csv`, { storage }), InputError, "there is nothing");
  }));

Deno.test("a folder of a bucket is listed, and its folders are classes", () =>
  inFolder(async (folder) => {
    await writeImages(folder, 4);
    await using server = await S3Server.start(`${folder}/s3`);
    const settings = { endpoint: server.endpoint, credentials: serverCredentials, origin: "the test" };
    using storage = new Storage({ retry: { attempts: 2, firstDelay: 1 }, s3: settings });
    const keys = [
      "set/cat/000.png",
      "set/dog/001.png",
      "set/dog/002.png",
      "set/notes.txt",
      "set/.x/003.png",
      "setter.png",
    ];
    for (const [i, key] of keys.entries()) {
      await server.put(key, await Deno.readFile(`${folder}/${names[i % 4]}`));
    }
    const source = await openSource("s3://data/set", { storage });
    assertEquals([source.root, source.others, namesOf(source)], [
      "s3://data/set/",
      1,
      ["cat/000.png", "dog/001.png", "dog/002.png"],
    ]);
    const files = await firstBatch(fileSource(folder, names.slice(0, 3)), 0);
    assertEquals(await firstBatch(source, 0), files);
    const { labels, classes } = await openLabelledSource("s3://data/set/", { storage });
    assertEquals([classes, [...labels]], [["cat", "dog"], [0, 1, 1]]);
    await assertRejects(
      () => openSource("s3://data/none/", { storage }),
      InputError,
      "There are no images under",
    );
  }));
