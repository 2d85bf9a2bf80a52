/** `mae finetune` */

import { finetuneKeys, finetuneYaml, resolveFinetuneConfig } from "../config/finetune.ts";
import type { FinetuneConfig } from "../config/finetune_types.ts";
import type { FinetuneOptions, FinetuneResult, PreparedFinetuning } from "../train/jobs/finetune.ts";
import type { Arguments, Command, Flag } from "./command.ts";
import type { Terminal } from "./terminal.ts";
import {
  classifierSummary,
  configurationHelp,
  givenLayers,
  jobLayers,
  labelledFlags,
  partialFlag,
  runFlags,
  runJob,
} from "./training.ts";

const flags: readonly Flag[] = [
  { name: "config", value: "FILE", help: "configuration to start from; the paper's recipe by default" },
  { name: "set", value: "KEY=VALUE", repeatable: true, help: "set one configuration key" },
  {
    name: "from",
    value: "CHECKPOINT",
    key: "from",
    help: "encoder to start from, of any kind (docs/checkpoints.md); from scratch by default",
  },
  ...labelledFlags,
  {
    name: "train-blocks",
    value: "K",
    key: "model.train_blocks",
    help: "train only the last K blocks: 0, 0.5 (the MLP half of the last), 1, 2, ...",
  },
  partialFlag,
  ...runFlags,
];

/** The training job, as `src/train/jobs/finetune.ts` has it. */
export interface FinetuneJob {
  /** Resolves a configuration by the checkpoint that it starts from. */
  readonly prepare: (
    layers: Parameters<typeof resolveFinetuneConfig>[0],
    options: { readonly partial: boolean },
  ) => Promise<PreparedFinetuning>;
  /** Trains. */
  readonly train: (config: FinetuneConfig, options: FinetuneOptions) => Promise<FinetuneResult>;
}

/** Loads the training job, and with it the GPU backend, only when there is something to train. */
const trainForReal: FinetuneJob = {
  prepare: async (layers, options) =>
    (await import("../train/jobs/finetune.ts")).prepareFinetuning(layers, options),
  train: async (config, options) => (await import("../train/jobs/finetune.ts")).finetune(config, options),
};

/** `mae finetune` */
export const finetune: Command = finetuneCommand(trainForReal);

/** The command around a training job. */
export function finetuneCommand(job: FinetuneJob): Command {
  return {
    name: "finetune",
    summary: "train a classifier from a pre-trained encoder, whole or in part, or from scratch",
    flags,
    details,
    run: (args, terminal) => run(job, args, terminal),
  };
}

function details(): string {
  return `${configurationHelp(finetuneKeys(), "finetune")}

Later ones win: defaults, sizes and statistics of the checkpoint, configuration file, --set, other flags.
Control-C saves a checkpoint and ends the run; --resume --out DIR goes on to the same result.`;
}

async function run(job: FinetuneJob, args: Arguments, terminal: Terminal): Promise<number> {
  const { config, source } = await prepare(job, args);
  return await runJob(
    {
      yaml: finetuneYaml(config),
      train: (options) => job.train(config, { ...options, source }),
      summary: (result) => classifierSummary("finetune", config.run.out, result),
    },
    args,
    terminal,
  );
}

/** The configuration, and the encoder that it names where that has been read. */
async function prepare(
  job: FinetuneJob,
  args: Arguments,
): Promise<{ config: FinetuneConfig; source?: PreparedFinetuning["source"] }> {
  const { layers, resumed } = await jobLayers(args, givenLayers(args, flags), "finetune");
  return resumed
    ? { config: resolveFinetuneConfig(layers) }
    : await job.prepare(layers, { partial: args.has("partial") });
}
