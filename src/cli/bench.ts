/** `mae bench` */

import project from "../../deno.json" with { type: "json" };
import type { BenchListener, BenchOptions, BenchPart } from "../bench/bench.ts";
import { type BenchConfig, benchConfigs, usualConfigurations } from "../bench/configurations.ts";
import type { DataReport } from "../bench/data_path.ts";
import type { BenchReport } from "../bench/report.ts";
import { didYouMean, InputError, messageOf } from "../util/errors.ts";
import { directoryOf, writeFileAtomic } from "../util/files.ts";
import { dataBenchForReal, dataOptions, dataTables, type RunDataBench } from "./bench_data.ts";
import { configTables, machineTable } from "./bench_tables.ts";
import type { Arguments, Command } from "./command.ts";
import type { Terminal } from "./terminal.ts";

/** The benchmark, as `src/bench/bench.ts` has it. */
export type RunBench = (options: BenchOptions, listener: BenchListener) => Promise<BenchReport>;

/** Loads the benchmark, and with it the GPU backend, only when the arguments are right. */
const benchForReal: RunBench = async (options, listener) => {
  const { runBench } = await import("../bench/bench.ts");
  return await runBench(options, listener);
};

/** `mae bench` */
export const bench: Command = benchCommand(benchForReal);

const parts: Readonly<Record<string, readonly BenchPart[]>> = {
  steps: ["steps"],
  finetune: ["finetune"],
  features: ["features"],
  kernels: ["kernels"],
  all: ["steps", "finetune", "features", "kernels"],
};

const precisions = ["f32", "f16"] as const;

/** The command around a benchmark. */
export function benchCommand(run: RunBench, runData: RunDataBench = dataBenchForReal): Command {
  return {
    name: "bench",
    summary: "measure steps of training and fine-tuning, features, single kernels and the data path",
    flags: [
      {
        name: "config",
        value: "LIST",
        help: `configurations or YAML files, with commas between; ${
          usualConfigurations.join(",")
        } by default`,
      },
      { name: "batch", value: "N", help: "images per step, in place of the configuration's" },
      {
        name: "precision",
        value: "LIST",
        help: "f32, f16 or both with a comma; f32 by default, or what the file says",
      },
      { name: "remat", help: "compute blocks again on the way back, instead of keeping what they make" },
      { name: "seconds", value: "S", help: "seconds of one measurement, about; 5 by default" },
      {
        name: "peers",
        help:
          "have rivals do the same, where they are: stock tfjs, PyTorch, jax-js (pre-training), Pillow and Python (data)",
      },
      {
        name: "no-tune",
        help: "run kernels by their default plans, without timing them on this device first",
      },
      {
        name: "data",
        value: "SOURCE",
        help: "for data: images to measure with; 500 x 375 made on the spot by default",
      },
      { name: "out", value: "FILE", help: "write everything found to this file, as JSON" },
      { name: "json", help: "print JSON instead of tables" },
    ],
    argument: {
      name: "PART",
      help: "steps (of pre-training), finetune, features, kernels, all (of these) or data; all by default",
      optional: true,
    },
    details: () =>
      `A fine-tuning step trains every block and a head of 1000 classes by the paper's recipe.
Configurations: tiny and mini (quick everywhere), vit_base and vit_large (minutes on a CPU), vit_huge (13 GB).
Progress goes to standard error. docs/performance.md explains every figure and every field of the JSON.`,
    run: (args, terminal) =>
      args.argument === "data" ? benchmarkData(runData, args, terminal) : benchmark(run, args, terminal),
  };
}

async function benchmarkData(run: RunDataBench, args: Arguments, terminal: Terminal): Promise<number> {
  const options = dataOptions(args, secondsOf(args.value("seconds") ?? "5"));
  const out = args.value("out");
  if (out !== undefined) await checkFolder(out);
  const report = await run(options, progressOn(terminal));
  if (terminal.interactive) terminal.showStatus("");
  if (!args.has("json")) terminal.print(dataTables(report));
  await giveReport(report, args, terminal);
  return 0;
}

