import { commands, main } from "../../src/cli/main.ts";
import { assertEquals } from "../deps.ts";
import { assertSnapshot } from "../support/snapshot.ts";
import { RecordingTerminal } from "../support/terminal.ts";

async function printed(...args: string[]): Promise<string> {
  const terminal = new RecordingTerminal();
  assertEquals([await main(args, terminal), terminal.errors], [0, []]);
  return terminal.text;
}

Deno.test("mae prints its help however it is asked", async () => {
  const help = await printed();
  await assertSnapshot("cli", "help", help);
  for (const args of [["--help"], ["-h"], ["help"]]) assertEquals(await printed(...args), help);
});

const names = commands.flatMap((command) => ["commands" in command ? command.commands : [], command].flat())
  .map(({ name }) => name);
for (const name of names) {
  Deno.test(`mae ${name} prints its help however it is asked`, async () => {
    const help = await printed("help", ...name.split(" "));
    await assertSnapshot("cli", `help_${name.replace(" ", "_")}`, help);
    for (const flag of ["--help", "-h"]) assertEquals(await printed(...name.split(" "), flag), help);
  });
}

Deno.test("mae --version prints the version of deno.json", async () => {
  const { version } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  assertEquals(await printed("--version"), `mae ${version}`);
});
