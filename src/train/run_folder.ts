/** A run's folder: what is in it, and whether it may be written to. */
import { type PretrainConfig } from "../config/types.ts";
import { toYaml } from "../config/pretrain.ts";
import { parseYaml } from "../deps/std.ts";
import { formatBytes } from "../gpu/guards.ts";
import { ensureWritableFolder, freeBytes } from "../util/disk.ts";
import { InputError } from "../util/errors.ts";
import { joinPath, pathExists, writeFileAtomic } from "../util/files.ts";
import { checkpointPath, listCheckpoints, removeUnfinished } from "./checkpoint.ts";

/** Where a run's files are. */
export interface RunFolder {
  readonly path: string;
  readonly metrics: string;
  /** Folder of the TensorBoard event files: the run itself. */
  readonly events: string;
  readonly figures: string;
  /** Newest checkpoint to go on from; null for a new run. */
  readonly resumeFrom: string | null;
}

/**
 * Opens the folder of a new run, or of one to go on with.
 * @throws {InputError} when it cannot be written to, or holds another run and `resume` is not asked for
 */
export async function openRunFolder(path: string, resume: boolean): Promise<RunFolder> {
  const metrics = joinPath(path, "metrics.jsonl");
  const steps = await listCheckpoints(path);
  if (!resume && (steps.length > 0 || await pathExists(metrics))) {
    const what = steps.length > 0 ? `a run with ${steps[steps.length - 1]} steps` : "a run";
    throw new InputError(
      `run.out ${path} already holds ${what}; continue it with --resume, or choose another folder with --out`,
    );
  }
  await ensureWritableFolder(path);
  await removeUnfinished(path);
  const figures = joinPath(path, "figures");
  await Deno.mkdir(figures, { recursive: true });
  const resumeFrom = steps.length > 0 ? checkpointPath(path, steps[steps.length - 1]) : null;
  return { path, metrics, events: path, figures, resumeFrom };
}

/** Stores the resolved configuration with the run. */
export async function storeConfig(path: string, config: PretrainConfig): Promise<void> {
  await writeFileAtomic(joinPath(path, "config.yaml"), toYaml(config));
}

/**
 * Checks that the checkpoints a run keeps will fit on the disk.
 * @param parameters values in the model; a checkpoint holds them and two moments each
 * @throws {InputError} when they surely will not
 */
export async function checkDiskSpace(path: string, parameters: number, keep: number): Promise<void> {
  const free = await freeBytes(path);
  const needed = 3 * 4 * parameters * (keep + 1); // the new one is written before the oldest goes
  if (free !== null && free < needed) {
    throw new InputError(
      `run.out ${path} has ${formatBytes(free)} free, but ${keep + 1} checkpoints need ${
        formatBytes(needed)
      }; ` +
        "free some space, lower run.keep or choose another folder with --out",
    );
  }
}

/** The configuration as plain values under the keys of the YAML. */
export function configRecord(config: PretrainConfig): Record<string, unknown> {
  return parseYaml(toYaml(config)) as Record<string, unknown>;
}

/** Keys that may change between stopping and resuming without changing a single bit of the result. */
const harmless = new Set([
  "run.out",
  "run.log_every",
  "run.checkpoint_every",
  "run.keep",
  "run.figure_images",
  "data.workers",
  "data.train",
]);

/** Dotted keys whose values differ between two configurations, those that cannot matter left out. */
export function changedKeys(before: unknown, after: unknown, prefix = ""): string[] {
  if (isRecord(before) && isRecord(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) =>
      changedKeys(before[key], after[key], prefix ? `${prefix}.${key}` : key)
    );
  }
  if (harmless.has(prefix) || JSON.stringify(before) === JSON.stringify(after)) return [];
  return [prefix];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
