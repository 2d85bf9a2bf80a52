import { joinPath } from "../../src/util/files.ts";
import { InputError } from "../../src/util/errors.ts";
import { type LabelledImagesOptions, listLabelledImages } from "../../src/sources/labelled_images.ts";
import { openLabelledSource } from "../../src/sources/labelled_source.ts";
import { openSource } from "../../src/sources/open_source.ts";
import { namesOf } from "../../src/sources/source.ts";
import { assertEquals, assertRejects } from "../deps.ts";
import { inFolder } from "../data/support.ts";

/** Writes files, empty where they are images. */
async function write(folder: string, files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    const full = joinPath(folder, path);
    await Deno.mkdir(full.slice(0, full.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(full, text);
  }
}

const train = "path,label\n1.jpg,cat\n2.jpg,dog\n3.jpg,cat\n4.jpg,dog\n";

Deno.test("listLabelledImages() takes manifests to train and to validate with", () =>
  inFolder(async (folder) => {
    await write(folder, {
      "train.csv": train,
      "val.jsonl": '{"file": "5.jpg", "class": "dog"}\n{"file": "6.jpg", "class": "cat"}',
    });
    const { classes, train: images, validation } = await listLabelledImages(`${folder}/train.csv`, {
      seed: 0,
      validation: `${folder}/val.jsonl`,
    });
    assertEquals([classes, [...images.labels], [...validation.labels]], [["cat", "dog"], [0, 1, 0, 1], [
      1,
      0,
    ]]);
    assertEquals([images.root, validation.path(0)], [`${folder}/train.csv`, `${folder}/5.jpg`]);
  }));

Deno.test("listLabelledImages() splits a manifest, and a manifest may validate a folder", () =>
  inFolder(async (folder) => {
    await write(folder, { "train.csv": train, "set/cat/a.png": "", "set/dog/b.png": "" });
    const split = await listLabelledImages(`${folder}/train.csv`, { seed: 0, fraction: 0.5 });
    assertEquals([split.train.length, split.validation.length], [2, 2]);
    const crossed = await listLabelledImages(`${folder}/set`, { seed: 0, validation: `${folder}/train.csv` });
    assertEquals([crossed.train.length, crossed.validation.length], [2, 4]);
  }));

Deno.test("listLabelledImages() takes several data sets, whose classes are put together", () =>
  inFolder(async (folder) => {
    await write(folder, {
      "a.csv": "path,label\n1.jpg,dog\n2.jpg,cat\n",
      "set/owl/a.png": "",
      "set/cat/b.png": "",
      "val.csv": "path,label\n1.jpg,owl\n2.jpg,cat\n3.jpg,dog\n",
    });
    const entries = [{ source: `${folder}/a.csv`, weight: 1 }, { source: `${folder}/set`, weight: 3 }];
    const { classes, train } = await listLabelledImages(entries, {
      seed: 0,
      validation: `${folder}/val.csv`,
    });
    assertEquals(classes, ["cat", "dog", "owl"]);
    assertEquals([namesOf(train), [...train.labels]], [
      ["a.csv/1.jpg", "a.csv/2.jpg", "set/cat/b.png", "set/owl/a.png"],
      [1, 0, 0, 2],
    ]);
    assertEquals(train.parts?.map(({ weight, samples }) => [weight, samples]), [[1, 2], [3, 2]]);
    const known = await openLabelledSource(entries, {}, ["owl", "dog", "cat", "ant"]);
    assertEquals([...known.labels], [1, 2, 2, 0]);
  }));

Deno.test("listLabelledImages() refuses what has no counterpart", () =>
  inFolder(async (folder) => {
    await write(folder, {
      "train.csv": train,
      "cats.csv": "path,label\n1.jpg,cat\n",
      "val.csv": "path,label\n1.jpg,cat\n2.jpg,dogs\n",
    });
    const refused = async (name: string, options: Partial<LabelledImagesOptions>, sentence: string) => {
      const error = await assertRejects(
        () => listLabelledImages(`${folder}/${name}`, { seed: 0, ...options }),
        InputError,
      );
      assertEquals(error.message.replaceAll(folder, "F"), sentence);
    };
    await refused(
      "train.csv",
      {},
      '"F/train.csv" has no images to validate with; name some with --val (data.val), or set --split to the share of images ' +
        "to validate with, such as 0.1",
    );
    await refused(
      "train.csv",
      { validation: `${folder}/val.csv`, fraction: 0.1 },
      "--split is 0.1, but data.val names images to validate with; leave one out",
    );
    await refused(
      "train.csv",
      { validation: `${folder}/val.csv` },
      '"F/val.csv" line 3 has the label "dogs", which is none of the 2 classes that are known; did you mean "dog"?',
    );
    await refused(
      "train.csv",
      { validation: `${folder}/cats.csv` },
      'The class "dog" has images under "F/train.csv" but none under "F/cats.csv"; every class needs at least one in both',
    );
    await refused(
      "cats.csv",
      { fraction: 0.5 },
      '"F/cats.csv" holds only one class, "cat"; at least two are needed',
    );
    await refused(
      "trains.csv",
      { fraction: 0.5 },
      'There is no file "F/trains.csv"; did you mean "F/train.csv"?',
    );
  }));

Deno.test("openSource() takes a folder, an image, a manifest or a list of them", () =>
  inFolder(async (folder) => {
    await write(folder, { "train.csv": train, "set/cat/a.png": "", "b.png": "" });
    assertEquals((await openSource(`${folder}/set`)).length, 1);
    assertEquals((await openSource(`${folder}/b.png`)).length, 1);
    assertEquals((await openSource(`${folder}/train.csv`)).length, 4);
    const paths = ["set", "b.png", "train.csv"];
    const all = await openSource(paths.map((path) => ({ source: `${folder}/${path}`, weight: null })));
    assertEquals([all.length, all.path(1), all.parts], [6, `${folder}/b.png`, undefined]);
    await assertRejects(
      () => openSource(`${folder}/trian.csv`),
      InputError,
      `did you mean "${folder}/train.csv"?`,
    );
  }));
