/** The program as a process of its own. */
import { assertEquals, assertMatch, assertStringIncludes } from "../deps.ts";

const cli = decodeURIComponent(new URL("../../cli.ts", import.meta.url).pathname);

async function mae(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-read", cli, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test("cli.ts prints help on standard output", async () => {
  const { code, out, err } = await mae("--help");
  assertEquals([code, err], [0, ""]);
  assertMatch(out, /^mae: .*\n\nUsage: mae <command>/);
});

Deno.test("cli.ts ends with 2 and a sentence on standard error after wrong usage", async () => {
  const { code, out, err } = await mae("pretrain", "--epochs", "0");
  assertEquals([code, out], [2, ""]);
  assertEquals(err, "mae: optim.epochs must be a whole number from 1 to 1000000000, not 0 (from --epochs)\n");
});

Deno.test("cli.ts prints the resolved configuration", async () => {
  const { code, out, err } = await mae("pretrain", "--dry-run", "--set", "run.seed=7");
  assertEquals([code, err], [0, ""]);
  assertStringIncludes(out, "\n  seed: 7\n");
});

Deno.test("importing cli.ts runs nothing", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", `await import(${JSON.stringify(new URL(cli, "file:").href)})`],
  }).output();
  assertEquals([code, stdout.length, stderr.length], [0, 0, 0]);
});

Deno.test("reportStrayErrors() ends with 1 and a sentence, and shows the stack with --debug", async () => {
  const main = new URL("../../src/cli/main.ts", import.meta.url).href;
  for (
    const stray of ['setTimeout(() => { throw new Error("Lost"); }, 0)', 'Promise.reject(new Error("Lost"))']
  ) {
    for (const args of [[], ["--debug"]]) {
      const code = `import { reportStrayErrors } from ${JSON.stringify(main)};
        reportStrayErrors(${JSON.stringify(args)});
        ${stray};
        await new Promise((resolve) => setTimeout(resolve, 60_000));`;
      const { code: exitCode, stderr } = await new Deno.Command(Deno.execPath(), { args: ["eval", code] })
        .output();
      const said = new TextDecoder().decode(stderr);
      assertEquals(exitCode, 1, said);
      assertMatch(
        said,
        args.length === 0 ? /^mae: Lost; run again with --debug[^\n]*\n$/ : /^mae: Lost\nError: Lost\n +at /,
      );
    }
  }
});
