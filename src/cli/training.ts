/** What the commands that train have in common: flags over a configuration, events on the terminal, signals, results. */

import { type ConfigLayer, isMapping, nested, parseSet } from "../config/layers.ts";
import { type ConfigJob, readConfigLayer, shippedConfigs } from "../config/shipped.ts";
import type { ConfigKey } from "../config/settings.ts";
import type { LinprobeEvent } from "../train/run/events.ts";
import type { FinetuneResult } from "../train/jobs/finetune.ts";
import type { RunOptions, RunResult } from "../train/run/open_run.ts";
import { isAbort } from "../util/abort.ts";
import { InputError } from "../util/errors.ts";
import { didYouMeanPath, joinPath, pathExists } from "../util/files.ts";
import type { Arguments, Flag } from "./command.ts";
import { accuracy, duration, loss, plural } from "./format.ts";
import { invocation, shellWord } from "./invocation.ts";
import { Progress } from "./progress.ts";
import { exitCodeOf, listenForStop, type StopSignal } from "./signals.ts";
import { columnsOf, printable, type Terminal } from "./terminal.ts";

/** Flags that every such command has, besides `--config`, `--set` and `--data`. */
export const runFlags: readonly Flag[] = [
  { name: "out", value: "DIR", key: "run.out", help: "folder for everything the run writes" },
  { name: "epochs", value: "N", key: "optim.epochs", help: "passes over the data" },
  { name: "batch-size", value: "N", key: "optim.batch_size", help: "images computed at once" },
  { name: "seed", value: "N", key: "run.seed", help: "seed of all random numbers" },
  { name: "backend", value: "NAME", key: "run.backend", help: "auto, webgpu or cpu" },
  {
    name: "resume",
    help: "go on from the newest checkpoint of the run; its own configuration unless --config is given",
  },
  { name: "no-tune", help: "run kernels by their default plans, without timing them on this device first" },
  { name: "dry-run", help: "print the resolved configuration and stop; needs no images" },
  { name: "quiet", help: "print only warnings and where the results are" },
];

/** Flags of jobs that train on labelled images: where they are, and what to validate with. */
export const labelledFlags: readonly Flag[] = [
  {
    name: "data",
    value: "SOURCE",
    key: "data.train",
    help:
      "labelled images: train/ and val/ (or test/) with a folder per class in each, a table (.csv, .jsonl), or shards",
  },
  {
    name: "val",
    value: "SOURCE",
    key: "data.val",
    help: "images to validate with, where --data does not hold them: a folder per class, or a table",
  },
  {
    name: "split",
    value: "SHARE",
    key: "data.split",
    help: "share of each class's images to validate with, where there is no folder for it: 0.1",
  },
];

/** The flag of commands that start from a checkpoint. */
export const partialFlag: Flag = {
  name: "partial",
  help: "load what fits of a checkpoint that does not fit as a whole, and say what was left",
};

/** The keys whose flags may take a number. */
const numeric = new Set([
  "optim.epochs",
  "optim.batch_size",
  "run.seed",
  "model.train_blocks",
  "data.split",
]);

/** For the help of such a command: its configuration keys, and the configurations that come with the program. */
export function configurationHelp(keys: readonly ConfigKey[], job: ConfigJob): string {
  const rows = keys.map(({ key, description, words, default: fallback }) => {
    const choice = words.length > 1 ? `; one of ${words.join(", ")}` : ""; // of a single one the description tells
    return [key, `${description}${choice} (${fallback})`];
  });
  return `Configuration keys, for --set and the YAML file, with their defaults:\n${columnsOf(rows)}

Configurations that come with the program:
${columnsOf(shippedConfigs(job).map(({ path }) => [path]))}`;
}

/** What `--set` says, and over it what the flags say that set a key. */
export function givenLayers(args: Arguments, flags: readonly Flag[]): ConfigLayer[] {
  const given = args.values("set").map(parseSet);
  for (const { name, key } of flags) {
    const value = args.value(name);
    if (key === undefined || value === undefined) continue;
    given.push({ origin: `--${name}`, values: nested(key, numeric.has(key) ? numberOr(value) : value) });
  }
  return given;
}

