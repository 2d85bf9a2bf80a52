/** What paths in a manifest stand for: files beside it, files anywhere, or addresses. */
import { parseAddress, shownUrl } from "../storage/address.ts";
import { InputError, messageOf } from "../util/errors.ts";
import { directoryOf, joinPath } from "../util/files.ts";
import { quoted } from "../util/quoted.ts";
import { isRemote } from "./remote_files.ts";

const HAS_SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;

/** Whether a path says itself where it is: from the root of a file system, a drive, or a server. */
export function isAbsolute(path: string): boolean {
  return /^([\\/]|[a-zA-Z]:[\\/])/.test(path) || HAS_SCHEME.test(path);
}

/** The parts of a relative path without `.` and `..`, or undefined where it climbs above its beginning. */
function partsOf(path: string): string[] | undefined {
  const parts: string[] = [];
  for (const part of path.split(/[\\/]/)) {
    if (part === "..") { if (parts.pop() === undefined) return undefined; }
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts;
}

/**
 * Refuses a path that should not be followed.
 * @param where the row, for the sentence
 * @throws {InputError} for a relative path that leads out of the manifest's folder, an address of an unknown kind, and, where the
 * manifest came over the network, a path of this machine
 */
export function checkPath(path: string, manifestIsRemote: boolean, where: string): void {
  if (isAbsolute(path)) {
    if (isRemote(path)) return;
    if (manifestIsRemote) {
      throw new InputError(
        `${where} has the path ${quoted(path)} of this machine, which a table from elsewhere may not name`,
      );
    }
    if (HAS_SCHEME.test(path)) checkAddress(path, where);
  } else if (path.includes("..") && partsOf(path) === undefined) {
    throw new InputError(
      `${where} has the path ${quoted(path)}, which climbs out of the table's folder; ` +
        "give it as an absolute path, or put the table above all of its images",
    );
  }
}

function checkAddress(path: string, where: string): void {
  try {
    parseAddress(path);
  } catch (error) {
    throw new InputError(`${where}: ${messageOf(error)}`);
  }
}

/** The path or address that a path in a manifest stands for. */
export function resolvePath(manifest: string, path: string): string {
  if (isRemote(path)) return path;
  if (HAS_SCHEME.test(path)) {
    const address = parseAddress(path);
    return address.kind === "local" ? address.path : path;
  }
  if (isAbsolute(path)) return path;
  if (!isRemote(manifest)) {
    const folder = directoryOf(manifest);
    return folder === "." ? path : joinPath(folder, path);
  }
  const base = manifest.replace(/[?#].*$/s, "");
  const parts = partsOf(path) ?? [];
  const encoded = /^http/i.test(manifest) ? parts.map(encodeURIComponent) : parts;
  return base.slice(0, base.lastIndexOf("/") + 1) + encoded.join("/");
}

/** What to call it in messages: without what a query or a login may give away. */
export function shownPath(path: string): string {
  return isRemote(path) ? shownUrl(path) : path;
}
