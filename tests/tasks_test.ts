/** The tasks of deno.json. */
import project from "../deno.json" with { type: "json" };
import { assert, assertEquals } from "./deps.ts";

const commands = Object.entries(project.tasks).flatMap(([task, { command }]) =>
  command.split(" && ").map((words) => ({ task, words: words.split(" ") }))
);

Deno.test("no task asks for more than reading, writing, the network, and what it names", () => {
  const flags = commands.flatMap(({ words }) => words.map((word) => word.replaceAll('"', "")))
    .filter((word) => /^--?(allow|unstable|A$|[A-Z])/.test(word));
  assert(flags.length > 10);
  const narrow = /^--allow-(read|write|net|(read|write|env|sys|net|run)=.+)$/;
  assertEquals(flags.filter((flag) => !narrow.test(flag)), []);
});

Deno.test("tasks call only tasks that there are", () => {
  const called = commands.filter(({ words }) => words[1] === "task").map(({ words }) => words[3]);
  assert(called.length > 5);
  assertEquals(called.filter((name) => !Object.hasOwn(project.tasks, name)), []);
});

Deno.test("the executable may do what the task may", () => {
  const permissions = (task: string) =>
    commands.filter((command) => command.task === task)
      .flatMap(({ words }) => words.filter((word) => word.startsWith("--allow-")));
  assertEquals(permissions("compile"), permissions("mae"));
  assertEquals(permissions("mae").length, 5);
});
