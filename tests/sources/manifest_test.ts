import { listLabelledManifest, listManifest } from "../../src/sources/manifest.ts";
import type { ManifestColumns } from "../../src/sources/manifest_columns.ts";
import { namesOf } from "../../src/sources/source.ts";
import { InputError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
import { denoOutput, projectFolder } from "../support/deno.ts";
import { inFolder } from "../data/support.ts";

/** Writes a manifest and gives its path. */
async function write(folder: string, name: string, text: string): Promise<string> {
  await Deno.writeTextFile(`${folder}/${name}`, text);
  return `${folder}/${name}`;
}

Deno.test("listManifest() finds the column of paths by its name, whatever the format", () =>
  inFolder(async (folder) => {
    const tables = {
      "a.csv": "id,Image Path,label\n1,x/1.jpg,cat\n2, x/2.jpg ,dog\n",
      "b.tsv": "file_name\tsize\nx/1.jpg\t3\nx/2.jpg\t4\n",
      "c.jsonl": '{"id": 1, "image": "x/1.jpg"}\n{"image": "x/2.jpg", "id": 2}\n',
      "d.csv": "x/1.jpg,cat\nx/2.jpg,dog\n", // no header
    };
    for (const [name, text] of Object.entries(tables)) {
      const source = await listManifest(await write(folder, name, text));
      assertEquals(namesOf(source), ["x/1.jpg", "x/2.jpg"], name);
      assertEquals(source.path(1), `${folder}/x/2.jpg`);
      assertEquals(source.locate(1), { kind: "file", path: `${folder}/x/2.jpg` });
      assertEquals([source.root, source.length, source.others], [`${folder}/${name}`, 2, 0]);
    }
  }));

Deno.test("listManifest() takes the column that it is told", () =>
  inFolder(async (folder) => {
    const manifest = await write(folder, "m.csv", "path,thumb\nbig.jpg,small.jpg\n");
    const columns: ManifestColumns = { path: "thumb", label: null };
    assertEquals(namesOf(await listManifest(manifest, columns)), ["small.jpg"]);
    await assertRejects(
      () => listManifest(manifest, { path: "thumbs", label: null }),
      InputError,
      `"${manifest}" has no column "thumbs" (data.path_column): its columns are "path" and "thumb"; did you mean "thumb"?`,
    );
  }));

Deno.test("listManifest() takes absolute paths, and refuses those that climb out of the folder", () =>
  inFolder(async (folder) => {
    const good = await write(folder, "good.csv", "path\n/data/a.jpg\nx/../b.jpg\n..hidden/c.jpg\n");
    const source = await listManifest(good);
    assertEquals([source.path(0), source.path(1)], ["/data/a.jpg", `${folder}/x/../b.jpg`]);
    for (const path of ["../a.jpg", "x/../../a.jpg", "..\\\\a.jpg", "./../a.jpg"]) {
      const bad = await write(folder, "bad.csv", `path\nok.jpg\n${path}\n`);
      await assertRejects(
        () => listManifest(bad),
        InputError,
        `which climbs out of the table's folder; give it as an absolute path`,
      );
    }
    await assertRejects(() => listManifest(`${folder}/bad.csv`), InputError, `bad.csv" line 3 has the path`);
  }));

Deno.test("listManifest() refuses what is no list of images, with the line where there is one", () =>
  inFolder(async (folder) => {
    const cases: [string, string, string][] = [
      ["empty.csv", "", `There are no images in "FILE": it has no rows`],
      ["header.csv", "path,label\n", `There are no images in "FILE": it has no rows`],
      ["gap.csv", "path,label\na.jpg,1\n,2\n", `"FILE" line 3 has no path`],
      ["short.csv", "label,path\n1,a.jpg\n2\n", `"FILE" line 3 has no path`],
      ["keys.jsonl", '{"path": "a.jpg"}\n{"Path": "b.jpg"}\n', `"FILE" line 2 has no path`],
      [
        "other.csv",
        "name,size\na,1\n",
        `"FILE" has no column that is known to hold paths: its columns are "name" and "size"; ` +
        "call it path, or name it with data.path_column",
      ],
    ];
    for (const [name, text, sentence] of cases) {
      const manifest = await write(folder, name, text);
      const error = await assertRejects(() => listManifest(manifest), InputError);
      assertEquals(error.message.replaceAll(manifest, "FILE"), sentence);
    }
  }));

Deno.test("listLabelledManifest() numbers labels by their bytes, or by their values where all are numbers", () =>
  inFolder(async (folder) => {
    const words = await write(folder, "w.csv", "path,label\na.jpg,dog\nb.jpg,Ant\nc.jpg,\nd.jpg,dog\n");
    const { source, labels, classes, unlabelled } = await listLabelledManifest(words);
    assertEquals(namesOf(source), ["a.jpg", "b.jpg", "d.jpg"]);
    assertEquals([classes, [...labels], unlabelled], [["Ant", "dog"], [1, 0, 1], 1]);
    const numbers = await write(
      folder,
      "n.jsonl",
      [10, 9, 2].map((y) => `{"path":"x","class":${y}}`).join("\n"),
    );
    const numbered = await listLabelledManifest(numbers);
    assertEquals([numbered.classes, [...numbered.labels]], [["2", "9", "10"], [2, 1, 0]]);
  }));

Deno.test("listLabelledManifest() labels by the classes that it is given, and names the line of another", () =>
  inFolder(async (folder) => {
    const manifest = await write(folder, "m.csv", "path,label\na.jpg,dog\nb.jpg,cat\n");
    const { labels, classes } = await listLabelledManifest(manifest, undefined, ["ant", "cat", "dog"]);
    assertEquals([classes.length, [...labels]], [3, [2, 1]]);
    await assertRejects(
      () => listLabelledManifest(manifest, undefined, ["ant", "dog", "car"]),
      InputError,
      `"${manifest}" line 3 has the label "cat", which is none of the 3 classes that are known; did you mean "car"?`,
    );
    const bare = await write(folder, "bare.csv", "path,size\na.jpg,1\n");
    await assertRejects(
      () => listLabelledManifest(bare),
      InputError,
      `has no column that is known to hold labels: its columns are "path" and "size"; call it label`,
    );
    const none = await write(folder, "none.csv", "path,label\na.jpg,\n");
    await assertRejects(() => listLabelledManifest(none), InputError, "none of its 1 rows has a label");
  }));

Deno.test("a manifest of many images takes little memory", () =>
  inFolder(async (folder) => {
    const count = 200_000;
    const lines = ["path,label"];
    for (let i = 0; i < count; i++) {
      lines.push(`images/train/class_${i % 1000}/image_${i}.jpg,class_${i % 1000}`);
    }
    const manifest = await write(folder, "m.csv", lines.join("\n"));
    const module = new URL("../../src/sources/manifest.ts", import.meta.url);
    await Deno.writeTextFile(
      `${folder}/main.ts`,
      `import { listLabelledManifest } from "${module}";
       const before = Deno.memoryUsage().rss;
       const { source, labels } = await listLabelledManifest("${manifest}");
       console.log(JSON.stringify([before, Deno.memoryUsage().rss, source.path(${
        count - 1
      }), labels.length]));`,
    );
    const printed = await denoOutput(["run", "--no-check", "--allow-read", `${folder}/main.ts`], {
      cwd: projectFolder(),
    });
    const [before, after, last, labels] = JSON.parse(printed);
    assertEquals([last, labels], [`${folder}/images/train/class_999/image_${count - 1}.jpg`, count]);
    assert(after - before < 100e6, `${(after - before) / 1e6} MB beyond ${before / 1e6}`);
  }));
