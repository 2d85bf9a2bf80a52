import {
  baseName,
  didYouMeanPath,
  directoryOf,
  isMissing,
  joinPath,
  pathExists,
  syncFolder,
  writeAll,
  writeFileAtomic,
} from "../../src/util/files.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
import { inFolder } from "../support/folder.ts";

function table(of: (path: string) => string, rows: Readonly<Record<string, string>>): void {
  for (const [path, expected] of Object.entries(rows)) {
    assertEquals(of(path), expected, `of ${JSON.stringify(path)}`);
  }
}

Deno.test("baseName() gives what is after the last separator of either kind", () => {
  table(baseName, {
    "a": "a",
    "a/b.png": "b.png",
    "/a/b/": "b",
    "a//": "a",
    "C:\\photos\\cat.png": "cat.png",
    "C:\\photos/cats\\": "cats",
    "": "",
    "/": "",
  });
});

Deno.test("directoryOf() gives what is before the last separator, and of a root the root", () => {
  table(directoryOf, {
    "a": ".",
    "": ".",
    ".": ".",
    "a/b": "a",
    "a/b/": "a",
    "/a": "/",
    "/": "/",
    "/a/b/c": "/a/b",
    "./a": ".",
    "../a": "..",
    "C:\\photos\\cat.png": "C:\\photos",
    "C:\\photos": "C:\\",
    "C:\\": "C:\\",
    "photos\\cat.png": "photos",
  });
});

Deno.test("joinPath() puts one slash between parts", () => {
  const rows: [string[], string][] = [
    [["a", "b"], "a/b"],
    [["a/", "/b/", "c"], "a/b/c"],
    [["/", "a"], "/a"],
    [["/"], "/"],
    [["/a/", "b"], "/a/b"],
    [["", "a"], "a"],
    [["a", ""], "a"],
    [["a", "", "b"], "a/b"],
    [["a", "/"], "a"],
    [[""], ""],
    [[], ""],
    [[".", "a"], "./a"],
    [["a", "/etc/passwd"], "a/etc/passwd"],
    [["C:\\photos\\", "cats\\", "1.png"], "C:\\photos/cats/1.png"],
    [["C:\\", "a"], "C:/a"],
    [["\\\\server\\share", "a"], "\\\\server\\share/a"],
  ];
  for (const [parts, expected] of rows) assertEquals(joinPath(...parts), expected, JSON.stringify(parts));
});

Deno.test("pathExists() tells a missing path, also one that a file is in the way to", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "");
    await Deno.symlink("nowhere", `${folder}/link`);
    const paths = ["file", "link", "missing", "file/inside", "missing/inside"];
    assertEquals(await Promise.all(paths.map((path) => pathExists(`${folder}/${path}`))), [
      true,
      true,
      false,
      false,
      false,
    ]);
    const error = await Deno.readFile(`${folder}/file/inside`).catch((error) => error);
    assertEquals([isMissing(error), isMissing(new Deno.errors.PermissionDenied())], [true, false]);
  }));

Deno.test("writeAll() writes every byte of a large buffer", () =>
  inFolder(async (folder) => {
    const bytes = new Uint8Array(3_000_001).map((_, i) => i * 7);
    {
      using file = await Deno.open(`${folder}/file`, { write: true, create: true });
      await writeAll(file, bytes);
    }
    assertEquals(await Deno.readFile(`${folder}/file`), bytes);
  }));

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

Deno.test("writeFileAtomic() replaces text and bytes, and leaves no temporary file", () =>
  inFolder(async (folder) => {
    const path = `${folder}/file`;
    await writeFileAtomic(path, "äöü");
    assertEquals(await Deno.readTextFile(path), "äöü");
    await writeFileAtomic(path, Uint8Array.of(1, 2));
    assertEquals([...await Deno.readFile(path)], [1, 2]);
    assertEquals(await names(folder), ["file"]);
  }));

Deno.test("writeFileAtomic() leaves the old content and no temporary file when it fails", () =>
  inFolder(async (folder) => {
    // A folder of the target's name lets everything succeed but the last step, the renaming.
    await Deno.mkdir(`${folder}/file/inside`, { recursive: true });
    await assertRejects(() => writeFileAtomic(`${folder}/file`, "new"));
    assertEquals([await names(folder), await names(`${folder}/file`)], [["file"], ["inside"]]);
    await assertRejects(() => writeFileAtomic(`${folder}/missing/file`, "new"), Deno.errors.NotFound);
  }));

Deno.test("writeFileAtomic() never shows a reader half of the content", () =>
  inFolder(async (folder) => {
    const path = `${folder}/file`;
    const versions = [1, 2].map((byte) => new Uint8Array(40_000).fill(byte));
    await writeFileAtomic(path, versions[0]);
    let writing = true;
    const writer = (async () => {
      for (let i = 1; i <= 6; i++) await writeFileAtomic(path, versions[i % 2]);
      writing = false;
    })();
    let reads = 0;
    while (writing) {
      const bytes = await Deno.readFile(path);
      assert(bytes.length === 40_000 && bytes.every((byte) => byte === bytes[0]));
      reads++;
    }
    await writer;
    assert(reads > 0);
  }));

Deno.test("syncFolder() accepts a folder and refuses a missing one", () =>
  inFolder(async (folder) => {
    await syncFolder(folder);
    if (Deno.build.os !== "windows") await assertRejects(() => syncFolder(`${folder}/missing`));
  }));

Deno.test("didYouMeanPath() names the nearest path with the folder it lies in", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/runs/mine`, { recursive: true });
    await Deno.writeTextFile(`${folder}/runs/pets`, "");
    const near = `; did you mean "${folder}/runs/mine"?`;
    assertEquals(await didYouMeanPath(`${folder}/runs/mien`), near);
    assertEquals(await didYouMeanPath(`${folder}/runs/mien/`), near);
    assertEquals(await didYouMeanPath(`${folder}/runs/petz`, ({ isDirectory }) => isDirectory), "");
    assertEquals(await didYouMeanPath(`${folder}/nowhere/mien`), "");
    assertEquals(await didYouMeanPath("raedme.md"), '; did you mean "README.md"?'); // here, without a folder
  }));
