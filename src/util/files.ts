/** File helpers: nothing that matters is ever half-written. */

/** The part of a path after the last separator. */
export function baseName(path: string): string {
  return path.replace(/[\\/]+$/, "").split(/[\\/]/).pop() ?? path;
}

/** The part of a path before the last separator, or `"."`. */
export function directoryOf(path: string): string {
  const trimmed = path.replace(/[\\/]+$/, "");
  const cut = Math.max(trimmed.lastIndexOf("/"), trimmed.lastIndexOf("\\"));
  return cut < 0 ? "." : cut === 0 ? trimmed[0] : trimmed.slice(0, cut);
}

/** Joins path parts with a slash; an absolute later part does not replace the earlier ones. */
export function joinPath(...parts: string[]): string {
  return parts.filter((part) => part !== "").map((part, i) =>
    i === 0 ? part.replace(/(?<=.)[\\/]+$/, "") : part.replace(/^[\\/]+|[\\/]+$/g, "")
  ).join("/").replace(/^\/\//, "/");
}

/** Whether something exists at the path. */
export async function pathExists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
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
