/** `mae pretrain` */

import { type ConfigLayer, isMapping, nested, parseSet } from "../config/layers.ts";
import { configKeys, resolvePretrainConfig, toYaml } from "../config/pretrain.ts";
import { readConfigLayer, shippedConfigs } from "../config/shipped.ts";
import type { PretrainConfig } from "../config/types.ts";
import type { PretrainOptions, PretrainResult } from "../train/pretrain.ts";
import { InputError } from "../util/errors.ts";
import { joinPath, pathExists } from "../util/files.ts";
import type { Arguments, Command, Flag } from "./command.ts";
import { type DemoRuns, demoRuns } from "./demo_runs.ts";
import { duration, loss, plural } from "./format.ts";
import { invocation, shellWord } from "./invocation.ts";
import { Progress } from "./progress.ts";
import { exitCodeOf, listenForStop, type StopSignal } from "./signals.ts";
import { columnsOf, type Terminal } from "./terminal.ts";

const DEMO = "configs/pretrain/demo.yaml";

const flags: readonly Flag[] = [
  { name: "config", value: "FILE", help: `configuration to start from; ${DEMO} by default` },
  { name: "set", value: "KEY=VALUE", repeatable: true, help: "set one configuration key" },
  { name: "data", value: "DIR", key: "data.train", help: "folder of images" },
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
  { name: "dry-run", help: "print the resolved configuration and stop" },
  { name: "quiet", help: "print only warnings and where the results are" },
];

/** The keys whose flags take a number. */
const numeric = new Set(["optim.epochs", "optim.batch_size", "run.seed"]);

/** The training job, as `src/train/pretrain.ts` has it. */
export type PretrainJob = (config: PretrainConfig, options: PretrainOptions) => Promise<PretrainResult>;

/** Loads the training job, and with it the GPU backend, only when there is something to train. */
const trainForReal: PretrainJob = async (config, options) => {
  const { pretrain } = await import("../train/pretrain.ts");
  return await pretrain(config, options);
};

/** `mae pretrain` */
export const pretrain: Command = pretrainCommand(trainForReal);

/** The command around a training job; `demos` says where the demo writes. */
export function pretrainCommand(train: PretrainJob, demos: DemoRuns = demoRuns): Command {
  return {
    name: "pretrain",
    summary: "train a masked autoencoder on a folder of images",
    flags,
    details,
    run: (args, terminal) => run(train, demos, args, terminal),
  };
}

function details(): string {
  const keys = configKeys().map((
    { key, description, default: fallback },
  ) => [key, `${description} (${fallback})`]);
  return `Configuration keys, for --set and the YAML file, with their defaults:\n${columnsOf(keys)}

Configurations that come with the program:
${columnsOf(shippedConfigs().map(({ path }) => [path]))}

Later ones win: defaults, configuration file, --set, other flags.
Without --config and --out each run of the demo gets a folder of its own: runs/demo, runs/demo-2, ...
Control-C saves a checkpoint and ends the run; --resume goes on to the same result.`;
}

async function run(
  train: PretrainJob,
  demos: DemoRuns,
  args: Arguments,
  terminal: Terminal,
): Promise<number> {
  const config = resolvePretrainConfig(await layersOf(args, demos));
  const yaml = toYaml(config).trimEnd();
  if (args.has("dry-run")) {
    terminal.print(yaml);
    return 0;
  }
  const quiet = args.has("quiet");
  if (!quiet) terminal.print(`${yaml}\n`);
  const progress = new Progress(terminal, quiet);
  const controller = new AbortController();
  let stoppedBy: StopSignal | undefined;
  using _listening = listenForStop((signal) => {
    stoppedBy = signal;
    controller.abort();
    terminal.printError("Stopping after a checkpoint; press Control-C again to quit at once");
  });
  const result = await train(config, {
    resume: args.has("resume"),
    tune: !args.has("no-tune"),
    signal: controller.signal,
    onEvent: (event) => progress.show(event),
  });
  progress.finish();
  terminal.print(summary(config, result));
  return result.interrupted && stoppedBy ? exitCodeOf(stoppedBy) : 0;
}

/** Configuration file, then `--set`, then flags. */
async function layersOf(args: Arguments, demos: DemoRuns): Promise<ConfigLayer[]> {
  const given = args.values("set").map(parseSet);
  for (const { name, key } of flags) {
    const value = args.value(name);
    if (key === undefined || value === undefined) continue;
    given.push({ origin: `--${name}`, values: nested(key, numeric.has(key) ? numberOr(value) : value) });
  }
  return [...await baseLayers(args, outOf(given), demos), ...given];
}

/** The number that the text is, or the text, which the check of the key then refuses. */
function numberOr(text: string): number | string {
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** What the last layer that says so gives as `run.out`, or undefined. */
function outOf(layers: readonly ConfigLayer[]): unknown {
  return layers.map(({ values }) => isMapping(values) && isMapping(values.run) ? values.run.out : undefined)
    .findLast((out) => out !== undefined);
}

/** The file of `--config`; the run's own stored configuration when it is resumed; else the demo in a folder of its own. */
async function baseLayers(args: Arguments, out: unknown, demos: DemoRuns): Promise<ConfigLayer[]> {
  const file = args.value("config");
  if (file !== undefined) return [await readConfigLayer(file)];
  const demo = await readConfigLayer(DEMO);
  if (!args.has("resume")) {
    return out === undefined ? [demo, outLayer(await demos.next(demoOut(demo)))] : [demo];
  }
  const folder = out ?? await demos.newest(demoOut(demo));
  if (typeof folder !== "string") return [demo];
  const stored = joinPath(folder, "config.yaml");
  if (await pathExists(stored)) return [await readConfigLayer(stored), outLayer(folder)];
  throw new InputError(
    `--resume finds no ${stored}; give the folder of a run with --out, or a --config to start one`,
  );
}

/** Where the demo's own file has it written. */
function demoOut(demo: ConfigLayer): string {
  return resolvePretrainConfig([demo]).run.out;
}

function outLayer(folder: string): ConfigLayer {
  return { origin: "the folder of the run", values: nested("run.out", folder) };
}

function summary({ run }: PretrainConfig, result: PretrainResult): string {
  const { steps, seconds, interrupted, figure, brokenFiles } = result;
  const files = [
    ["checkpoint", result.checkpoint],
    ["metrics", result.metrics],
    ["TensorBoard", result.events],
    ...(figure === null ? [] : [["figure", figure]]),
  ];
  const state = interrupted ? "Stopped" : "Done";
  const broken = brokenFiles === 0 ? "" : `, ${plural(brokenFiles, "broken file")} skipped`;
  return `${state} after ${plural(steps, "step")}, loss ${loss(result.loss)}, ${duration(seconds)}${broken}

${columnsOf(files)}

${interrupted ? nextWhenStopped(run.out) : nextWhenDone(result)}`;
}

function nextWhenStopped(out: string): string {
  return `Go on with\n  ${invocation(`pretrain --resume --out ${shellWord(out)}`)}`;
}

function nextWhenDone({ checkpoint, figure }: PretrainResult): string {
  const next = [
    ...(figure === null ? [] : [["look at the reconstructions", shellWord(figure)]]),
    ["see what the checkpoint holds", invocation(`inspect ${shellWord(checkpoint)}`)],
    [
      "train on images of your own",
      invocation("pretrain --config configs/pretrain/vit_base.yaml --data DIR --out DIR"),
    ],
  ];
  return `Next\n${columnsOf(next)}`;
}
