/** The program: finds the command, runs it, and turns errors into a sentence and an exit code. */

import project from "../../deno.json" with { type: "json" };
import { didYouMean, InputError, messageOf, RunError } from "../util/errors.ts";
import { attention } from "./attention.ts";
import { bench } from "./bench.ts";
import { type Command, type CommandGroup, parseArguments } from "./command.ts";
import { convert } from "./convert.ts";
import { data } from "./data.ts";
import { doctor } from "./doctor.ts";
import { embed } from "./embed.ts";
import { evaluate } from "./evaluate.ts";
import { finetune } from "./finetune.ts";
import { commandHelp, groupHelp, programHelp } from "./help.ts";
import { inspect } from "./inspect.ts";
import { knn } from "./knn.ts";
import { linprobe } from "./linprobe.ts";
import { predict } from "./predict.ts";
import { pretrain } from "./pretrain.ts";
import { reconstruct } from "./reconstruct.ts";
import { stats } from "./stats.ts";
import { systemTerminal, type Terminal } from "./terminal.ts";

/** Every command, in the order of help. */
export const commands: readonly (Command | CommandGroup)[] = [
  pretrain,
  finetune,
  linprobe,
  evaluate,
  predict,
  knn,
  embed,
  attention,
  reconstruct,
  data,
  stats,
  convert,
  inspect,
  bench,
  doctor,
];

/**
 * Runs the program with its command-line arguments.
 *
 * @returns the exit code: 0 done, 1 failed while running, 2 wrong usage, 128 + n stopped by signal n
 */
export async function main(args: readonly string[], terminal: Terminal = systemTerminal()): Promise<number> {
  try {
    return await dispatch(args, terminal);
  } catch (error) {
    report(error, args.includes("--debug"), terminal);
    return error instanceof InputError ? 2 : 1;
  }
}

/** Ends the process in the same manner when something fails where nothing waits for it: a timer, a worker, a promise. */
export function reportStrayErrors(args: readonly string[], terminal: Terminal = systemTerminal()): void {
  const end = (error: unknown) => {
    report(error, args.includes("--debug"), terminal);
    Deno.exit(1);
  };
  globalThis.addEventListener("unhandledrejection", (event) => end(event.reason));
  globalThis.addEventListener("error", (event) => end(event.error ?? event.message));
}

function dispatch(args: readonly string[], terminal: Terminal): number | Promise<number> {
  const [first, ...rest] = args;
  switch (first) {
    case undefined:
    case "--help":
    case "-h":
      terminal.print(programHelp(commands));
      return 0;
    case "--version":
      terminal.print(`mae ${project.version}`);
      return 0;
    case "help":
      return help(rest, terminal);
  }
  if (first.startsWith("-")) {
    throw new InputError(
      `Unknown flag ${first} before the command; see mae --help${didYouMean(first, ["--help", "--version"])}`,
    );
  }
  const named = commandNamed(first);
  if ("commands" in named) return dispatchInGroup(named, rest, terminal);
  return runCommand(named, rest, terminal);
}

function runCommand(command: Command, args: readonly string[], terminal: Terminal): number | Promise<number> {
  const parsed = parseArguments(command, args);
  if (!parsed.has("help")) return command.run(parsed, terminal);
  terminal.print(commandHelp(command));
  return 0;
}

function dispatchInGroup(
  group: CommandGroup,
  [first, ...rest]: readonly string[],
  terminal: Terminal,
): number | Promise<number> {
  if (first === undefined || first === "--help" || first === "-h") {
    terminal.print(groupHelp(group));
    return 0;
  }
  return runCommand(commandOf(group, first), rest, terminal);
}

function help([name, ...extra]: readonly string[], terminal: Terminal): number {
  const named = name === undefined ? undefined : commandNamed(name);
  const isGroup = named !== undefined && "commands" in named;
  const unexpected = extra[isGroup ? 1 : 0];
  if (unexpected !== undefined) {
    throw new InputError(`Unexpected argument "${unexpected}": mae help takes one command`);
  }
  const text = named === undefined
    ? programHelp(commands)
    : !isGroup
    ? commandHelp(named)
    : extra.length === 0
    ? groupHelp(named)
    : commandHelp(commandOf(named, extra[0]));
  terminal.print(text);
  return 0;
}

function commandNamed(name: string): Command | CommandGroup {
  const command = commands.find((command) => command.name === name);
  if (command) return command;
  const names = commands.map((command) => command.name);
  throw new InputError(
    `Unknown command "${name}": the commands are ${names.join(", ")} and help${
      didYouMean(name, [...names, "help"])
    }`,
  );
}

function commandOf(group: CommandGroup, name: string): Command {
  const command = group.commands.find((command) => command.name === `${group.name} ${name}`);
  if (command) return command;
  const names = group.commands.map((command) => command.name.slice(group.name.length + 1));
  throw new InputError(
    `Unknown command "${group.name} ${name}": mae ${group.name} has ${names.join(", ")}${
      didYouMean(name, names)
    }`,
  );
}

/** Prints the sentence of an error, and where it came from only when that is asked for. */
function report(error: unknown, debug: boolean, terminal: Terminal): void {
  const expected = error instanceof InputError || error instanceof RunError;
  const wayOut = expected || debug ? "" : "; run again with --debug to see where it came from";
  terminal.printError(`mae: ${messageOf(error)}${wayOut}`);
  if (debug) terminal.printError(Deno.inspect(error));
}
