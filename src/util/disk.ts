/** Whether a folder can take what a run will write. */
import { statfs } from "../deps/node.ts";
import { InputError, messageOf } from "./errors.ts";
import { joinPath } from "./files.ts";

/** Free bytes of the file system that holds the path, or null when the system or the permissions do not tell. */
export async function freeBytes(path: string): Promise<number | null> {
  const permission = await Deno.permissions.query({ name: "sys", kind: "statfs" as "hostname" });
  if (permission.state !== "granted") return null;
  try {
    const { bavail, bsize } = await statfs(path);
    return Number(bavail) * Number(bsize);
  } catch {
    return null; // not every system has it; writing will tell
  }
}

/**
 * Makes a folder and proves that files can be written to it.
 * @throws {InputError} when they cannot
 */
export async function ensureWritableFolder(path: string): Promise<void> {
  const probe = joinPath(path, `.write-test-${crypto.randomUUID().slice(0, 8)}.tmp`);
  try {
    await Deno.mkdir(path, { recursive: true });
    await Deno.writeFile(probe, new Uint8Array(1), { createNew: true });
    await Deno.remove(probe);
  } catch (error) {
    throw new InputError(
      `run.out ${path} cannot be written to (${messageOf(error)}); choose another folder with --out`,
    );
  }
}
