import { listImages } from "../../src/sources/image_folder.ts";
import { namesOf } from "../../src/sources/source.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertRejects } from "../deps.ts";
import { inFolder } from "../data/support.ts";

/** Makes empty files, and the folders they need. */
async function touch(folder: string, ...paths: string[]): Promise<void> {
  for (const path of paths) {
    const full = `${folder}/${path}`;
    await Deno.mkdir(full.slice(0, full.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(full, new Uint8Array(0));
  }
}

Deno.test("listImages() finds images flat and nested, in byte order", async () => {
  await inFolder(async (folder) => {
    await touch(
      folder,
      "b.png",
      "B.JPG",
      "a/2.webp",
      "a/10.jpeg",
      "a.jpg",
      "z/y/x/deep.Png",
      "é.png",
      "notes.txt",
      "jpg",
    );
    const source = await listImages(folder);
    assertEquals(namesOf(source), [
      "B.JPG",
      "a.jpg",
      "a/10.jpeg",
      "a/2.webp",
      "b.png",
      "z/y/x/deep.Png",
      "é.png",
    ]);
    assertEquals(source.others, 2);
    assertEquals(source.path(3), `${folder}/a/2.webp`);
    assertEquals(namesOf(await listImages(`${folder}/`)), namesOf(source));
  });
});

Deno.test("listImages() orders by UTF-8 bytes where UTF-16 units would not", async () => {
  await inFolder(async (folder) => {
    await touch(folder, "\u{1f600}.png", "\uff5e.png", "z.png");
    assertEquals(namesOf(await listImages(folder)), ["z.png", "\uff5e.png", "\u{1f600}.png"]);
  });
});

Deno.test("listImages() passes over hidden files and folders", async () => {
  await inFolder(async (folder) => {
    await touch(folder, "seen.jpg", ".hidden.jpg", ".cache/thumbnail.jpg", "a/._resource.jpg");
    const source = await listImages(folder);
    assertEquals([namesOf(source), source.others], [["seen.jpg"], 0]);
  });
});

Deno.test("listImages() follows links to files and folders, and out of loops", async () => {
  await inFolder(async (folder) => {
    await touch(folder, "set/real/1.jpg", "elsewhere/2.jpg", "single.jpg", "text.txt");
    await Deno.symlink("../single.jpg", `${folder}/set/link.jpg`);
    await Deno.symlink("../elsewhere", `${folder}/set/more`);
    await Deno.symlink("../../set", `${folder}/set/real/loop`);
    await Deno.symlink("../set", `${folder}/elsewhere/back`);
    await Deno.symlink("real", `${folder}/set/again`); // the same folder twice is read once, under its real name
    await Deno.symlink("nowhere.jpg", `${folder}/set/dangling.jpg`);
    const source = await listImages(`${folder}/set`);
    assertEquals(namesOf(source), ["link.jpg", "more/2.jpg", "real/1.jpg"]);
    assertEquals(source.others, 1);
  });
});

Deno.test("listImages() takes a single image", async () => {
  await inFolder(async (folder) => {
    await touch(folder, "one.png", "two.png", "read.me");
    const source = await listImages(`${folder}/one.png`);
    assertEquals([source.root, namesOf(source), source.others], [folder, ["one.png"], 0]);
    await assertRejects(
      () => listImages(`${folder}/read.me`),
      InputError,
      "neither a folder nor a file that ends in",
    );
  });
});

Deno.test("listImages() says what is wrong with a folder", async () => {
  await inFolder(async (folder) => {
    await touch(folder, "photos/notes.txt", "photos/table.csv", "empty/.keep");
    await assertRejects(
      () => listImages(`${folder}/photo`),
      InputError,
      `There is no folder "${folder}/photo"; did you mean "${folder}/photos"?`,
    );
    await assertRejects(
      () => listImages(`${folder}/gone/deeper`),
      InputError,
      `There is no folder "${folder}/gone/deeper"`,
    );
    await assertRejects(
      () => listImages(`${folder}/photos`),
      InputError,
      "it holds 2 other files, and none that ends in .jpg, .jpeg, .png, .webp, .avif, .gif, .tif or .tiff",
    );
    await assertRejects(() => listImages(`${folder}/empty`), InputError, "it holds no files");
  });
});