/** The number that the text is, or the text, which the check of the key then refuses. */
function numberOr(text: string): number | string {
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** What the last layer that says so gives as `run.out`, or undefined. */
export function outOf(layers: readonly ConfigLayer[]): unknown {
  return valueIn(layers, "run", "out");
}

/** What the last layer that says so gives for a key of a section, or undefined. */
function valueIn(layers: readonly ConfigLayer[], section: string, key: string): unknown {
  return layers.map(({ values }) => {
    const inner = isMapping(values) ? values[section] : undefined;
    return isMapping(inner) ? inner[key] : undefined;
  }).findLast((value) => value !== undefined);
}

/** What stands for the folder of images in a dry run that names none. */
const ANY_FOLDER = "DIR";

/** The layers, and for a dry run that names no images beneath them one that stands for the folder. */
export function withAnyData(args: Arguments, layers: readonly ConfigLayer[]): ConfigLayer[] {
  if (!args.has("dry-run") || valueIn(layers, "data", "train") !== undefined) return [...layers];
  return [{ origin: "--dry-run", values: nested("data.train", ANY_FOLDER) }, ...layers];
}

/** The configuration that a run of a job has stored in its folder, with the folder where it is now. */
export async function storedLayers(folder: string, job: ConfigJob): Promise<ConfigLayer[]> {
  const { refuseForeignRun } = await import("../train/run/resume.ts"); // loads the GPU backend
  await refuseForeignRun(folder, job);
  const stored = joinPath(folder, "config.yaml");
  if (await pathExists(stored)) return [await readConfigLayer(stored), outLayer(folder)];
  const near = await pathExists(folder) ? "" : await didYouMeanPath(folder, ({ isFile }) => !isFile);
  throw new InputError(
    `--resume finds no ${stored}; give the folder of a run with --out, or a --config to start one${near}`,
  );
}

/**
 * The layers of a job that can start from a checkpoint: those of the run to resume, which needs no look at where it started
 * from, or else the configuration file and what is given over it.
 */
export async function jobLayers(
  args: Arguments,
  given: readonly ConfigLayer[],
  job: ConfigJob,
): Promise<{ readonly layers: ConfigLayer[]; readonly resumed: boolean }> {
  const file = args.value("config");
  if (file !== undefined || !args.has("resume")) {
    const base = file === undefined ? [] : [await readConfigLayer(file, job)];
    return { layers: withAnyData(args, [...base, ...given]), resumed: false };
  }
  const out = outOf(given);
  if (typeof out !== "string") throw new InputError("--resume needs the folder of the run: --out DIR");
  return { layers: [...await storedLayers(out, job), ...given], resumed: true };
}

/** A layer that sets where the run writes. */
export function outLayer(folder: string): ConfigLayer {
  return { origin: "the folder of the run", values: nested("run.out", folder) };
}

/** A job, ready to run. */
export interface CommandJob<Result extends RunResult> {
  /** The resolved configuration in YAML. */
  readonly yaml: string;
  /** What there is to know before it trains, each in a sentence. */
  readonly notices?: readonly string[];
  /** What follows from the configuration, for a dry run: each a name and a value. */
  readonly facts?: () => Promise<string[][]>;
  /** Trains. */
  readonly train: (
    options: RunOptions & { readonly onEvent: (event: LinprobeEvent) => void },
  ) => Promise<Result>;
  /** What is printed in the end. */
  readonly summary: (result: Result) => string;
}

/** Prints the configuration, runs the job until its end or a signal, and prints its summary. Gives the exit code. */
export async function runJob<Result extends RunResult>(
  job: CommandJob<Result>,
  args: Arguments,
  terminal: Terminal,
): Promise<number> {
  if (args.has("dry-run")) {
    terminal.print(await dryRun(job));
    return 0;
  }
  const { yaml, notices = [], train, summary } = job;
  const quiet = args.has("quiet");
  const progress = new Progress(terminal, quiet);
  const controller = new AbortController();
  let stoppedBy: StopSignal | undefined;
  using _listening = listenForStop((signal) => {
    stoppedBy = signal;
    controller.abort();
    terminal.printError("Stopping after a checkpoint; press Control-C again to quit at once");
  });
  const { signal } = controller;
  const options = { resume: args.has("resume"), tune: !args.has("no-tune"), signal };
  let saved: string | undefined, told = quiet;
  const onEvent = (event: LinprobeEvent) => {
    // With the first event, so that what is refused at once is refused in one sentence.
    if (!told) terminal.print([`${yaml.trimEnd()}\n`, ...notices.map(printable)].join("\n"));
    told = true;
    if (event.kind === "checkpoint") saved = event.path;
    progress.show(event);
  };
  let result: Result;
  try {
    result = await train({ ...options, onEvent });
  } catch (error) {
    if (!stoppedBy || !isAbort(error, signal)) {
      if (saved !== undefined) {
        terminal.printError(`Saved before this: ${printable(saved)}; --resume goes on from there`);
      }
      throw error;
    }
    terminal.printError("Stopped before there was anything to save");
    return exitCodeOf(stoppedBy);
  }
  progress.finish();
  terminal.print(summary(result));
  return result.interrupted && stoppedBy ? exitCodeOf(stoppedBy) : 0;
}

/** The configuration, and what there is to say of it as comments, so that the whole is a configuration still. */
async function dryRun(
  { yaml, notices = [], facts }: Pick<CommandJob<RunResult>, "yaml" | "notices" | "facts">,
): Promise<string> {
  const rows = facts ? columnsOf(await facts()).split("\n") : [];
  const comments = [...rows, ...notices.map((sentence) => ` ${printable(sentence)}`)];
  return [yaml.trimEnd(), ...comments.map((line) => `#${line}`)].join("\n");
}

/** The line that says how a run ended; `facts` come after the loss. */
export function endLine(result: RunResult, facts: readonly string[] = []): string {
  const { steps, seconds, interrupted, brokenFiles } = result;
  return [
    `${interrupted ? "Stopped" : "Done"} after ${plural(steps, "step")}`,
    `loss ${loss(result.loss)}`,
    ...facts,
    duration(seconds),
    ...(brokenFiles === 0 ? [] : [`${plural(brokenFiles, "broken file")} skipped`]),
  ].join(", ");
}

/** Where the results of a run are; `first` come before the newest checkpoint. */
export function resultFiles(result: RunResult, first: readonly string[][] = []): string {
  return columnsOf([
    ...first,
    ["checkpoint", result.checkpoint],
    ["metrics", result.metrics],
    ["TensorBoard", result.events],
    ...(result.figure === null ? [] : [["figure", result.figure]]),
  ]);
}

/** How to go on with an interrupted run of a command. */
export function nextWhenStopped(command: string, out: string): string {
  return `Go on with\n  ${invocation(`${command} --resume --out ${shellWord(out)}`)}`;
}

/** What is printed at the end of a job that trains a classifier; `next` are more things to do, each with its command. */
export function classifierSummary(
  command: string,
  out: string,
  result: FinetuneResult,
  next: readonly string[][] = [],
): string {
  const { best, bestCheckpoint, checkpoint, evaluation, interrupted } = result;
  const facts = evaluation === null ? [] : [
    `top-1 ${accuracy(evaluation.top1)}` +
    (best && best.step !== evaluation.step ? ` (best ${accuracy(best.top1)} at step ${best.step})` : ""),
  ];
  const first = bestCheckpoint === null ? [] : [["best", bestCheckpoint]];
  const path = shellWord(bestCheckpoint ?? checkpoint);
  const rows = [
    ["see where it errs", invocation(`evaluate ${path} --out DIR`)],
    ["classify images", invocation(`predict IMAGE... --from ${path}`)],
    ...next,
  ];
  return `${endLine(result, facts)}

${resultFiles(result, first)}

${interrupted ? nextWhenStopped(command, out) : `Next\n${columnsOf(rows)}`}`;
}
