/**
 * The best checkpoint of a run that evaluates: `checkpoints/best/` with `model.safetensors` and `state.json`, to be used
 * and not to be trained on. It is written as `best.tmp`, synced and renamed. The one before is out of the way, as
 * `best.old.tmp`, for the moment between two renames; if the program ends just then, the next run in the folder puts it
 * back.
 */
import { writeSafetensors } from "../../formats/safetensors.ts";
import { DeviceError } from "../../gpu/guards.ts";
import type { Parameters } from "../../nn/parameters.ts";
import { messageOf, RunError } from "../../util/errors.ts";
import { isMissing, joinPath, pathExists, syncFolder, writeFileAtomic } from "../../util/files.ts";
import { checkpointsFolder, MODEL, STATE, tensorEntries, type TrainState } from "./checkpoint.ts";

/** The folder of a run's best checkpoint. */
export function bestPath(run: string): string {
  return joinPath(checkpointsFolder(run), "best");
}

/**
 * Writes the best checkpoint in place of the one before.
 * @returns its folder
 * @throws {RunError} when it cannot be written; the one before is untouched then
 */
export async function saveBest(run: string, state: TrainState, model: Parameters): Promise<string> {
  const target = bestPath(run);
  const temporary = `${target}.tmp`;
  try {
    await removeFolder(temporary);
    await Deno.mkdir(temporary, { recursive: true });
    const metadata = { format: "pt", program: "mae", step: String(state.step) };
    await writeSafetensors(joinPath(temporary, MODEL), tensorEntries(model), metadata);
    await writeFileAtomic(joinPath(temporary, STATE), JSON.stringify(state, null, 2) + "\n");
    await syncFolder(temporary);
    await replaceFolder(target, temporary);
    await syncFolder(checkpointsFolder(run));
  } catch (error) {
    await removeFolder(temporary).catch(() => {});
    if (error instanceof DeviceError) throw error;
    throw new RunError(
      `The best checkpoint, of step ${state.step}, could not be written to ${target} (${
        messageOf(error)
      }); ` +
        "earlier checkpoints are intact, free some space and continue with --resume",
    );
  }
  return target;
}

async function replaceFolder(target: string, by: string): Promise<void> {
  const old = `${target}.old.tmp`;
  await removeFolder(old);
  await Deno.rename(target, old).catch(unlessMissing);
  try {
    await Deno.rename(by, target);
  } catch (error) {
    await Deno.rename(old, target).catch(() => {});
    throw error;
  }
  await removeFolder(old);
}

/** Puts the best checkpoint back where a run ended while it was replaced, and removes what is left of older ones. */
export async function recoverBest(run: string): Promise<void> {
  const target = bestPath(run);
  const old = `${target}.old.tmp`;
  if (await pathExists(target)) await removeFolder(old);
  else await Deno.rename(old, target).catch(unlessMissing);
}

async function removeFolder(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch(unlessMissing);
}

function unlessMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}
