/** A run's folder: what is in it, and whether it may be written to. */
import type { Interval } from "../../config/types.ts";
import { formatBytes } from "../../gpu/guards.ts";
import { ensureWritableFolder, freeBytes, refuseFileInTheWay } from "../../util/disk.ts";
import { InputError, messageOf, RunError } from "../../util/errors.ts";
import { isMissing, joinPath, writeFileAtomic } from "../../util/files.ts";
import { recoverBest } from "../checkpoint/best_checkpoint.ts";
import { listCheckpoints } from "../checkpoint/checkpoint.ts";

/** How long to wait for a process that was just killed to let go of the folder. */
const lockPatience = 3000; // ms

/**
 * The folder of a run. It is looked at first, and taken when everything else is known to work, so that a run that is
 * refused leaves nothing behind.
 */
export class RunFolder implements Disposable {
  #taken = false;
  #lock: Deno.FsFile | null = null;

  private constructor(
    readonly path: string,
    /** Steps of the checkpoints in it, ascending. */
    readonly checkpoints: readonly number[],
  ) {}

  /** The file of the run's metrics. */
  get metrics(): string {
    return joinPath(this.path, "metrics.jsonl");
  }

  /** Folder of the TensorBoard event files: the run itself. */
  get events(): string {
    return this.path;
  }

  /** Folder of the figures; made with the first. */
  get figures(): string {
    return joinPath(this.path, "figures");
  }

  /**
   * Looks at a folder, which need not exist, and writes nothing.
   * @throws {InputError} when it can be no folder, or holds a run and `resume` is not asked for
   */
  static async look(path: string, resume: boolean): Promise<RunFolder> {
    await refuseFileInTheWay(path);
    const { checkpoints, hasMetrics } = await contentsOf(path);
    if (!resume && (checkpoints.length > 0 || hasMetrics)) {
      const what = checkpoints.length > 0
        ? `a run with ${checkpoints[checkpoints.length - 1]} steps`
        : "a run";
      throw new InputError(
        `run.out ${path} already holds ${what}; continue it with --resume, or choose another folder with --out`,
      );
    }
    return new RunFolder(path, checkpoints);
  }

  /**
   * Makes the folder where it is missing, keeps other processes out, and removes what an interrupted run left
   * half-written. Does nothing the second time.
   * @throws {InputError} when it cannot be written to, or another process is using it
   */
  async take(): Promise<void> {
    if (this.#taken) return;
    await ensureWritableFolder(this.path);
    this.#lock = await lockFolder(this.path);
    this.#taken = true;
    await recoverBest(this.path);
    for (const folder of [this.path, this.figures, joinPath(this.path, "checkpoints")]) {
      await removeUnfinished(folder);
    }
  }

  /** Lets other processes have the folder. */
  [Symbol.dispose](): void {
    this.#lock?.close();
    this.#lock = null;
  }
}

/** Whether a folder holds a run: a checkpoint, or at least one line of metrics. */
export async function holdsRun(path: string): Promise<boolean> {
  const { checkpoints, hasMetrics } = await contentsOf(path);
  return checkpoints.length > 0 || hasMetrics;
}

async function contentsOf(path: string): Promise<{ checkpoints: number[]; hasMetrics: boolean }> {
  try {
    return {
      checkpoints: await listCheckpoints(path),
      hasMetrics: await sizeOf(joinPath(path, "metrics.jsonl")) > 0,
    };
  } catch (error) {
    throw new InputError(
      `run.out ${path} cannot be read (${messageOf(error)}); choose another folder with --out`,
    );
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}

/**
 * Locks a folder for this process; the system unlocks it when the process ends, however it does.
 * @returns null where the system cannot lock folders: Windows, some network file systems
 */
async function lockFolder(path: string): Promise<Deno.FsFile | null> {
  const started = performance.now();
  let folder: Deno.FsFile;
  try {
    folder = await Deno.open(path, { read: true });
  } catch {
    return null;
  }
  try {
    while (!await folder.tryLock(true)) {
      if (performance.now() - started > lockPatience) {
        throw new InputError(
          `run.out ${path} is in use by another mae that is still running; stop that one first, ` +
            "or choose another folder with --out",
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return folder;
  } catch (error) {
    folder.close();
    if (error instanceof InputError) throw error;
    return null;
  }
}

/** Names that this program gives to what it has not finished writing; other files are not ours to remove. */
const unfinished = /\.[0-9a-f]{8}\.tmp$|^step-\d{8,}(\.old)?\.tmp$|^best\.tmp$/;

async function removeUnfinished(folder: string): Promise<void> {
  try {
    for await (const { name } of Deno.readDir(folder)) {
      if (unfinished.test(name)) await Deno.remove(joinPath(folder, name), { recursive: true });
    }
  } catch (error) {
    if (!isMissing(error)) throw new InputError(`${folder} cannot be cleared (${messageOf(error)})`);
  }
}

/** Stores the resolved configuration, in YAML, with the run. Throws `RunError` where the disk refuses. */
export async function storeConfig(path: string, yaml: string): Promise<void> {
  const file = joinPath(path, "config.yaml");
  try {
    await writeFileAtomic(file, yaml);
  } catch (error) {
    throw new RunError(
      `The configuration could not be written to ${file} (${messageOf(error)}); free some space`,
    );
  }
}

/** What a run will write from here on. */
export interface SavePlan {
  /** Values in a checkpoint. */
  readonly values: number;
  /** Values in the best checkpoint, which is kept besides; 0 by default. */
  readonly best?: number;
  /** Checkpoints kept. */
  readonly keep: number;
  /** How often one is written. */
  readonly every: Interval;
  /** Optimizer steps of an epoch. */
  readonly stepsPerEpoch: number;
  /** Steps to make. */
  readonly steps: number;
  /** Checkpoints in the folder already. */
  readonly existing: number;
}

/**
 * Checks that the checkpoints of a run will fit on the disk.
 * @throws {InputError} when they surely will not
 */
export async function checkDiskSpace(path: string, plan: SavePlan): Promise<void> {
  const free = await freeBytes(path);
  const more = moreCheckpoints(plan);
  const needed = 4 * (plan.values * more + (plan.steps > 0 ? plan.best ?? 0 : 0));
  if (free === null || free >= needed) return;
  const checkpoints = more === 1 ? "a checkpoint needs" : `${more} checkpoints need`;
  throw new InputError(
    `run.out ${path} has ${formatBytes(free)} free, but ${checkpoints} ${formatBytes(needed)}; ` +
      "free some space, lower run.keep or choose another folder with --out",
  );
}

/** The most checkpoints there will be at a time beyond those there are; a new one is written before the oldest goes. */
function moreCheckpoints({ keep, every, stepsPerEpoch, steps, existing }: SavePlan): number {
  const interval = every.unit === "epoch" ? every.every * stepsPerEpoch : every.every;
  const written = every.unit === "minute" ? Infinity : Math.ceil(steps / interval);
  return Math.min(written, keep + 1 - Math.min(existing, keep));
}
