/**
 * Checkpoints: folders `checkpoints/step-00001000/` with `model.safetensors`, `optimizer.safetensors` and `state.json`.
 * A checkpoint is written under a temporary name, synced and renamed, and renamed again before it is removed, so that
 * whatever happens there is never half of one.
 */
import type { tf } from "../../deps/tfjs.ts";
import {
  openSafetensors,
  readSafetensors,
  type TensorEntry,
  writeSafetensors,
} from "../../formats/safetensors.ts";
import { DeviceError } from "../../gpu/guards.ts";
import { readTensor } from "../../gpu/tensors.ts";
import { loadParameters, type Parameters } from "../../nn/parameters.ts";
import { InputError, messageOf, RunError } from "../../util/errors.ts";
import { isMissing, joinPath, syncFolder, writeFileAtomic } from "../../util/files.ts";
import type { ClassifierInfo } from "./classifier_info.ts";

/** What `state.json` holds besides the tensors: everything a run needs to go on. */
export interface TrainState {
  /** Version of this file's own layout. */
  readonly format: 1;
  /** What kind of run it is. */
  readonly job: "pretrain" | "finetune" | "linprobe";
  /** Optimizer steps made. */
  readonly step: number;
  /** Fractional epoch. */
  readonly epoch: number;
  /** Optimizer steps of an epoch. */
  readonly stepsPerEpoch: number;
  /** Images in the data set when it was written. */
  readonly samples: number;
  /** Names them all: see `fingerprint` in `src/train/run/resume.ts`. */
  readonly files?: string;
  /** Training time so far, without pauses between resumed runs. */
  readonly seconds: number;
  /** Mean loss of the last logged window; null before the first. */
  readonly loss?: number | null;
  /** The resolved configuration, as YAML keys. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Classes and images, where the model is a classifier. */
  readonly classifier?: ClassifierInfo;
  /** The newest evaluation; null before the first. */
  readonly evaluation?: EvaluationSummary | null;
  /** The best evaluation so far; null before the first. */
  readonly best?: EvaluationSummary | null;
}

/** How a classifier did on a validation set. */
export interface EvaluationSummary {
  /** Optimizer steps made before. */
  readonly step: number;
  /** Images that it was shown. */
  readonly images: number;
  /** Share of them whose class came first. */
  readonly top1: number;
  /** Share of them whose class was among the first five; null for five classes or fewer. */
  readonly top5: number | null;
  /** Mean cross-entropy; null where it is not finite. */
  readonly loss: number | null;
}

/** A checkpoint whose files are missing, cut short or garbled: an older one may still do. */
export class DamagedCheckpointError extends InputError {
  /** The class's name, for error reports. */
  override name = "DamagedCheckpointError";
}

/** Name of the model's file in a checkpoint. */
export const MODEL = "model.safetensors";
const OPTIMIZER = "optimizer.safetensors";
/** Name of the state's file in a checkpoint. */
export const STATE = "state.json";

const stepName = /^step-(\d{8,})$/;

/** The folder of all checkpoints of a run. */
export function checkpointsFolder(run: string): string {
  return joinPath(run, "checkpoints");
}

/** The folder of a step's checkpoint. */
export function checkpointPath(run: string, step: number): string {
  return joinPath(checkpointsFolder(run), `step-${String(step).padStart(8, "0")}`);
}

/** Steps that have a checkpoint, ascending. */
export async function listCheckpoints(run: string): Promise<number[]> {
  const steps: number[] = [];
  try {
    for await (const entry of Deno.readDir(checkpointsFolder(run))) {
      const match = stepName.exec(entry.name);
      if (entry.isDirectory && match) steps.push(Number(match[1]));
    }
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  return steps.sort((a, b) => a - b);
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
    await writeSafetensors(joinPath(temporary, MODEL), tensorEntries(model), metadata);
    await writeSafetensors(joinPath(temporary, OPTIMIZER), tensorEntries(optimizer), metadata);
    await writeFileAtomic(joinPath(temporary, STATE), JSON.stringify(state, null, 2) + "\n");
    await syncFolder(temporary);
    await removeWhole(target);
    await Deno.rename(temporary, target);
    for (const folder of [checkpointsFolder(run), run]) await syncFolder(folder);
  } catch (error) {
    await Deno.remove(temporary, { recursive: true }).catch(() => {});
    if (error instanceof DeviceError) throw error;
    throw new RunError(
      `The checkpoint of step ${state.step} could not be written to ${target} (${messageOf(error)}); ` +
        "earlier checkpoints are intact, free some space and continue with --resume",
    );
  }
  await removeOldCheckpoints(run, keep);
  return target;
}

async function removeOldCheckpoints(run: string, keep: number): Promise<void> {
  const steps = await listCheckpoints(run);
  for (const step of steps.slice(0, Math.max(0, steps.length - keep))) {
    const path = checkpointPath(run, step);
    try {
      await removeWhole(path);
    } catch (error) {
      throw new RunError(
        `The old checkpoint ${path} could not be removed (${messageOf(error)}); newer ones are intact, ` +
          "remove it and continue with --resume",
      );
    }
  }
}

