import { Storage } from "../../src/storage/storage.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertRejects, assertStringIncludes } from "../deps.ts";
import { runDeno } from "../support/deno.ts";
import { inFolder } from "../support/folder.ts";
import { someBytes, TestServer } from "../support/http_server.ts";

const file = someBytes(2_500_000);

Deno.test("files of this machine are read as everything else", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a b.bin`;
    await Deno.writeFile(path, file);
    for (const storage of [new Storage(), new Storage({ blocking: true })]) {
      using source = await storage.open(path);
      assertEquals([source.size, source.shown], [file.length, path]);
      assertEquals(source.version, String((await Deno.stat(path)).mtime?.getTime()));
      assertEquals(await source.read(100, 20), file.slice(100, 120));
      assertEquals(await storage.read(`file://${folder}/a%20b.bin`, 1e7), file);
      const pieces: Uint8Array<ArrayBuffer>[] = [];
      for await (const piece of storage.stream(path, 7)) pieces.push(piece);
      assertEquals(new Uint8Array(await new Blob(pieces).arrayBuffer()), file.slice(7));
      await assertRejects(() => storage.read(path, 10), InputError, "has 2500000 bytes; at most 10 are read");
      await assertRejects(() => storage.open(`${folder}/none`), InputError, "there is no file");
      storage[Symbol.dispose]();
    }
  }));

Deno.test("what may be missing is read where it is there", () =>
  inFolder(async (folder) => {
    await using server = new TestServer(file);
    using storage = new Storage({ retry: { firstDelay: 1 } });
    assertEquals(await storage.readIfThere(`${folder}/none`, 10), undefined);
    await Deno.writeFile(`${folder}/there`, file.slice(0, 5));
    assertEquals(await storage.readIfThere(`${folder}/there`, 10), file.slice(0, 5));
    assertEquals(await storage.readIfThere(server.url, 1e7), file);
    for (const status of [403, 404, 410]) {
      server.faults.push({ status });
      assertEquals(await storage.readIfThere(server.url, 10), undefined);
    }
    server.faults.push({ status: 401 });
    await assertRejects(() => storage.readIfThere(server.url, 10), InputError, "login");
  }));

Deno.test("expand() finds what braces and stars stand for", () =>
  inFolder(async (folder) => {
    for (
      const name of [
        "train/s-10.tar",
        "train/s-9.tar",
        "train/.s-1.tar",
        "train/x.txt",
        "val/s-1.tar",
        "odd{1}/s.tar",
      ]
    ) {
      await Deno.mkdir(`${folder}/${name.slice(0, name.indexOf("/"))}`, { recursive: true });
      await Deno.writeTextFile(`${folder}/${name}`, "");
    }
    using storage = new Storage();
    const found = async (pattern: string) =>
      (await storage.expand(`${folder}/${pattern}`)).map((path) => path.slice(folder.length + 1));
    assertEquals(await found("train/*.tar"), ["train/s-10.tar", "train/s-9.tar"]);
    assertEquals(await found("*/s-*.tar"), ["train/s-10.tar", "train/s-9.tar", "val/s-1.tar"]);
    assertEquals(await found("{val,train}/s-*"), ["val/s-1.tar", "train/s-10.tar", "train/s-9.tar"]);
    assertEquals(await found("*/s-1.tar"), ["val/s-1.tar"]);
    assertEquals(await found("odd{1}/s.tar"), ["odd{1}/s.tar"]);
    assertEquals(await found("s-{08..09}.tar"), ["s-08.tar", "s-09.tar"]);
    await assertRejects(() => found("*.zip"), InputError, `there is nothing like "${folder}/*.zip"`);
    await assertRejects(() => found("s-{08..}.tar"), InputError, "neither a range nor a list");
    assertEquals(await storage.expand("https://host/{0..1}.tar?a=*"), [
      "https://host/0.tar?a=*",
      "https://host/1.tar?a=*",
    ]);
  }));

Deno.test("a permission that is missing is named", () =>
  inFolder(async (folder) => {
    const script = `${folder}/read.ts`;
    const module = new URL("../../src/storage/storage.ts", import.meta.url).href;
    await Deno.writeTextFile(
      script,
      `import { Storage } from "${module}";
for (const address of Deno.args) await new Storage().open(address).catch((error) => console.log(error.name, error.message));`,
    );
    const run = (...flags: string[]) =>
      runDeno([
        "run",
        "--no-check",
        "--allow-import",
        ...flags,
        script,
        "https://ann:secret@host:81/x?secret",
        "s3://data/x",
      ]);
    const none = await run();
    assertStringIncludes(
      none.stdout,
      'InputError "https://host:81/x?…" needs the network: run Deno with --allow-net=host:81',
    );
    assertStringIncludes(none.stdout, "InputError addresses of S3 need the variables of the environment");
    const home = await run("--allow-env=AWS_*,HOME", "--allow-net=host");
    assertStringIncludes(home.stdout, "/.aws/config");
    assertStringIncludes(home.stdout, "run Deno with --allow-read=");
  }));
