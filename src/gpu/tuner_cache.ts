/**
 * What was measured on this machine's devices, kept from run to run: one JSON file per user, by adapter. It is read and
 * written only where that is permitted already, and nothing depends on it: what cannot be read is measured anew.
 */
import { cacheFolder, isRefusal, permitted } from "../util/cache_folder.ts";
import { directoryOf, joinPath, writeFileAtomic } from "../util/files.ts";
import type { AdapterReport } from "./adapter.ts";

/** Version of our kernels: raised when a change to them or to their plans makes what was measured worthless. */
export const kernelVersion = 1;

/** What is known of an adapter: values that JSON can hold, by section (`plans`, `self_test`) and key. */
export type AdapterCache = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** What of an adapter decides what is known of it. */
export type AdapterIdentity = Pick<
  AdapterReport,
  "vendor" | "architecture" | "description" | "features" | "subgroupSizes"
>;

interface CacheFile {
  readonly version: number;
  readonly adapters: Readonly<Record<string, AdapterCache>>;
}

const empty: CacheFile = { version: kernelVersion, adapters: {} };

let inUse = true;

/** Turns the cache of this process off or on; turned off, it is neither read nor written. */
export function useCache(use: boolean): void {
  inUse = use;
}

/** The file of the user that runs this process; null where the environment tells none or may not be read. */
export function cachePath(): string | null {
  const folder = cacheFolder();
  return folder && joinPath(folder, "tuner.json");
}

/** What is known of an adapter; empty where nothing is, or the file is damaged, of another version or out of reach. */
export async function readAdapterCache(
  adapter: AdapterIdentity,
  path: string | null = cachePath(),
): Promise<AdapterCache> {
  if (!inUse || path === null) return {};
  return (await readCache(path)).adapters[adapterKey(adapter)] ?? {};
}

/**
 * Adds entries to a section of what is known of an adapter, over those of the same keys. Writers at the same time never
 * damage the file; the later one may undo what the earlier one added.
 * @returns whether the file was written; a file that may or can not be is no error
 */
export async function writeAdapterCache(
  adapter: AdapterReport,
  section: string,
  entries: Readonly<Record<string, unknown>>,
  path: string | null = cachePath(),
): Promise<boolean> {
  if (!inUse || path === null || !permitted("write", directoryOf(path))) return false;
  const { adapters } = await readCache(path);
  const key = adapterKey(adapter);
  const known = adapters[key] ?? {};
  const changed = { ...known, [section]: { ...known[section], ...entries } };
  const file: CacheFile = { version: kernelVersion, adapters: { ...adapters, [key]: changed } };
  try {
    await Deno.mkdir(directoryOf(path), { recursive: true });
    await writeFileAtomic(path, `${JSON.stringify(file, null, 1)}\n`);
    return true;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return false;
  }
}

/** Everything that what was measured depends on, but for the kernels' version. */
function adapterKey({ vendor, architecture, description, features, subgroupSizes }: AdapterIdentity): string {
  return JSON.stringify([vendor, architecture, description, features, subgroupSizes]);
}

async function readCache(path: string): Promise<CacheFile> {
  if (!permitted("read", path)) return empty;
  try {
    const file: unknown = JSON.parse(await Deno.readTextFile(path));
    return isCacheFile(file) ? file : empty;
  } catch (error) {
    if (error instanceof SyntaxError || isRefusal(error)) return empty;
    throw error;
  }
}

function isCacheFile(file: unknown): file is CacheFile {
  if (!isRecord(file) || file.version !== kernelVersion || !isRecord(file.adapters)) return false;
  return Object.values(file.adapters).every((sections) =>
    isRecord(sections) && Object.values(sections).every(isRecord)
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
