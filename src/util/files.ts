/** File helpers: nothing that matters is ever half-written. */
import { InputError } from "./errors.ts";
import { didYouMean } from "./errors.ts";

/** The part of a path after the last separator. */
export function baseName(path: string): string {
  return path.replace(/[\\/]+$/, "").split(/[\\/]/).pop() ?? path;
}

/** The part of a path before the last separator; `"."` where there is none, and of a root the root itself. */
export function directoryOf(path: string): string {
  const trimmed = path.replace(/[\\/]+$/, "");
  if (trimmed === "" || /^[a-zA-Z]:$/.test(trimmed)) return path.slice(0, trimmed.length + 1) || ".";
  const cut = Math.max(trimmed.lastIndexOf("/"), trimmed.lastIndexOf("\\"));
  if (cut < 0) return ".";
  const isRoot = cut === 0 || /^[a-zA-Z]:$/.test(trimmed.slice(0, cut));
  return trimmed.slice(0, isRoot ? cut + 1 : cut);
}

/** Joins path parts with a slash; an absolute later part does not replace the earlier ones. */
export function joinPath(...parts: string[]): string {
  const [first = "", ...others] = parts.filter((part) => part !== "");
  const start = first.replace(/(?<=.)[\\/]+$/, "");
  const rest = others.map((part) => part.replace(/^[\\/]+|[\\/]+$/g, "")).filter((part) => part !== "");
  const isRoot = start === "/" || start === "\\";
  return isRoot ? start + rest.join("/") : [start, ...rest].join("/");
}

/** Whether an error of the file system says that there is nothing at the path, also because a file is in the way to it. */
export function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}

/** Whether something exists at the path. */
export async function pathExists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/**
 * `; did you mean "runs/mine"?` for a path that does not exist, with the nearest name in the same folder, or an empty string
 * when none is near.
 *
 * @param accepts which entries of the folder could be meant; all by default
 */
export async function didYouMeanPath(
  path: string,
  accepts: (entry: Deno.DirEntry) => boolean = () => true,
): Promise<string> {
  const folder = directoryOf(path);
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) if (accepts(entry)) names.push(entry.name);
  } catch { /* the folder is missing too: nothing to suggest */ }
  return didYouMean(baseName(path), names, (name) => folder === "." ? name : joinPath(folder, name));
}

/**
 * Refuses a file that is to be written where there is something already.
 * @param flag the flag that names it, for the sentence: `--out`
 * @param force whether a file may be replaced; a folder never is
 * @throws {InputError} when there is
 */
export async function refuseExisting(flag: string, path: string, force: boolean): Promise<void> {
  const there = await Deno.stat(path).catch(() => null);
  if (there?.isDirectory) throw new InputError(`${flag} ${path} is a folder; name a file`);
  if (there && !force) {
    throw new InputError(`${flag} ${path} is there already; replace it with --force, or choose another name`);
  }
}

/** Writes all bytes to an open file. */
export async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.length;) offset += await file.write(bytes.subarray(offset));
}

/** Flushes a folder's entries to the disk, so that a rename in it survives a power cut; a no-op where unsupported. */
export async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path, { read: true });
  await folder.sync();
}

/**
 * Replaces a file atomically: written to a temporary name in the same folder, synced, renamed.
 * On failure the old file is untouched and the temporary one is removed.
 */
export async function writeFileAtomic(path: string, content: Uint8Array | string): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  try {
    {
      using file = await Deno.open(temporary, { write: true, createNew: true });
      await writeAll(file, bytes);
      await file.sync();
    }
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
  await syncFolder(directoryOf(path));
}
