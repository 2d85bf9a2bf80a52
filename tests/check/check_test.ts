/** What a check finds: exact on a small set, alike for every kind of source. */
import { openCheckedSet } from "../../src/check/check_set.ts";
import { listImages } from "../../src/sources/image_folder.ts";
import { packShards } from "../../src/pack/pack.ts";
import { labelsByFolder } from "../../src/pack/pack_names.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertRejects } from "../deps.ts";
import { assertSnapshot } from "../support/snapshot.ts";
import { checked, flatPng, scan, writePets } from "./check_support.ts";
import { inFolder } from "../data/support.ts";

Deno.test("a check of a small set finds everything that is in it", () =>
  inFolder(async (folder) => {
    const report = await checked([await writePets(folder)]);
    assertEquals([report.images, report.readable, report.others], [11, 8, 1]);
    assertEquals(report.parts, [{ name: "pets/train", images: 8 }, { name: "pets/val", images: 3 }]);
    assertEquals(report.formats, { JPEG: 4, PNG: 2, GIF: 1, TIFF: 1 });
    assertEquals(report.broken.images, 3);
    assertEquals(report.broken.reasons.map(({ images }) => images), [2, 1]);
    const { groups, images, across_parts, across_classes } = report.duplicates;
    assertEquals([groups, images, across_parts, across_classes], [1, 2, 1, 1]);
    assertEquals(report.duplicates.files[0].paths.map((path) => path.slice(folder.length)), [
      "/pets/train/cat/a.jpg",
      "/pets/train/dog/a again.jpg",
      "/pets/val/cat/a.jpg",
    ]);
    assertEquals(report.uniform.files.map(({ path }) => path.slice(folder.length)), [
      "/pets/train/dog/plain.png",
    ]);
    assertEquals([report.turned, report.animated, report.misnamed.images], [1, 1, 1]);
    assertEquals(report.classes?.missing, [{ name: "dog", part: "pets/val" }]);
    await assertSnapshot("check", "check_report", JSON.stringify(report, null, 2).replaceAll(folder, "TMP"));
  }));

Deno.test("where nothing can be read there is a report all the same", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/a.jpg`, "nothing");
    const report = await checked([folder]);
    assertEquals([report.images, report.readable, report.broken.images, report.sizes], [1, 0, 1, null]);
    assertEquals([report.classes, report.formats, report.duplicates.files], [null, {}, []]);
  }));

Deno.test("equal images are found across several sources, tables among them; rows without a label count too", () =>
  inFolder(async (folder) => {
    const root = await writePets(folder);
    await Deno.writeTextFile(
      `${folder}/more.csv`,
      "path,label\npets/val/cat/a.jpg,cat\npets/train/cat/b.png,\npets/gone.png,7\npets/train/cat/b.png,dog\n",
    );
    const report = await checked([`${root}/train/`, `${folder}/more.csv`]);
    assertEquals(report.parts.map(({ name, images }) => [name.slice(folder.length), images]), [
      ["/pets/train", 8],
      ["/more.csv", 4],
    ]);
    assertEquals(
      report.duplicates.files.map(({ images, across_parts, across_classes }) => [
        images,
        across_parts,
        across_classes,
      ]),
      [[3, true, true], [3, true, true]],
    );
    assertEquals(report.classes?.unlabelled, 1);
    assertEquals(report.classes?.list.map(({ name, parts }) => [name, ...parts]), [
      ["7", 0, 1],
      ["cat", 3, 1],
      ["dog", 5, 1],
    ]);
    assertEquals(report.broken.files.at(-1)?.reason, "the file has vanished");
  }));

Deno.test("images in shards are checked with the classes that the shards hold", () =>
  inFolder(async (folder) => {
    const source = await listImages(`${await writePets(folder)}/train`);
    await packShards({
      source,
      labels: labelsByFolder(source),
      to: `${folder}/shards`,
      name: "x",
      shardBytes: 1e9,
      shardSamples: 3,
      onBroken: "skip",
      workers: 1,
    });
    const set = await openCheckedSet([`${folder}/shards`], { cache: null });
    const path = `${folder}/check.scan`;
    const { report: reportOf, forget } = await scan(set, { path });
    const report = reportOf();
    await forget();
    assertEquals([report.readable, report.broken.images, report.duplicates.groups], [6, 0, 1]);
    assertEquals(report.classes?.list.map(({ name, images }) => [name, images]), [["cat", 2], ["dog", 4]]);
    const folderReport = await checked([`${folder}/pets/train`]);
    assertEquals([report.colors, report.sizes], [folderReport.colors, folderReport.sizes]);
  }));

Deno.test("rows of Parquet files and addresses in a table are images too", () =>
  inFolder(async (folder) => {
    const plain = decodeURIComponent(new URL("../fixtures/parquet/plain.parquet", import.meta.url).pathname);
    const rows = await checked([plain]); // its bytes are no images
    assertEquals([rows.images, rows.broken.images, rows.broken.files[3].path], [10, 10, `${plain}, row 3`]);
    assertEquals(rows.classes?.list.map(({ name, images }) => [name, images]), [["ant", 4], ["bee", 3], [
      "cow",
      3,
    ]]);

    const bytes = flatPng(5, 4, 3);
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) =>
      url.endsWith("gone.png") ? new Response(null, { status: 404 }) : new Response(bytes.slice()));
    const origin = `http://127.0.0.1:${server.addr.port}`;
    await Deno.writeTextFile(
      `${folder}/t.csv`,
      `url\n${origin}/a.png\n${origin}/gone.png\n${origin}/b.png\n`,
    );
    const set = await openCheckedSet([`${folder}/t.csv`]);
    const report = (await scan(set, { path: `${folder}/check.scan` })).report();
    assertEquals([report.readable, report.broken.files[0].path], [2, `${origin}/gone.png`]);
    assertEquals(report.duplicates.groups, 1);
    // What was known is taken as it is, and nothing fetched again.
    await server.shutdown();
    const again = await scan(await openCheckedSet([`${folder}/t.csv`]), { path: `${folder}/check.scan` });
    assertEquals(again.report(), report);
    await again.forget();
  }));

