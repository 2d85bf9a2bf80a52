/** Whether a folder can take what a run will write. */
import { statfs } from "../deps/node.ts";
import { InputError, messageOf } from "./errors.ts";
import { directoryOf, isMissing, joinPath } from "./files.ts";

/**
 * Free bytes of the file system that holds the path, or will hold it once it is made; null when the system or the
 * permissions do not tell.
 */
export async function freeBytes(path: string): Promise<number | null> {
  const permission = await Deno.permissions.query({ name: "sys", kind: "statfs" as "hostname" });
  if (permission.state !== "granted") return null;
  try {
    const { blocks, bavail, bsize } = await statfs((await nearestExisting(path)).path);
    return Number(blocks) === 0 ? null : Number(bavail) * Number(bsize); // no size: /proc, some network file systems
  } catch {
    return null; // not every system has it; writing will tell
  }
}

/** The path itself where there is something, else the nearest folder above it. */
async function nearestExisting(path: string): Promise<{ path: string; isDirectory: boolean }> {
  for (let at = path;; at = directoryOf(at)) {
    try {
      return { path: at, isDirectory: (await Deno.stat(at)).isDirectory };
    } catch (error) {
      if (!isMissing(error) || directoryOf(at) === at) throw error;
    }
  }
}

/**
 * Refuses a path that can never become a folder because a file is in its way. Writes nothing.
 * @throws {InputError} naming the file
 */
export async function refuseFileInTheWay(path: string): Promise<void> {
  const nearest = await nearestExisting(path).catch(() => null); // unreadable: making the folder will tell
  if (nearest === null || nearest.isDirectory) return;
  const what = nearest.path === path ? "is a file" : `cannot be made: ${nearest.path} is a file`;
  throw new InputError(`run.out ${path} ${what}; choose another folder with --out`);
}

/**
 * Makes a folder and proves that files can be written to it.
 * @throws {InputError} when they cannot
 */
export async function ensureWritableFolder(path: string): Promise<void> {
  await refuseFileInTheWay(path);
  const probe = joinPath(path, `.write-test.${crypto.randomUUID().slice(0, 8)}.tmp`);
  try {
    await Deno.mkdir(path, { recursive: true });
    await Deno.writeFile(probe, new Uint8Array(1), { createNew: true });
    await Deno.remove(probe);
  } catch (error) {
    await Deno.remove(probe).catch(() => {}); // a full disk may take the name but not the byte
    throw new InputError(
      `run.out ${path} cannot be written to (${messageOf(error)}); choose another folder with --out`,
    );
  }
}
