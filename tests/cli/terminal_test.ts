import { columnsOf, type OutputStream, printable, systemTerminal } from "../../src/cli/terminal.ts";
import { invocation, shellWord } from "../../src/cli/invocation.ts";
import { assertEquals } from "../deps.ts";

Deno.test("columnsOf() aligns all but the last column", () => {
  assertEquals(columnsOf([["a", "1"], ["long", ""], ["b", "22"]]), "  a     1\n  long\n  b     22");
  assertEquals(columnsOf([]), "");
});

Deno.test("printable() leaves nothing that steers a terminal", () => {
  assertEquals(printable("a\x1b[31mb\r\n\t\x9b\u202ec"), "a\ufffd[31mb\ufffd\ufffd\ufffd\ufffd\ufffdc");
  assertEquals(printable("Läufe/北京 🙂"), "Läufe/北京 🙂");
});

Deno.test("invocation() suggests tasks in a checkout", () => {
  assertEquals(invocation("pretrain --resume"), "deno task pretrain --resume");
  assertEquals(invocation("inspect x"), "deno task mae inspect x");
});

Deno.test("shellWord() quotes what a shell would split or expand", () => {
  assertEquals(shellWord("runs/demo-1"), "runs/demo-1");
  assertEquals(shellWord("a b"), "'a b'");
  assertEquals(shellWord("it's $x"), "'it'\\''s $x'");
});

Deno.test("systemTerminal() outlives a reader that goes away", async () => {
  const terminal = new URL("../../src/cli/terminal.ts", import.meta.url).href;
  const code = `import { systemTerminal } from ${JSON.stringify(terminal)};
    const terminal = systemTerminal();
    await new Promise((resolve) => Deno.stdin.read(new Uint8Array(1)).then(resolve));
    for (let i = 0; i < 100; i++) terminal.print("x".repeat(10_000));
    Deno.exit(7);`;
  const file = await Deno.makeTempFile({ suffix: ".js" });
  await Deno.writeTextFile(file, code);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-read", file],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await child.stdout.cancel();
  await child.stdin.close();
  const [{ code: exitCode }, err] = [await child.status, await new Response(child.stderr).text()];
  await Deno.remove(file);
  assertEquals([exitCode, err], [7, ""]);
});

Deno.test("systemTerminal() replaces the status line by whatever comes next", () => {
  const written: string[] = [];
  const stream = (name: string): OutputStream => ({
    isTerminal: () => true,
    writeSync: (bytes) => {
      written.push(`${name} ${new TextDecoder().decode(bytes)}`);
      return bytes.length;
    },
  });
  const terminal = systemTerminal(stream("out"), stream("err"));
  terminal.print("a");
  terminal.showStatus("1 of 2");
  terminal.showStatus("2 of 2");
  terminal.printError("b");
  terminal.showStatus("");
  terminal.print("c");
  const clear = "out \r\x1b[K";
  assertEquals(written, ["out a\n", "out 1 of 2", clear, "out 2 of 2", clear, "err b\n", "out c\n"]);
  assertEquals([terminal.interactive, terminal.columns() > 0], [true, true]);
});

Deno.test("systemTerminal() writes on after a stream that takes only part of the bytes", () => {
  let written = "";
  const slow: OutputStream = {
    isTerminal: () => false,
    writeSync: (bytes) => {
      written += String.fromCharCode(bytes[0]);
      return 1;
    },
  };
  const terminal = systemTerminal(slow, slow);
  terminal.print("abc");
  assertEquals([written, terminal.interactive, terminal.color], ["abc\n", false, false]);
});