Deno.test("a part without any labels lacks no classes", () =>
  inFolder(async (folder) => {
    const root = await writePets(folder);
    await Deno.mkdir(`${root}/test`);
    await Deno.writeFile(`${root}/test/a.png`, flatPng(3, 3, 1));
    const { parts, classes } = await checked([root]);
    assertEquals(parts.map(({ name }) => name), ["pets/test", "pets/train", "pets/val"]);
    assertEquals([classes?.unlabelled, classes?.missing], [1, [{ name: "dog", part: "pets/val" }]]);
  }));

Deno.test("a flat folder has no classes, nor has one folder alone", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/only`);
    await Deno.writeFile(`${folder}/only/a.png`, flatPng(3, 3, 1));
    assertEquals((await checked([folder])).classes, null);
    await assertRejects(() => openCheckedSet([folder, `${folder}/none`]), InputError, "none");
  }));

Deno.test("an image that workers are lost over is broken, and the others are looked at", () =>
  inFolder(async (folder) => {
    for (let i = 0; i < 5; i++) await Deno.writeFile(`${folder}/${i}.png`, flatPng(2, 2, i));
    const set = await openCheckedSet([folder]);
    // It finds every image to be readable, but does not survive the fourth.
    const code = `
      let worker = 0;
      self.onmessage = ({ data }) => {
        if (data.kind === "setup") { worker = data.worker; return; }
        const takers = new Int32Array(data.takers), records = new Uint8Array(data.pixels);
        let count = 0;
        data.items.forEach(({ slot, position }, i) => {
          if (Atomics.compareExchange(takers, i, 0, worker) !== 0) return;
          if (position === 3) throw new Error("out of memory");
          records.fill(1, slot * 40, slot * 40 + 38);
          count++;
        });
        self.postMessage({ kind: "report", id: data.id, count, failures: [] });
      };`;
    const workerUrl = `data:application/javascript,${encodeURIComponent(code)}`;
    const report = (await scan(set, { workerUrl })).report();
    assertEquals([report.readable, report.broken.images], [4, 1]);
    assertEquals(report.broken.files[0].path, `${folder}/3.png`);
    assertEquals(
      report.broken.files[0].reason.startsWith("cannot be decoded: Two data workers were lost"),
      true,
    );
  }));