/** Removes a checkpoint if there is one: as a folder empties file by file, it first loses its name. */
async function removeWhole(path: string): Promise<void> {
  const doomed = `${path}.old.tmp`;
  try {
    await Deno.remove(doomed, { recursive: true }).catch(() => {});
    await Deno.rename(path, doomed);
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  await Deno.remove(doomed, { recursive: true });
}

/** Most bytes of staging copies that a checkpoint holds on the host at once. */
const readAhead = 256 * 2 ** 20;

/** Entries whose values are read ahead in groups, because every wait for the device costs about 11 ms. */
export function tensorEntries(parameters: Parameters): TensorEntry[] {
  const waiting = [...parameters.values()];
  const reading = new Map<tf.Variable, Promise<Float32Array>>();
  const startReading = () => {
    for (let bytes = 0; waiting.length > 0 && (bytes === 0 || bytes < readAhead);) {
      const variable = waiting.shift() as tf.Variable;
      const values = readTensor(variable);
      values.catch(() => {}); // whoever comes to it throws it; nobody does when the disk was full before
      reading.set(variable, values);
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

/** A checkpoint to go on from. */
export interface FoundCheckpoint {
  /** Its folder. */
  readonly path: string;
  /** What it says of the run. */
  readonly state: TrainState;
  /** What is wrong with each newer one, which must be set aside. */
  readonly damaged: readonly { readonly path: string; readonly reason: string }[];
}

/**
 * The newest checkpoint of a run whose files are whole; damaged ones are passed over, and told of. Reads no tensors:
 * a safetensors file that is cut short or garbled shows in its header and its length.
 * @returns null when the run has none at all
 * @throws {DamagedCheckpointError} when all are damaged
 * @throws {InputError} when one cannot be read, or is of another version: an older one would not help
 */
export async function findCheckpoint(run: string): Promise<FoundCheckpoint | null> {
  const damaged: { path: string; reason: string }[] = [];
  for (const step of (await listCheckpoints(run)).reverse()) {
    const path = checkpointPath(run, step);
    try {
      return { path, state: await checkCheckpoint(path), damaged };
    } catch (error) {
      if (!(error instanceof DamagedCheckpointError)) throw error;
      damaged.push({ path, reason: error.message });
    }
  }
  if (damaged.length === 0) return null;
  throw new DamagedCheckpointError(
    `${damaged.map(({ reason }) => reason).join("; ")}; there is no other checkpoint to go on from: ` +
      "start a new run with another --out",
  );
}

/** Checks that a checkpoint is whole, and gives its state. Throws as `findCheckpoint` does. */
async function checkCheckpoint(path: string): Promise<TrainState> {
  for (const name of [STATE, MODEL, OPTIMIZER]) await checkReadable(path, name);
  const state = await readTrainState(path);
  for (const name of [MODEL, OPTIMIZER]) {
    try {
      (await openSafetensors(joinPath(path, name))).close();
    } catch (error) {
      throw error instanceof InputError ? damage(path, error.message) : error;
    }
  }
  return state;
}

/** Tells a file that is missing, which is damage, from one that the system refuses to read. */
async function checkReadable(path: string, name: string): Promise<void> {
  try {
    (await Deno.open(joinPath(path, name))).close();
  } catch (error) {
    if (isMissing(error)) throw damage(path, `${name} is missing`);
    throw new InputError(`The checkpoint ${path} cannot be read: ${messageOf(error)}`);
  }
}

function damage(path: string, reason: string): DamagedCheckpointError {
  return new DamagedCheckpointError(`The checkpoint ${path} is damaged: ${reason}`);
}

/** Renames damaged checkpoints, so that no later run takes them for the newest; an older set of the same step goes. */
export async function setAside(checkpoints: FoundCheckpoint["damaged"]): Promise<void> {
  for (const { path } of checkpoints) {
    await Deno.remove(`${path}.damaged`, { recursive: true }).catch(() => {});
    await Deno.rename(path, `${path}.damaged`);
  }
}

/**
 * Copies a checkpoint's tensors into a model and its optimizer, one file after the other.
 * @throws {InputError} naming what does not fit
 */
export async function restoreCheckpoint(
  path: string,
  model: Parameters,
  optimizer: Parameters,
): Promise<void> {
  for (const [name, parameters] of [[MODEL, model], [OPTIMIZER, optimizer]] as const) {
    const tensors = await readSafetensors(joinPath(path, name));
    try {
      loadParameters(parameters, tensors);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      throw new InputError(
        `${joinPath(path, name)}: ${error.message}; resume with the run's own config.yaml, ` +
          "or start a new run with another --out",
      );
    }
  }
}

/**
 * Reads `state.json` of a checkpoint's folder.
 * @throws {DamagedCheckpointError} when it is missing or garbled
 * @throws {InputError} when it is of another version
 */
export async function readTrainState(path: string): Promise<TrainState> {
  let state: unknown;
  try {
    state = JSON.parse(await Deno.readTextFile(joinPath(path, STATE)));
  } catch (error) {
    throw damage(path, `${STATE} cannot be read (${messageOf(error)})`);
  }
  if (isTrainState(state)) return state;
  const { format } = new Object(state) as { format?: unknown };
  if (Number.isInteger(format) && format !== 1) {
    throw new InputError(
      `The checkpoint ${path} has format ${format}, and this version of mae reads format 1`,
    );
  }
  throw damage(path, `${STATE} is not the state of a run`);
}

function isTrainState(value: unknown): value is TrainState {
  const state = new Object(value) as Partial<Record<keyof TrainState, unknown>>;
  const isCount = (count: unknown) => Number.isSafeInteger(count) && (count as number) >= 0;
  const isAmount = (amount: unknown) => Number.isFinite(amount) && (amount as number) >= 0;
  return state.format === 1 && isCount(state.step) && isCount(state.stepsPerEpoch) &&
    isCount(state.samples) &&
    isAmount(state.epoch) && isAmount(state.seconds) && typeof state.config === "object" &&
    state.config !== null;
}
