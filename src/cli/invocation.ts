/** How the user calls this program, for the commands that messages suggest. */

/**
 * `mae` in a bundle or executable; in a checkout of the sources the task of that name.
 *
 * @param command the command and its flags, "pretrain --resume"
 */
export function invocation(command: string): string {
  const fromSources = !Deno.build.standalone && import.meta.url.startsWith("file:") &&
    import.meta.url.endsWith("/src/cli/invocation.ts");
  if (!fromSources) return `mae ${command}`;
  return command.startsWith("pretrain") ? `deno task ${command}` : `deno task mae ${command}`;
}

/** A path as a word of a shell command. */
export function shellWord(path: string): string {
  return /^[\w@%+=:,./\\-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
