import { listImages } from "../../src/sources/image_folder.ts";
import { type PackEvent, type PackOptions, packShards } from "../../src/pack/pack.ts";
import { openForPacking } from "../../src/pack/pack_source.ts";
import { keyOf, labelsByFolder } from "../../src/pack/pack_names.ts";
import { readSample } from "../../src/sources/sample_bytes.ts";
import { localShards, shardsInFolder } from "../../src/sources/shard_files.ts";
import { labelShards, type ShardSource } from "../../src/sources/shard_source.ts";
import { ShardWriter } from "../../src/pack/shard_writer.ts";
import { namesOf } from "../../src/sources/source.ts";
import { openTarShards } from "../../src/sources/tar_source.ts";
import { InputError, RunError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "../deps.ts";
import { inFolder } from "../support/folder.ts";

const PHOTOS = new URL("../fixtures/images/", import.meta.url);

/** A folder of two classes, with a broken image and two of one name. */
async function pictures(folder: string): Promise<string> {
  const root = `${folder}/pictures`;
  const put = async (name: string, bytes: Uint8Array) => {
    await Deno.mkdir(`${root}/${name.slice(0, name.lastIndexOf("/"))}`, { recursive: true });
    await Deno.writeFile(`${root}/${name}`, bytes);
  };
  const [jpeg, png] = await Promise.all(
    ["rgb.jpg", "rgb8.png"].map((name) => Deno.readFile(new URL(name, PHOTOS))),
  );
  await put("cat/a.jpg", jpeg);
  await put("cat/a.png", png);
  await put("cat/cut.jpg", jpeg.subarray(0, 300));
  await put("dog/more/b.c.JPG", jpeg);
  await put("dog/z.png", png);
  return root;
}

async function pack(root: string, to: string, more: Partial<PackOptions> = {}): Promise<PackEvent[]> {
  const source = await listImages(root);
  const events: PackEvent[] = [];
  await packShards({
    source,
    labels: labelsByFolder(source),
    to,
    name: "set",
    shardBytes: 1e9,
    shardSamples: 3,
    onBroken: "skip",
    workers: 1,
    onEvent: (event) => events.push(event),
    ...more,
  });
  return events;
}

/** Names and contents of every file of a folder. */
async function filesOf(folder: string): Promise<Map<string, Uint8Array>> {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  return new Map(
    await Promise.all(names.map(async (name) => [name, await Deno.readFile(`${folder}/${name}`)] as const)),
  );
}

async function opened(folder: string): Promise<ShardSource> {
  return await openTarShards(folder, await localShards(await shardsInFolder(folder, ["tar"])), {
    cache: null,
  });
}

Deno.test("packed images are the files byte for byte, with their classes; equal images give equal shards", () =>
  inFolder(async (folder) => {
    const root = await pictures(folder);
    const events = await pack(root, `${folder}/shards/`);
    assertEquals(events.filter(({ kind }) => kind !== "done"), [
      {
        kind: "broken",
        path: `${root}/cat/cut.jpg`,
        reason: "truncated: the end marker of the JPEG is missing",
      },
    ]);
    assertEquals(events.at(-1), { kind: "done", samples: 5 });
    const source = await opened(`${folder}/shards`);
    assertEquals(namesOf(source), [
      "set-000000.tar/cat/a.jpg",
      "set-000000.tar/cat/a_2.png",
      "set-000000.tar/dog/more/b_c.jpg",
      "set-000001.tar/dog/z.png",
    ]);
    const { labels, classes } = await labelShards(source);
    assertEquals([[...labels], classes], [[0, 0, 1, 1], ["cat", "dog"]]);
    for (const [sample, name] of ["cat/a.jpg", "cat/a.png", "dog/more/b.c.JPG", "dog/z.png"].entries()) {
      assertEquals(await readSample(await source.locate(sample)), await Deno.readFile(`${root}/${name}`));
    }
    const files = await filesOf(`${folder}/shards`);
    assertEquals([...files.keys()], [
      "classes.json",
      "set-000000.index.safetensors",
      "set-000000.tar",
      "set-000001.index.safetensors",
      "set-000001.tar",
      "set.json",
    ]);
    const list = JSON.parse(new TextDecoder().decode(files.get("set.json")));
    assertEquals([list.samples, list.broken, list.classes, list.shards.length], [4, 1, 2, 2]);
    const hash = await crypto.subtle.digest("SHA-256", new Uint8Array(files.get("set-000001.tar") ?? []));
    assertEquals(list.shards[1].sha256, new Uint8Array(hash).toHex());
    await pack(root, `${folder}/again`, { workers: 2 });
    assertEquals(await filesOf(`${folder}/again`), files);
  }));

Deno.test("an attempt that was cut off goes on after its last shard, to the same bytes", () =>
  inFolder(async (folder) => {
    const root = await pictures(folder);
    await pack(root, `${folder}/whole`, { shardSamples: 1 });
    const stopAt = (samples: number) => (event: PackEvent) => {
      if (event.kind === "done" && event.samples === samples) throw new Error("the power fails");
    };
    const to = `${folder}/shards`;
    await assertRejects(
      () => pack(root, to, { shardSamples: 1, onEvent: stopAt(4) }),
      Error,
      "the power fails",
    );
    await Deno.writeTextFile(`${to}/set-000002.tar.tmp`, "what a killed process leaves");
    await assertRejects(
      () => pack(root, to),
      InputError,
      'holds unfinished shards "set-…" of other images or other',
    );
    const events = await pack(root, to, { shardSamples: 1 });
    assertEquals(events[0], { kind: "resume", shards: 2, samples: 3 });
    assertEquals(await filesOf(to), await filesOf(`${folder}/whole`));
    await Deno.remove(`${to}/set.json`);
    await assertRejects(() => pack(root, to), InputError, "which mae data pack did not write");
  }));

Deno.test("a shard that vanished from unfinished work is missed", () =>
  inFolder(async (folder) => {
    const root = await pictures(folder);
    const onEvent = (event: PackEvent) => {
      if (event.kind === "done" && event.samples === 4) throw new Error("enough");
    };
    await assertRejects(() => pack(root, `${folder}/s`, { shardSamples: 1, onEvent }), Error, "enough");
    await Deno.remove(`${folder}/s/set-000001.tar`);
    await assertRejects(
      () => pack(root, `${folder}/s`, { shardSamples: 1 }),
      InputError,
      'lacks the shard "set-000001.tar"',
    );
  }));

Deno.test("the folder may hold other packed sets of the same classes, and nothing else", () =>
  inFolder(async (folder) => {
    const root = await pictures(folder);
    const to = `${folder}/shards`;
    await pack(root, to, { name: "train" });
    await pack(root, to, { name: "val" });
    await assertRejects(() => pack(root, to, { name: "val" }), InputError, 'holds finished shards "val-…"');
    const source = await listImages(root);
    const labels = { labels: new Uint32Array(5), classes: ["x", "y"] };
    await assertRejects(
      () => pack(root, to, { name: "test", source, labels }),
      InputError,
      "lists other classes",
    );
    await Deno.writeTextFile(`${to}/notes.txt`, "");
    await assertRejects(
      () => pack(root, to, { name: "test" }),
      InputError,
      'holds "notes.txt", which mae data pack did',
    );
    await assertRejects(() => pack(root, `${to}/notes.txt`), InputError, "notes.txt is a file");
  }));

Deno.test("a broken image can end the work; without a look at images none is broken", () =>
  inFolder(async (folder) => {
    const root = await pictures(folder);
    await assertRejects(
      () => pack(root, `${folder}/a`, { onBroken: "stop" }),
      RunError,
      `${root}/cat/cut.jpg: truncated: the end marker of the JPEG is missing; mend or remove it`,
    );
    const broken = (await pack(root, `${folder}/b`, { check: false })).filter(({ kind }) =>
      kind === "broken"
    );
    assertEquals(broken, []);
    assertEquals((await opened(`${folder}/b`)).length, 5);
    await Deno.mkdir(`${folder}/none`);
    await Deno.writeTextFile(`${folder}/none/x.jpg`, "");
    await assertRejects(() => pack(`${folder}/none`, `${folder}/c`), RunError, "None of the 1 images of");
  }));

Deno.test("what is read back and differs ends the work, and the shard gets no name", () =>
  inFolder(async (folder) => {
    const bytes = new TextEncoder().encode("an image");
    await using writer = await ShardWriter.start(folder, "x-000000.tar");
    await writer.add({ key: "a", ending: "jpg", bytes });
    await writer.add({ key: "b", ending: "jpg", bytes: new Uint8Array(5 * 2 ** 20), label: 3 }); // goes to the disk
    const file = await Deno.open(`${folder}/x-000000.tar.tmp`, { write: true });
    await file.seek(512, Deno.SeekMode.Start);
    await file.write(Uint8Array.of(0));
    file.close();
    const error = await assertRejects(() => writer.finish(), RunError);
    assertStringIncludes(error.message, 'was read back and is not what was written: entry "a.jpg" differs');
    await writer[Symbol.asyncDispose]();
    assertEquals([...Deno.readDirSync(folder)], []);
  }));

Deno.test("shards are cut by bytes or by images", () =>
  inFolder(async (folder) => {
    const root = `${folder}/x`;
    await Deno.mkdir(root);
    for (let i = 0; i < 5; i++) await Deno.writeFile(`${root}/${i}.jpg`, new Uint8Array(700));
    const sizes = async (more: Partial<PackOptions>) => {
      const to = `${folder}/${crypto.randomUUID()}`;
      await pack(root, to, { check: false, shardSamples: undefined, ...more });
      return (await opened(to)).shards.map(({ samples }) => samples);
    };
    const two = 2 * (512 + 1024) + 1024;
    assertEquals(await sizes({ shardBytes: two }), [2, 2, 1]);
    assertEquals(await sizes({ shardBytes: two - 1 }), [1, 1, 1, 1, 1]);
    assertEquals(await sizes({ shardSamples: 4 }), [4, 1]);
  }));

Deno.test("keys have no dot in their last part, and lead nowhere", () => {
  assertEquals(keyOf("a.b/c.d.JPEG"), { key: "a.b/c_d", ending: "jpeg" });
  assertEquals(keyOf("/abs/../x/./y.png"), { key: "abs/x/y", ending: "png" });
  assertEquals(keyOf("plain"), { key: "plain", ending: "jpg" });
});

Deno.test("shards and tables are packed anew with their labels", () =>
  inFolder(async (folder) => {
    const root = await pictures(folder);
    await pack(root, `${folder}/first`, { check: false });
    const labelled = await openForPacking(`${folder}/first`, { cache: null });
    await pack(root, `${folder}/second`, { ...labelled, check: false, shardSamples: 2 });
    const source = await opened(`${folder}/second`);
    const { labels, classes } = await labelShards(source);
    assertEquals([[...labels], classes, source.name(4)], [
      [0, 0, 0, 1, 1],
      ["cat", "dog"],
      "set-000002.tar/set-000001.tar/dog/z.png",
    ]);
    await Deno.writeTextFile(`${folder}/list.csv`, "path\npictures/cat/a.jpg\n");
    await assertRejects(
      () => openForPacking(`${folder}/list.csv`),
      InputError,
      "--unlabelled packs images without labels",
    );
    assertEquals((await openForPacking(`${folder}/list.csv`, { unlabelled: true })).source.length, 1);
    assertEquals((await openForPacking(root)).labels?.classes, ["cat", "dog"]);
  }));

Deno.test("parts of a data set are no classes", () =>
  inFolder(async (folder) => {
    const image = await Deno.readFile(new URL("rgb8.png", PHOTOS));
    for (const name of ["train", "val"]) {
      await Deno.mkdir(`${folder}/${name}`);
      await Deno.writeFile(`${folder}/${name}/a.png`, image);
    }
    const source = await listImages(folder);
    assertThrows(() => labelsByFolder(source), InputError, "holds train and val, which are no classes");
    assert(labelsByFolder(await listImages(`${folder}/val`)) === undefined);
  }));
