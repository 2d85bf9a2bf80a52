/**
 * Where the demo writes when nobody says so: `runs/demo`, and once that holds a run `runs/demo-2`, `runs/demo-3`, … so
 * that a second try neither fails nor overwrites the first.
 */
import { baseName, directoryOf, isMissing, joinPath, pathExists } from "../util/files.ts";

/** Finds folders of the demo; `base` is the first of them. */
export interface DemoRuns {
  /** The folder for a new run. */
  next(base: string): Promise<string>;
  /** The folder of the newest run; null when there is none. */
  newest(base: string): Promise<string | null>;
}

/** The folders on this disk. */
export const demoRuns: DemoRuns = {
  async next(base) {
    const { holdsRun } = await import("../train/run/run_folder.ts"); // loads the GPU backend
    const newest = (await numbersOf(base, holdsRun)).at(-1) ?? 0;
    return folderOf(base, newest + 1);
  },
  async newest(base) {
    const newest = (await numbersOf(base, (path) => pathExists(joinPath(path, "config.yaml")))).at(-1);
    return newest === undefined ? null : folderOf(base, newest);
  },
};

function folderOf(base: string, number: number): string {
  return number === 1 ? base : `${base}-${number}`;
}

/** Numbers of the folders that pass the test, ascending; the base itself is 1. */
async function numbersOf(base: string, test: (path: string) => Promise<boolean>): Promise<number[]> {
  const name = baseName(base);
  const numbers: number[] = [];
  try {
    for await (const entry of Deno.readDir(directoryOf(base))) {
      const number = entry.name === name ? 1 : Number(entry.name.slice(name.length + 1));
      const isOurs = Number.isInteger(number) && baseName(folderOf(base, number)) === entry.name;
      if (isOurs && await test(folderOf(base, number))) numbers.push(number);
    }
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  return numbers.sort((a, b) => a - b);
}
