/** Help, made from the tables of commands and flags. */

import { type Command, type CommandGroup, commonFlags } from "./command.ts";
import { columnsOf } from "./terminal.ts";

/** Help of the whole program. */
export function programHelp(commands: readonly (Command | CommandGroup)[]): string {
  return `mae: masked-autoencoder pre-training on WebGPU

Usage: mae <command> [flags]

Commands:
${
    columnsOf([...commands.map(({ name, summary }) => [name, summary]), [
      "help",
      "print the help of a command",
    ]])
  }

Flags:
${columnsOf([["--help", "print this help"], ["--version", "print the version"]])}

"mae help COMMAND" and "mae COMMAND --help" say more about a command.`;
}

/** Help of a word that several commands begin with. */
export function groupHelp({ name, summary, commands }: CommandGroup): string {
  return `mae ${name}: ${summary}

Usage: mae ${name} <command> [flags]

Commands:
${columnsOf(commands.map((command) => [command.name, command.summary]))}

"mae help ${name} COMMAND" and "mae ${name} COMMAND --help" say more about a command.`;
}

/** Help of one command. */
export function commandHelp({ name, summary, flags, argument, details }: Command): string {
  const rows = [...flags, ...commonFlags].map((flag) => {
    const usage = flag.value === undefined ? `--${flag.name}` : `--${flag.name} ${flag.value}`;
    return [usage, flag.help + (flag.repeatable ? "; may be repeated" : "")];
  });
  const parts = [
    `mae ${name}: ${summary}`,
    `Usage: mae ${name} [flags]${argument ? ` ${argumentUsage(argument)}` : ""}`,
    ...(argument ? [`${argument.name} is ${argument.help}.`] : []),
    `Flags:\n${columnsOf(rows)}`,
    ...(details ? [details()] : []),
  ];
  return parts.join("\n\n");
}

function argumentUsage({ name, optional, repeatable }: NonNullable<Command["argument"]>): string {
  const word = repeatable ? `${name}...` : name;
  return optional ? `[${word}]` : word;
}
