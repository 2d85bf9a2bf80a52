/** `mae pretrain` */

import type { ConfigLayer } from "../config/layers.ts";
import { configKeys, resolvePretrainConfig, toYaml } from "../config/pretrain.ts";
import { readConfigLayer } from "../config/shipped.ts";
import type { PretrainConfig } from "../config/types.ts";
import type { PretrainOptions, PretrainResult } from "../train/jobs/pretrain.ts";
import type { Arguments, Command, Flag } from "./command.ts";
import { type DemoRuns, demoRuns } from "./demo_runs.ts";
import { count, plural, storage } from "./format.ts";
import { invocation, shellWord } from "./invocation.ts";
import { columnsOf, type Terminal } from "./terminal.ts";
import {
  configurationHelp,
  endLine,
  givenLayers,
  nextWhenStopped,
  outLayer,
  outOf,
  resultFiles,
  runFlags,
  runJob,
  storedLayers,
  withAnyData,
} from "./training.ts";

const DEMO = "configs/pretrain/demo.yaml";

const flags: readonly Flag[] = [
  { name: "config", value: "FILE", help: `configuration to start from; ${DEMO} by default` },
  { name: "set", value: "KEY=VALUE", repeatable: true, help: "set one configuration key" },
  {
    name: "data",
    value: "SOURCE",
    key: "data.train",
    help:
      "folder of images, one image, a table of paths (.csv, .jsonl), or shards (.tar, .parquet, such as " +
      '"train-{000..146}.tar"), here or at http(s):// or s3://',
  },
  ...runFlags,
];

/** The training job, as `src/train/jobs/pretrain.ts` has it. */
export type PretrainJob = (config: PretrainConfig, options: PretrainOptions) => Promise<PretrainResult>;

/** Loads the training job, and with it the GPU backend, only when there is something to train. */
const trainForReal: PretrainJob = async (config, options) => {
  const { pretrain } = await import("../train/jobs/pretrain.ts");
  return await pretrain(config, options);
};

/** `mae pretrain` */
export const pretrain: Command = pretrainCommand(trainForReal);

/** The command around a training job; `demos` says where the demo writes. */
export function pretrainCommand(train: PretrainJob, demos: DemoRuns = demoRuns): Command {
  return {
    name: "pretrain",
    summary: "train a masked autoencoder on images",
    flags,
    details,
    run: (args, terminal) => run(train, demos, args, terminal),
  };
}

function details(): string {
  return `${configurationHelp(configKeys(), "pretrain")}

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
  return await runJob(
    {
      yaml: toYaml(config),
      notices: await fallsBackToDemo(args, config) ? [demoNotice] : [],
      facts: () => factsOf(config),
      train: (options) => train(config, options),
      summary: (result) => summary(config, result),
    },
    args,
    terminal,
  );
}

/** Configuration file, then `--set`, then flags. */
async function layersOf(args: Arguments, demos: DemoRuns): Promise<ConfigLayer[]> {
  const given = givenLayers(args, flags);
  return withAnyData(args, [...await baseLayers(args, outOf(given), demos), ...given]);
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
  return typeof folder === "string" ? await storedLayers(folder, "pretrain") : [demo];
}

const demoNotice = `Without --config all settings that are not given are those of ${DEMO}, a tiny model ` +
  `to see the method work; choose others with --config, such as --config vit_base ` +
  `("${invocation("pretrain --help")}" lists them)`;

/** Whether images of the user's own are trained on by the settings of the demo, which nobody asked for. */
async function fallsBackToDemo(args: Arguments, { data }: PretrainConfig): Promise<boolean> {
  if (args.has("config") || args.has("resume")) return false;
  return data.train !== resolvePretrainConfig([await readConfigLayer(DEMO)]).data.train;
}

/** What follows from the configuration whatever the images are. */
async function factsOf({ model, mask, optim, target }: PretrainConfig): Promise<string[][]> {
  const { countParameters } = await import("../models/mae.ts"); // loads the GPU backend
  const parameters = countParameters({ ...model, normalizeTarget: target.normalize });
  const [rows, columns] = model.imageSize.map((side, axis) => side / model.patchSize[axis]);
  const kept = Math.floor(rows * columns * (1 - mask.ratio));
  const batches = `${plural(optim.accumulate, "batch", "batches")} of ${optim.batchSize}`;
  return [
    ["model", `${count(parameters)} parameters`],
    ["patches", `${rows} x ${columns}, of which ${kept} of ${rows * columns} are kept`],
    ["step", `${plural(optim.batchSize * optim.accumulate, "image")}, ${batches}`],
    ["memory", `${storage(16 * parameters)} for parameters, gradients and moments; activations come on top`],
  ];
}

/** Where the demo's own file has it written. */
function demoOut(demo: ConfigLayer): string {
  return resolvePretrainConfig([demo]).run.out;
}

function summary({ run }: PretrainConfig, result: PretrainResult): string {
  return `${endLine(result)}

${resultFiles(result)}

${result.interrupted ? nextWhenStopped("pretrain", run.out) : nextWhenDone(result)}`;
}

function nextWhenDone({ checkpoint, figure }: PretrainResult): string {
  const next = [
    ...(figure === null ? [] : [["look at the reconstructions", shellWord(figure)]]),
    ["see what the checkpoint holds", invocation(`inspect ${shellWord(checkpoint)}`)],
    [
      "train a classifier from it",
      invocation(`finetune --from ${shellWord(checkpoint)} --data SOURCE --out DIR`),
    ],
    [
      "train on images of your own",
      invocation("pretrain --config configs/pretrain/vit_base.yaml --data SOURCE --out DIR"),
    ],
  ];
  return `Next\n${columnsOf(next)}`;
}