/** Writes and prints what was found as JSON, as the flags say. */
async function giveReport(
  report: BenchReport | DataReport,
  args: Arguments,
  terminal: Terminal,
): Promise<void> {
  const json = JSON.stringify(report, null, 2);
  const out = args.value("out");
  if (out !== undefined) await writeFileAtomic(out, `${json}\n`);
  if (args.has("json")) terminal.print(json);
}

async function benchmark(run: RunBench, args: Arguments, terminal: Terminal): Promise<number> {
  const options = await readOptions(args);
  const out = args.value("out");
  if (out !== undefined) await checkFolder(out);
  const asJson = args.has("json");
  const print = (text: string) => {
    if (!asJson) terminal.print(text);
  };
  const report = await run(options, {
    onProgress: progressOn(terminal),
    onMachine: (machine) => print(machineTable(machine)),
    onConfig: (config) => print(`\n${configTables(config)}`),
  });
  if (terminal.interactive) terminal.showStatus("");
  await giveReport(report, args, terminal);
  return 0;
}

/** Shows what is being measured: as a line that comes and goes, or as a line of its own with the time so far. */
function progressOn(terminal: Terminal): (what: string, detail?: string) => void {
  const start = performance.now();
  let latest = "";
  return (what, detail) => {
    if (terminal.interactive) {
      const line = `Measuring ${what}${detail === undefined ? "" : `: ${detail}`}`;
      terminal.showStatus(line.slice(0, terminal.columns() - 1));
    } else if (what !== latest) {
      terminal.printError(`${Math.round((performance.now() - start) / 1000)} s: ${what}`);
    }
    latest = what;
  };
}

async function readOptions(args: Arguments): Promise<BenchOptions> {
  const part = oneOf("PART", [...Object.keys(parts), "data"], args.argument ?? "all");
  if (args.value("data") !== undefined) {
    throw new InputError("--data goes with bench data only; steps and kernels are measured on random pixels");
  }
  const [list, batch] = [args.value("precision"), args.value("batch")];
  const asked = list?.split(",").map((word) => oneOf("--precision", precisions, word.trim()));
  const images = batch === undefined ? undefined : batchOf(batch);
  const configs = await benchConfigs(args.value("config") ?? usualConfigurations.join(","));
  const variants = (config: BenchConfig): BenchConfig[] =>
    [...new Set(asked ?? [config.precision])].map((precision) => ({
      ...config,
      batch: images ?? config.batch,
      precision,
      remat: args.has("remat") || config.remat,
    }));
  return {
    parts: parts[part],
    configs: configs.flatMap(variants),
    peers: args.has("peers"),
    seconds: secondsOf(args.value("seconds") ?? "5"),
    tune: !args.has("no-tune"),
    version: project.version,
  };
}

/** The word, if it is one of those allowed. */
function oneOf<Word extends string>(what: string, allowed: readonly Word[], given: string): Word {
  const found = allowed.find((word) => word === given);
  if (found !== undefined) return found;
  const list = `${allowed.slice(0, -1).join(", ")} or ${allowed[allowed.length - 1]}`;
  throw new InputError(`${what} must be ${list}, not "${given}"${didYouMean(given, allowed)}`);
}

/** As many as `optim.batch_size` allows. */
function batchOf(text: string): number {
  const images = Number(text);
  if (/^\d+$/.test(text) && images >= 1 && images <= 1_000_000) return images;
  throw new InputError(`--batch must be a whole number from 1 to 1000000, not "${text}"`);
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (text.trim() !== "" && seconds > 0 && seconds <= 3600) return seconds;
  throw new InputError(`--seconds must be a number above 0 and up to 3600, not "${text}"`);
}

/** An hour's results must not be lost because there is nowhere to put them. */
async function checkFolder(path: string): Promise<void> {
  const folder = directoryOf(path);
  const info = await Deno.stat(folder).catch((error) => {
    throw new InputError(`--out ${path} cannot be written: ${messageOf(error)}`);
  });
  if (!info.isDirectory) throw new InputError(`--out ${path} cannot be written: ${folder} is no folder`);
}
