/**
 * Checkpoints: folders `checkpoints/step-00001000/` with `model.safetensors`, `optimizer.safetensors` and `state.json`.
 * A checkpoint is written under a temporary name, synced and renamed, so that whatever happens there is never half of one.
 */
import { readSafetensors, type TensorEntry, writeSafetensors } from "../formats/safetensors.ts";
import type { tf } from "../deps/tfjs.ts";
import { readTensor } from "../gpu/tensors.ts";
import type { StoredTensor } from "../formats/dtypes.ts";
import type { Parameters } from "../nn/parameters.ts";
import { InputError, messageOf, RunError } from "../util/errors.ts";
import { joinPath, syncFolder, writeFileAtomic } from "../util/files.ts";

/** What `state.json` holds besides the tensors: everything a run needs to go on. */
export interface TrainState {
  readonly format: 1;
  readonly job: "pretrain";
  /** Optimizer steps made. */
  readonly step: number;
  /** Fractional epoch. */
  readonly epoch: number;
  readonly stepsPerEpoch: number;
  /** Images in the data set when it was written. */
  readonly samples: number;
  /** Training time so far, without pauses between resumed runs. */
  readonly seconds: number;
  /** The resolved configuration, as YAML keys. */
  readonly config: Readonly<Record<string, unknown>>;
}

const stepName = /^step-(\d{8,})$/;

/** The folder of a step's checkpoint. */
export function checkpointPath(run: string, step: number): string {
  return joinPath(run, "checkpoints", `step-${String(step).padStart(8, "0")}`);
}

/** Steps that have a whole checkpoint, ascending. */
export async function listCheckpoints(run: string): Promise<number[]> {
  const steps: number[] = [];
  try {
    for await (const entry of Deno.readDir(joinPath(run, "checkpoints"))) {
      const match = stepName.exec(entry.name);
      if (entry.isDirectory && match) steps.push(Number(match[1]));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return steps.sort((a, b) => a - b);
}

/** Removes what an interrupted write left behind. */
export async function removeUnfinished(run: string): Promise<void> {
  const folder = joinPath(run, "checkpoints");
  try {
    for await (const entry of Deno.readDir(folder)) {
      if (entry.name.endsWith(".tmp")) await Deno.remove(joinPath(folder, entry.name), { recursive: true });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/**
 * Writes a checkpoint and removes all but the newest `keep`.
 * @returns its folder
 * @throws {RunError} when it cannot be written; earlier checkpoints are untouched
 */
export async function saveCheckpoint(
  run: string,
  state: TrainState,
  model: Parameters,
  optimizer: Parameters,
  keep: number,
): Promise<string> {
  const target = checkpointPath(run, state.step);
  const temporary = `${target}.tmp`;
  try {
    await Deno.remove(temporary, { recursive: true }).catch(() => {});
    await Deno.mkdir(temporary, { recursive: true });
    const metadata = { format: "pt", program: "mae", step: String(state.step) };
    await writeSafetensors(joinPath(temporary, "model.safetensors"), tensorEntries(model), metadata);
    await writeSafetensors(joinPath(temporary, "optimizer.safetensors"), tensorEntries(optimizer), metadata);
    await writeFileAtomic(joinPath(temporary, "state.json"), JSON.stringify(state, null, 2) + "\n");
    await syncFolder(temporary);
    await Deno.remove(target, { recursive: true }).catch(() => {});
    await Deno.rename(temporary, target);
    await syncFolder(joinPath(run, "checkpoints"));
  } catch (error) {
    await Deno.remove(temporary, { recursive: true }).catch(() => {});
    if (error instanceof RunError) throw error;
    throw new RunError(
      `The checkpoint of step ${state.step} could not be written to ${target} (${messageOf(error)}); ` +
        "earlier checkpoints are intact, free some space and continue with --resume",
    );
  }
  const steps = await listCheckpoints(run);
  for (const step of steps.slice(0, Math.max(0, steps.length - keep))) {
    await Deno.remove(checkpointPath(run, step), { recursive: true });
  }
  return target;
}

/** Most bytes of staging copies that a checkpoint holds on the host at once. */
const readAhead = 256 * 2 ** 20;

/** Entries whose values are read ahead in groups, because every wait for the device costs about 11 ms. */
function tensorEntries(parameters: Parameters): TensorEntry[] {
  const waiting = [...parameters.values()];
  const reading = new Map<tf.Variable, Promise<Float32Array>>();
  const startReading = () => {
    for (let bytes = 0; waiting.length > 0 && (bytes === 0 || bytes < readAhead);) {
      const variable = waiting.shift() as tf.Variable;
      reading.set(variable, readTensor(variable));
      bytes += 4 * variable.size;
    }
  };
  return [...parameters].map(([name, variable]) => ({
    name,
    dtype: "F32",
    shape: variable.shape,
    data: async () => {
      if (!reading.has(variable)) startReading();
      const values = await (reading.get(variable) ?? readTensor(variable));
      reading.delete(variable);
      return values;
    },
  }));
}

/** A checkpoint read back. */
export interface LoadedCheckpoint {
  readonly state: TrainState;
  readonly model: Map<string, StoredTensor>;
  readonly optimizer: Map<string, StoredTensor>;
}

/**
 * Reads a checkpoint's folder.
 * @throws {InputError} when a file is missing or damaged
 */
export async function loadCheckpoint(path: string): Promise<LoadedCheckpoint> {
  return {
    state: await readTrainState(path),
    model: await readSafetensors(joinPath(path, "model.safetensors")),
    optimizer: await readSafetensors(joinPath(path, "optimizer.safetensors")),
  };
}

/** Reads `state.json` of a checkpoint's folder. Throws `InputError` when it is missing, damaged or of another version. */
export async function readTrainState(path: string): Promise<TrainState> {
  const file = joinPath(path, "state.json");
  let state: TrainState;
  try {
    state = JSON.parse(await Deno.readTextFile(file));
  } catch (error) {
    throw new InputError(`${file} cannot be read (${messageOf(error)})`);
  }
  if (state?.format !== 1 || !Number.isInteger(state.step)) {
    throw new InputError(`${file} is not the state of a checkpoint of this version`);
  }
  return state;
}
