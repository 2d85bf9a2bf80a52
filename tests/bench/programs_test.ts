import { runProgram } from "../../src/bench/programs.ts";
import { assertEquals, assertMatch } from "../deps.ts";

const deno = Deno.execPath();
const says = (code: string) => runProgram(deno, ["eval", code], 30);

Deno.test("runProgram() gives the lines of JSON that a program prints, and why it stopped", async () => {
  const line =
    'console.log(JSON.stringify({ a: 1 })); console.log("words"); console.log("{cut"); console.error("noise");';
  assertEquals(await says(line), { lines: [{ a: 1 }], failure: null });
  assertEquals(await says(`${line} console.error("no module\\n"); Deno.exit(3);`), {
    lines: [{ a: 1 }],
    failure: "no module",
  });
  assertEquals(await says("Deno.exit(3);"), { lines: [], failure: "ended with an error" });
});

Deno.test("runProgram() finds the error among what is printed with it", async () => {
  const { failure } = await says('throw new RangeError("too few");');
  assertMatch(failure ?? "", /^error: Uncaught \(in promise\) RangeError: too few$/);
  const python = `console.error("Traceback (most recent call last):\\n  File x, line 1, in <module>\\n" +
    "ModuleNotFoundError: No module named 'torch'"); Deno.exit(1);`;
  assertEquals((await says(python)).failure, "ModuleNotFoundError: No module named 'torch'");
});

Deno.test("runProgram() names the signal that ended a program, and no warning that came before", async () => {
  const warning = 'console.error("error: XDG_RUNTIME_DIR is invalid or not set in the environment.");';
  assertEquals((await says(`${warning} Deno.exit(1);`)).failure, "ended with an error");
  if (Deno.build.os === "windows") return;
  assertEquals((await says(`${warning} Deno.kill(Deno.pid, "SIGKILL");`)).failure, "was ended by SIGKILL");
});

Deno.test("runProgram() ends a program that takes too long, and keeps what it printed before", async () => {
  const code = "console.log(JSON.stringify({ a: 1 })); setInterval(() => {}, 1000);";
  assertEquals(await runProgram(deno, ["eval", code], 2), {
    lines: [{ a: 1 }],
    failure: "took more than 2 s",
  });
});

Deno.test("runProgram() asks for no permission and starts nothing that is not there", async () => {
  const { lines, failure } = await runProgram("/nonexistent/python3", [], 1);
  assertEquals(lines, []);
  assertMatch(failure ?? "", /needs leave to run python3|is not there/);
});
