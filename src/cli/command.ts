/** What a command is, and reading its arguments by the table of its flags. */

import { parseArgs } from "../deps/std.ts";
import { didYouMean, InputError } from "../util/errors.ts";
import type { Terminal } from "./terminal.ts";

/** One flag of a command. */
export interface Flag {
  /** Its name without the dashes. */
  readonly name: string;
  /** What stands for its value in help, `DIR`; absent for a switch. */
  readonly value?: string;
  /** Whether it may be given several times. */
  readonly repeatable?: boolean;
  /** What it does. */
  readonly help: string;
  /** The configuration key that it sets. */
  readonly key?: string;
}

/** One command. */
export interface Command {
  /** The word that calls it. */
  readonly name: string;
  /** What it does, in one line. */
  readonly summary: string;
  /** Its flags, besides those that every command has. */
  readonly flags: readonly Flag[];
  /** What it takes besides flags: one argument, unless it may be repeated; absent where it takes none. */
  readonly argument?: {
    /** What stands for it in help. */
    readonly name: string;
    /** What it is. */
    readonly help: string;
    /** Whether it may be left out. */
    readonly optional?: boolean;
    /** Whether there may be several. */
    readonly repeatable?: boolean;
    /** How many there must be, where that is not one; the name then names them all. */
    readonly count?: number;
  };
  /** More for its help, after the flags. */
  readonly details?: () => string;
  /** Does the work and gives the exit code. */
  run(args: Arguments, terminal: Terminal): Promise<number>;
}

/** A word that several commands begin with: `mae data pack`. */
export interface CommandGroup {
  /** The word. */
  readonly name: string;
  /** What its commands are for, in one line. */
  readonly summary: string;
  /** Its commands, whose names begin with the word. */
  readonly commands: readonly Command[];
}

/** The flags that every command has. */
export const commonFlags: readonly Flag[] = [
  { name: "debug", help: "print the stack trace of an error" },
  { name: "help", help: "print this help" },
];

/** The arguments that a command was called with. */
export class Arguments {
  readonly #flags: ReadonlyMap<string, readonly string[]>;

  /** `flags` holds the values of each flag that was given; a switch has the value "". `all` is what is no flag. */
  constructor(flags: ReadonlyMap<string, readonly string[]>, readonly all: readonly string[] = []) {
    this.#flags = flags;
  }

  /** The one argument besides flags, the first where there are several, or undefined. */
  get argument(): string | undefined {
    return this.all[0];
  }

  /** Whether the flag was given. */
  has(flag: string): boolean {
    return this.#flags.has(flag);
  }

  /** The value of the flag, the last one where there are several, or undefined. */
  value(flag: string): string | undefined {
    return this.#flags.get(flag)?.at(-1);
  }

  /** Every value of the flag in order. */
  values(flag: string): readonly string[] {
    return this.#flags.get(flag) ?? [];
  }
}

/**
 * Reads what follows the command's name.
 *
 * @throws {InputError} on an unknown flag, a missing or unwanted value, or an argument too many or too few; but not
 * when help is asked for.
 */
export function parseArguments(command: Command, args: readonly string[]): Arguments {
  const flags = [...command.flags, ...commonFlags];
  const switches = flags.filter((flag) => flag.value === undefined).map((flag) => flag.name);
  const valued = flags.filter((flag) => flag.value !== undefined);
  const unknown: string[] = [];
  const parsed = parseArgs(joinValues(args, valued), {
    boolean: switches,
    string: ["_", ...valued.map((flag) => flag.name)],
    collect: valued.map((flag) => flag.name),
    alias: { h: "help" },
    unknown: (arg, key) => {
      if (key !== undefined) unknown.push(arg);
      return key === undefined;
    },
  });
  const given = new Map<string, readonly string[]>();
  for (const { name, value } of flags) {
    if (value === undefined && parsed[name] === true) given.set(name, [""]);
    const values = value === undefined ? [] : stringsOf(parsed[name]);
    if (values.length > 0) given.set(name, values);
  }
  const all = parsed._.map(String);
  if (!given.has("help")) {
    refuseUnknown(command, unknown, flags);
    refuseSwitchValues(args, switches);
    refuseMissingValues(given, valued);
    refuseArguments(command, all);
  }
  return new Arguments(given, all);
}

function stringsOf(values: unknown): string[] {
  return Array.isArray(values) ? values.map(String) : [];
}

/** `--seed -3` as `--seed=-3`: a value may start with a dash, but not look like a flag. */
function joinValues(args: readonly string[], valued: readonly Flag[]): string[] {
  const joined: string[] = [];
  for (let i = 0; i < args.length; i++) {
    if (args[i] === "--") return [...joined, ...args.slice(i)];
    const next = args[i + 1];
    const takesNext = valued.some((flag) => args[i] === `--${flag.name}`) && next !== undefined &&
      !next.startsWith("--");
    joined.push(takesNext ? `${args[i]}=${args[++i]}` : args[i]);
  }
  return joined;
}

function refuseUnknown({ name }: Command, unknown: readonly string[], flags: readonly Flag[]): void {
  if (unknown.length === 0) return;
  const given = unknown[0].replace(/=.*$/s, "");
  const near = didYouMean(given, flags.map((flag) => `--${flag.name}`));
  throw new InputError(`Unknown flag ${given}; see mae ${name} --help${near}`);
}

function refuseSwitchValues(args: readonly string[], switches: readonly string[]): void {
  for (const [i, arg] of args.entries()) {
    const [flag, value] = arg.split(/=(.*)/s);
    // parseArgs would swallow the true or false after a switch.
    const swallowed = /^(true|false)$/.test(args[i + 1] ?? "") ? args[i + 1] : undefined;
    const unwanted = value ?? swallowed;
    if (unwanted !== undefined && switches.some((name) => flag === `--${name}`)) {
      throw new InputError(`${flag} takes no value, not "${unwanted}"`);
    }
  }
}

function refuseMissingValues(given: ReadonlyMap<string, readonly string[]>, valued: readonly Flag[]): void {
  for (const { name, value } of valued) {
    if (given.get(name)?.includes("")) throw new InputError(`--${name} needs a value: --${name} ${value}`);
  }
}

function refuseArguments({ name, argument }: Command, given: readonly string[]): void {
  const { count = 1 } = argument ?? {};
  if (argument && count > 1 && given.length < count) {
    throw new InputError(`mae ${name} needs ${argument.name}: ${argument.help}`);
  }
  if (argument && !argument.optional && given.length === 0) {
    const article = /^[AEIOU]/.test(argument.name) ? "an" : "a";
    throw new InputError(`mae ${name} needs ${article} ${argument.name}: ${argument.help}`);
  }
  const unexpected = argument?.repeatable ? undefined : given[argument ? count : 0];
  if (unexpected === undefined) return;
  const one = count > 1 ? "only" : "only one";
  const takes = argument ? `${one} ${argument.name}` : "flags only";
  throw new InputError(
    `Unexpected argument "${unexpected}": mae ${name} takes ${takes}; see mae ${name} --help`,
  );
}
