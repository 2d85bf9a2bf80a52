import { listLabelledFolder } from "../../src/sources/class_folders.ts";
import { splitLabelled } from "../../src/sources/labelled.ts";
import { listLabelledImages } from "../../src/sources/labelled_images.ts";
import { namesOf } from "../../src/sources/source.ts";
import { InputError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "../deps.ts";
import { inFolder } from "../data/support.ts";

/** Makes empty image files, `count` for each folder. */
async function makeImages(root: string, counts: Record<string, number>): Promise<void> {
  for (const [folder, count] of Object.entries(counts)) {
    await Deno.mkdir(`${root}/${folder}`, { recursive: true });
    for (let i = 0; i < count; i++) await Deno.writeFile(`${root}/${folder}/${i}.png`, new Uint8Array(0));
  }
}

/** Checks the sentence that a folder is refused with. */
async function assertRefused(root: string, fraction: number | undefined, sentence: string): Promise<void> {
  const error = await assertRejects(() => listLabelledImages(root, { fraction, seed: 0 }), InputError);
  assertEquals(error.message.replaceAll(root, "ROOT"), sentence);
}

Deno.test("listLabelledImages() finds train and val, classes in byte order", async () => {
  await inFolder(async (root) => {
    await makeImages(root, {
      "train/cat": 2,
      "train/Dog": 1,
      "train/ant/deep/er": 1,
      "val/ant": 1,
      "val/cat": 1,
      "val/Dog": 2,
    });
    await makeImages(root, { "test/unused": 1, "train/.cache": 1 });
    await Deno.writeFile(`${root}/train/loose.jpg`, new Uint8Array(0));
    await Deno.writeFile(`${root}/train/notes.txt`, new Uint8Array(0));
    const { classes, train, validation } = await listLabelledImages(root, { seed: 0 });
    assertEquals(classes, ["Dog", "ant", "cat"]);
    assertEquals(namesOf(train), ["Dog/0.png", "ant/deep/er/0.png", "cat/0.png", "cat/1.png"]);
    assertEquals(train.labels, Uint32Array.of(0, 1, 2, 2));
    assertEquals([train.unlabelled, train.others], [1, 1]);
    assertEquals(validation.labels, Uint32Array.of(0, 0, 1, 2));
    assertEquals(validation.path(3), `${root}/val/cat/0.png`);
  });
});

Deno.test("listLabelledImages() takes validation or test for val, and links to folders", async () => {
  for (const name of ["validation", "test"]) {
    await inFolder(async (root) => {
      await makeImages(root, { "set/train/a": 1, "set/train/b": 1, "elsewhere": 2 });
      await Deno.symlink(`${root}/elsewhere`, `${root}/set/train/c`);
      await Deno.symlink("train", `${root}/set/${name}`);
      const { classes, train, validation } = await listLabelledImages(`${root}/set`, { seed: 0 });
      assertEquals(classes, ["a", "b", "c"]);
      assertEquals(validation.labels, train.labels);
      assertEquals(train.labels, Uint32Array.of(0, 1, 2, 2));
    });
  }
});

Deno.test("listLabelledImages() splits each class by the fraction, repeatably", async () => {
  await inFolder(async (root) => {
    await makeImages(root, { a: 20, b: 5, c: 2 });
    const split = await listLabelledImages(root, { fraction: 0.1, seed: 3 });
    const counts = (labels: Uint32Array) =>
      [0, 1, 2].map((k) => labels.filter((label) => label === k).length);
    assertEquals(counts(split.train.labels), [18, 4, 1]);
    assertEquals(counts(split.validation.labels), [2, 1, 1]);
    const all = [...namesOf(split.train), ...namesOf(split.validation)];
    assertEquals(new Set(all).size, 27);
    assertEquals(namesOf(split.train), namesOf(split.train).sort());
    namesOf(split.train).forEach((path, i) => assert(path.startsWith(split.classes[split.train.labels[i]])));
    const again = await listLabelledImages(root, { fraction: 0.1, seed: 3 });
    assertEquals(namesOf(again.validation), namesOf(split.validation));
    assertEquals(again.validation.labels, split.validation.labels);
    const other = await listLabelledImages(root, { fraction: 0.1, seed: 4 });
    assertNotEquals(namesOf(other.validation), namesOf(split.validation));
    const most = await listLabelledImages(root, { fraction: 0.99, seed: 3 });
    assertEquals(counts(most.train.labels), [1, 1, 1]);
  });
});

Deno.test("listLabelledImages() splits train where there is nothing to validate with", async () => {
  await inFolder(async (root) => {
    await makeImages(root, { "train/a": 4, "train/b": 4 });
    const { train, validation } = await listLabelledImages(root, { fraction: 0.5, seed: 0 });
    assertEquals([train.root, train.length, validation.length], [`${root}/train`, 4, 4]);
    await assertRefused(
      root,
      undefined,
      `"ROOT" has "train" but no "val" or "test"; give it "train" and "val" (or "test") with one folder per class in each, ` +
        `or set --split to the share of images to validate with, such as 0.1`,
    );
  });
});

Deno.test("listLabelledImages() says which classes are missing on which side", async () => {
  await inFolder(async (root) => {
    await makeImages(root, { "train/cat": 1, "train/dog": 1, "train/owl": 1, "val/cat": 1, "val/dog": 1 });
    await assertRefused(
      root,
      undefined,
      `The class "owl" has images under "ROOT/train" but none under "ROOT/val"; every class needs at least one in both`,
    );
    await makeImages(root, { "train/ant": 1, "train/bee": 1, "train/fox": 1 });
    await assertRefused(
      root,
      undefined,
      `The classes "ant", "bee", "fox" and 1 more have images under "ROOT/train" but none under "ROOT/val"; ` +
        `every class needs at least one in both`,
    );
    await makeImages(root, { "val/dogs": 1 });
    await assertRefused(
      root,
      undefined,
      `"ROOT/val" holds the class "dogs", which is none of the 6 that are known; did you mean "dog"?`,
    );
  });
});

Deno.test("listLabelledImages() refuses folders that hold no classes", async () => {
  await inFolder(async (root) => {
    await makeImages(root, { flat: 3, "one/cat": 3, "hollow/cat": 1, "hollow/dog": 0, "hollow/owl": 0 });
    await assertRefused(
      `${root}/flat`,
      0.1,
      `"ROOT" holds images but no folders; labels come from one folder of images per class`,
    );
    await assertRefused(
      `${root}/one`,
      0.1,
      `"ROOT" holds only one class, "cat"; at least two folders of images are needed`,
    );
    await assertRefused(
      `${root}/hollow`,
      0.1,
      `The class folders "dog" and "owl" under "ROOT" hold no images; ` +
        `every class needs at least one, and other folders must lie elsewhere`,
    );
    await assertRefused(`${root}/flax`, 0.1, `There is no folder "ROOT"; did you mean "${root}/flat"?`);
    await assertRefused(
      `${root}/flat`,
      undefined,
      `"ROOT" has no folder "train"; give it "train" and "val" (or "test") with one folder per class in each, ` +
        `or set --split to the share of images to validate with, such as 0.1`,
    );
    const file = await assertRejects(() => listLabelledImages(`${root}/flat/0.png`, { seed: 0 }), InputError);
    assert(file.message.includes("one folder of images per class"), file.message);
  });
});

Deno.test("listLabelledImages() refuses splits that cannot be", async () => {
  await inFolder(async (root) => {
    await makeImages(root, { "set/a": 3, "set/b": 1, "both/train/a": 1, "both/train/b": 1, "both/val/a": 1 });
    await assertRefused(
      `${root}/set`,
      0.2,
      `The class "b" under "ROOT" has only one image; ` +
        `a split needs at least two of each class, one to train and one to validate with`,
    );
    for (const fraction of [0, 1, -0.1, NaN]) {
      await assertRefused(
        `${root}/set`,
        fraction,
        `--split is ${fraction}; the share of images to validate with lies between 0 and 1`,
      );
    }
    await assertRefused(
      `${root}/both`,
      0.1,
      `--split is 0.1, but "ROOT" has a folder "val" to validate with; leave one out`,
    );
  });
});

Deno.test("listLabelledFolder() labels by the classes it is given, and splitLabelled() splits the rest", async () => {
  await inFolder(async (root) => {
    await makeImages(root, { cat: 2, dog: 2 });
    const known = await listLabelledFolder(root, ["ant", "cat", "dog"]);
    assertEquals(known.labels, Uint32Array.of(1, 1, 2, 2));
    assertEquals(known.classes, ["ant", "cat", "dog"]);
    await assertRejects(
      () => listLabelledFolder(root, ["cat", "dig"]),
      InputError,
      `holds the class "dog", which is none of the 2 that are known; did you mean "dig"?`,
    );
    await assertRejects(
      () => listLabelledFolder(`${root}/cat`, ["cat"]),
      InputError,
      "holds images but no folders",
    );
    const own = await listLabelledFolder(root);
    assertEquals(splitLabelled(own, own.classes, 0.5, 1).train.length, 2);
    assertThrows(() => splitLabelled(own, own.classes, 2, 1), InputError, "between 0 and 1");
  });
});
