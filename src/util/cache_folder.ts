/** Where a user's cached files lie. They are read and written only where that is permitted already. */
import { joinPath } from "./files.ts";

/** `mae` in the user's folder for caches; null where the environment tells none or may not be read. */
export function cacheFolder(): string | null {
  const folder = Deno.build.os === "windows"
    ? environment("LOCALAPPDATA")
    : absolute(environment("XDG_CACHE_HOME")) ?? homeCache(environment("HOME"));
  return folder ? joinPath(folder, "mae") : null;
}

function environment(variable: string): string | null {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) || null : null;
}

function absolute(path: string | null): string | null {
  return path?.startsWith("/") ? path : null; // a relative one is to be ignored, says the standard
}

function homeCache(home: string | null): string | null {
  return home && joinPath(home, ".cache");
}

/** Whether a path may be read or written without asking the user. */
export function permitted(name: "read" | "write", path: string): boolean {
  return Deno.permissions.querySync({ name, path }).state === "granted";
}

/** Whether the file system says that it has no such file, or no room or right for it. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Deno.errors.NotCapable || error instanceof Error && "code" in error;
}
