/** `mae linprobe` */

import type { LinprobeConfig } from "../config/finetune_types.ts";
import { linprobeKeys, linprobeYaml, resolveLinprobeConfig } from "../config/linprobe.ts";
import type { LinprobeOptions, LinprobeResult, PreparedLinprobe } from "../train/jobs/linprobe.ts";
import type { Arguments, Command, Flag } from "./command.ts";
import { invocation } from "./invocation.ts";
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
    help: "encoder to probe, of any kind (docs/checkpoints.md); one of random weights by default",
  },
  {
    name: "random-encoder",
    help: "probe an encoder of the sizes of --from with random weights, for comparison",
  },
  ...labelledFlags,
  partialFlag,
  ...runFlags,
];

/** The job, as `src/train/jobs/linprobe.ts` has it. */
export interface LinprobeJob {
  /** Resolves a configuration by the checkpoint that it probes. */
  readonly prepare: (
    layers: Parameters<typeof resolveLinprobeConfig>[0],
    options: { readonly random: boolean; readonly partial: boolean },
  ) => Promise<PreparedLinprobe>;
  /** Trains. */
  readonly train: (config: LinprobeConfig, options: LinprobeOptions) => Promise<LinprobeResult>;
}

/** Loads the job, and with it the GPU backend, only when there is something to train. */
const trainForReal: LinprobeJob = {
  prepare: async (layers, options) =>
    (await import("../train/jobs/linprobe.ts")).prepareLinprobe(layers, options),
  train: async (config, options) => (await import("../train/jobs/linprobe.ts")).linprobe(config, options),
};

/** `mae linprobe` */
export const linprobe: Command = linprobeCommand(trainForReal);

/** The command around a job. */
export function linprobeCommand(job: LinprobeJob): Command {
  return {
    name: "linprobe",
    summary: "measure an encoder by one linear layer trained on its features",
    flags,
    details,
    run: (args, terminal) => run(job, args, terminal),
  };
}

function details(): string {
  return `${configurationHelp(linprobeKeys(), "linprobe")}

Later ones win: defaults, sizes and statistics of the checkpoint, configuration file, --set, other flags.
With --set data.augment=none features are computed once, and an epoch takes a moment.
Control-C saves a checkpoint and ends the run; --resume --out DIR goes on to the same result.`;
}

async function run(job: LinprobeJob, args: Arguments, terminal: Terminal): Promise<number> {
  const { config, source } = await prepare(job, args);
  return await runJob(
    {
      yaml: linprobeYaml(config),
      train: (options) => job.train(config, { ...options, source }),
      summary: (result) =>
        classifierSummary("linprobe", config.run.out, result, [
          ["compare with random weights", invocation("linprobe ... --random-encoder --out DIR")],
        ]),
    },
    args,
    terminal,
  );
}

/** The configuration, and the encoder that it names where that has been read. */
async function prepare(
  job: LinprobeJob,
  args: Arguments,
): Promise<{ config: LinprobeConfig; source?: PreparedLinprobe["source"] }> {
  const { layers, resumed } = await jobLayers(args, givenLayers(args, flags), "linprobe");
  return resumed
    ? { config: resolveLinprobeConfig(layers) }
    : await job.prepare(layers, { random: args.has("random-encoder"), partial: args.has("partial") });
}
