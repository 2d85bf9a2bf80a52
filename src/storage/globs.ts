/** Stars in paths and keys: any characters but slashes. */
import { sortByBytes } from "../util/byte_order.ts";
import { InputError, messageOf } from "../util/errors.ts";
import { isMissing, joinPath } from "../util/files.ts";

/** Tells whether a text has the form of a pattern with stars. */
export function matcherOf(pattern: string): (text: string) => boolean {
  const parts = pattern.split(/\*+/).map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&"));
  const form = new RegExp(`^${parts.join("[^/]*")}$`, "s");
  return (text) => form.test(text);
}

/** What comes before the first star. */
export function starlessPrefix(pattern: string): string {
  return pattern.slice(0, pattern.indexOf("*"));
}

/** Names in a folder that have the form, hidden ones only where the pattern begins with a dot. */
async function namesLike(folder: string, pattern: string): Promise<string[]> {
  const matches = matcherOf(pattern);
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) {
      if (matches(name) && (!name.startsWith(".") || pattern.startsWith("."))) names.push(name);
    }
  } catch (error) {
    if (!isMissing(error)) throw new InputError(`cannot read the folder "${folder}": ${messageOf(error)}`);
  }
  return names;
}

/** The paths of this machine that a pattern with stars stands for, in the order of their bytes. */
export async function expandLocal(pattern: string): Promise<string[]> {
  const isAbsolute = /^[\\/]/.test(pattern);
  const parts = pattern.split(/[\\/]+/).filter((part) => part !== "");
  let found = [isAbsolute ? "/" : ""];
  for (const part of parts) {
    const next: string[] = [];
    for (const folder of found) {
      const names = part.includes("*") ? await namesLike(folder || ".", part) : [part];
      next.push(...names.map((name) => folder === "" ? name : joinPath(folder, name)));
    }
    found = next;
  }
  // Parts after the last star were taken on trust.
  const there = await Promise.all(found.map((path) => Deno.lstat(path).then(() => true, () => false)));
  return sortByBytes(found.filter((_, i) => there[i]));
}
