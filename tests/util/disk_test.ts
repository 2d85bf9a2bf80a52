import { ensureWritableFolder, freeBytes, refuseFileInTheWay } from "../../src/util/disk.ts";
import { InputError } from "../../src/util/errors.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
import { inFolder } from "../support/folder.ts";

async function names(folder: string): Promise<string[]> {
  return await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
}

Deno.test("freeBytes() tells the space of a folder, also of one that is still to be made", () =>
  inFolder(async (folder) => {
    const free = await freeBytes(folder);
    assert(free !== null && free > 0, `${free} bytes`);
    const inside = await freeBytes(`${folder}/a/b`);
    assert(inside !== null && Math.abs(inside - free) < 2 ** 30);
    assert(await freeBytes("not/here/yet") !== null);
  }));

Deno.test({
  name: "freeBytes() does not take a file system without a size for a full one",
  ignore: Deno.build.os !== "linux", // has /proc
  fn: async () => assertEquals(await freeBytes("/proc/mae"), null),
});

Deno.test("ensureWritableFolder() makes a folder and leaves it empty", () =>
  inFolder(async (folder) => {
    await ensureWritableFolder(`${folder}/a/b`);
    await ensureWritableFolder(`${folder}/a/b`);
    assertEquals(await names(`${folder}/a/b`), []);
  }));

Deno.test("ensureWritableFolder() names a file in the way", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "kept");
    await assertRejects(
      () => ensureWritableFolder(`${folder}/file`),
      InputError,
      `run.out ${folder}/file is a file; choose another folder with --out`,
    );
    await assertRejects(
      () => ensureWritableFolder(`${folder}/file/a/b`),
      InputError,
      `run.out ${folder}/file/a/b cannot be made: ${folder}/file is a file`,
    );
    assertEquals(await Deno.readTextFile(`${folder}/file`), "kept");
  }));

Deno.test({
  name: "ensureWritableFolder() refuses a place where the system lets nobody write",
  ignore: Deno.build.os !== "linux", // has /proc
  fn: async () => {
    await assertRejects(
      () => ensureWritableFolder("/proc/mae"),
      InputError,
      "run.out /proc/mae cannot be written to",
    );
  },
});

Deno.test("refuseFileInTheWay() writes nothing", () =>
  inFolder(async (folder) => {
    await refuseFileInTheWay(`${folder}/a/b`);
    await refuseFileInTheWay(folder);
    await refuseFileInTheWay("a/relative/path");
    assertEquals(await names(folder), []);
    await Deno.writeTextFile(`${folder}/file`, "");
    await assertRejects(() => refuseFileInTheWay(`${folder}/file/a`), InputError, "is a file");
  }));
