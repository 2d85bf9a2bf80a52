/** What has changed between a checkpoint and the run that goes on from it. */
import { parseYaml } from "../../deps/std.ts";
import type { ImageSource } from "../../sources/source.ts";
import { createHash } from "../../deps/node.ts";
import { InputError } from "../../util/errors.ts";
import {
  checkpointPath,
  listCheckpoints,
  readTrainState,
  type TrainState,
} from "../checkpoint/checkpoint.ts";

/** A resolved configuration in YAML as plain values. */
export function configRecord(yaml: string): Record<string, unknown> {
  return parseYaml(yaml) as Record<string, unknown>;
}

/** What tells a data set from others: the names of its shards and how many samples each holds, or else of all samples. */
function* tellingNames(source: ImageSource): Generator<string> {
  if (source.shards) { for (const { name, samples } of source.shards) yield `${name}\0${samples}`; }
  else for (let sample = 0; sample < source.length; sample++) yield source.name(sample);
}

/** A hash of the names and the order of a data set's files, wherever its folder lies: SHA-256 in hexadecimal. */
export function fingerprint(source: ImageSource): string {
  const hash = createHash("sha256");
  let part = "";
  let separator = "";
  for (const name of tellingNames(source)) {
    part += separator + name;
    separator = "\0";
    if (part.length < 2 ** 16) continue;
    hash.update(part);
    part = "";
  }
  return hash.update(part).digest("hex");
}

/** Refuses to go on from a run of another job, by the newest state that can be read; a run without any is anybody's. */
export async function refuseForeignRun(run: string, job: TrainState["job"]): Promise<void> {
  for (const step of (await listCheckpoints(run)).reverse()) {
    // What is wrong with a damaged one is told when it is gone on from.
    const state = await readTrainState(checkpointPath(run, step)).catch(() => null);
    if (state !== null) return checkJob(run, state, job);
  }
}

/** Refuses a run whose state says that it is one of another job. */
export function checkJob(run: string, state: TrainState, job: TrainState["job"]): void {
  if (state.job === job) return;
  throw new InputError(`${run} is a run of mae ${state.job}, not of mae ${job}: give another --out`);
}

/** Sentences on everything that makes a resumed run differ from one that never stopped. */
export function resumeWarnings(
  state: TrainState,
  record: Readonly<Record<string, unknown>>,
  data: { readonly samples: number; readonly files: string; readonly inShards: boolean },
): string[] {
  const warnings: string[] = [];
  const changed = changedKeys(state.config, record)
    .filter((key) => data.inShards || !key.startsWith("data.shuffle")); // which orders nothing else
  if (changed.length > 0) {
    warnings.push(
      `Resuming with another ${changed.join(", ")}: the result will differ from a run that never stopped`,
    );
  }
  if (state.samples !== data.samples) {
    warnings.push(
      `The data set had ${state.samples} images and has ${data.samples} now: their order will differ`,
    );
  } else if (state.files !== undefined && state.files !== data.files) {
    warnings.push(
      "The files of the data set have other names now: the result will differ where their images do",
    );
  }
  return warnings;
}

/** Keys that may change between stopping and resuming without changing a single bit of the result. */
const harmless = new Set([
  "from", // the checkpoint that is gone on from has the weights
  "run.out",
  "run.log_every",
  "run.checkpoint_every",
  "run.keep",
  "run.figure_images",
  "data.workers",
  "data.on_error",
  "data.max_bad_share",
  "data.train", // what lies there is compared by its own means
  "optim.max_bad_steps",
]);

/** Dotted keys whose values differ between two configurations, those that cannot matter left out. */
export function changedKeys(before: unknown, after: unknown, prefix = ""): string[] {
  if (isRecord(before) && isRecord(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) =>
      changedKeys(before[key], after[key], prefix ? `${prefix}.${key}` : key)
    );
  }
  const isLook = prefix === "probe" || prefix.startsWith("probe."); // it draws and changes nothing
  const isNew = before === undefined && after === null; // a key that an older version had not, and nobody gives
  if (isLook || isNew || harmless.has(prefix) || JSON.stringify(before) === JSON.stringify(after)) return [];
  return [prefix];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
