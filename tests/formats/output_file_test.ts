import { assertEquals, assertRejects, assertStringIncludes } from "../deps.ts";
import { AppendFile, replaceFile } from "../../src/formats/output_file.ts";
import { RunError } from "../../src/util/errors.ts";
import { denoOutput } from "../support/deno.ts";
import { inFolder } from "../support/folder.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("AppendFile.write() keeps the order of calls that nobody awaits", () =>
  inFolder(async (folder) => {
    const path = `${folder}/log`;
    await Deno.writeTextFile(path, "old ");
    const file = await AppendFile.open(path);
    for (let i = 0; i < 50; i++) file.write(bytes(`${i} `));
    await file.sync();
    assertEquals(
      await Deno.readTextFile(path),
      `old ${Array.from({ length: 50 }, (_, i) => `${i} `).join("")}`,
    );
    await file.close();
  }));

Deno.test("AppendFile.open() with isNew refuses a file that exists, and a folder that does not", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/log`, "");
    await assertRejects(() => AppendFile.open(`${folder}/log`, { isNew: true }), Deno.errors.AlreadyExists);
    await assertRejects(
      () => AppendFile.open(`${folder}/no/log`),
      RunError,
      `cannot write "${folder}/no/log"`,
    );
  }));

Deno.test({
  name: "AppendFile fails every later call after a full disk",
  ignore: Deno.build.os !== "linux", // the only system with a device that is always full
  async fn() {
    // In a process of its own, because Deno opens devices only for programs that may do everything.
    const said = await denoOutput([
      "eval",
      `import { AppendFile } from "${new URL("../../src/formats/output_file.ts", import.meta.url)}";
       const file = await AppendFile.open("/dev/full");
       const calls = [() => file.write(new Uint8Array(1)), () => file.write(new Uint8Array()), () => file.close()];
       for (const call of calls) console.log(await call().catch((error) => error.name + ": " + error.message));`,
    ]);
    const failures = said.trimEnd().split("\n");
    assertEquals(failures.length, 3);
    for (const failure of failures) {
      assertStringIncludes(failure, 'RunError: cannot write "/dev/full": No space left');
    }
  },
});

Deno.test("replaceFile() writes all or nothing", () =>
  inFolder(async (folder) => {
    const path = `${folder}/x`;
    await replaceFile(path, async (put) => {
      await put(bytes("one "));
      await put(bytes("two"));
    });
    assertEquals(await Deno.readTextFile(path), "one two");
    const failing = replaceFile(path, async (put) => {
      await put(bytes("half"));
      throw new Error("stop");
    });
    await assertRejects(() => failing, Error, "stop");
    assertEquals(await Deno.readTextFile(path), "one two");
    assertEquals([...Deno.readDirSync(folder)].length, 1);
    await assertRejects(() => replaceFile(`${folder}/no/x`, async () => {}), RunError, "cannot write");
  }));
