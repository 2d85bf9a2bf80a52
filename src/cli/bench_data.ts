/** `mae bench data` */
import project from "../../deno.json" with { type: "json" };
import type { DataBenchOptions, DataProgress, DataReport } from "../bench/data_path.ts";
import type { StageRate } from "../bench/image_stages.ts";
import type { ShardStage } from "../bench/shard_reading.ts";
import { InputError } from "../util/errors.ts";
import type { Arguments } from "./command.ts";
import { plural, rate } from "./format.ts";
import { columnsOf, printable } from "./terminal.ts";

/** The benchmark, as `src/bench/data_path.ts` has it. */
export type RunDataBench = (options: DataBenchOptions, onProgress: DataProgress) => Promise<DataReport>;

/** Loads the benchmark only when the arguments are right. */
export async function dataBenchForReal(
  options: DataBenchOptions,
  onProgress: DataProgress,
): Promise<DataReport> {
  const { runDataBench } = await import("../bench/data_path.ts");
  return await runDataBench(options, onProgress);
}

/** Flags that say something of configurations. */
const ofConfigurations = ["config", "batch", "precision", "remat", "no-tune"] as const;

/** What to measure; throws `InputError` where a flag says nothing of data. */
export function dataOptions(args: Arguments, seconds: number): DataBenchOptions {
  const stray = ofConfigurations.find((name) => args.has(name) || args.value(name) !== undefined);
  if (stray !== undefined) {
    throw new InputError(
      `--${stray} is of no use to bench data, which measures images and no model; leave it out`,
    );
  }
  return { source: args.value("data"), seconds, peers: args.has("peers"), version: project.version };
}

/** What was found, as tables for people. */
export function dataTables(report: DataReport): string {
  const tables = [dataTitle, readingTable, shardTable, stageTable, loaderTable];
  return tables.map((table) => table(report)).join("\n\n");
}

function dataTitle({ data: { name, images, fileBytes }, machine }: DataReport): string {
  const { mae, deno, system, cores } = machine;
  return `Data path of ${printable(name)}\n${
    columnsOf([
      ["program", `mae ${mae}, Deno ${deno}, ${system}, ${plural(cores, "logical core")}`],
      ["images", `${plural(images, "file")}, ${rate(fileBytes / 1000)} kB each`],
    ])
  }`;
}

function readingTable({ reading: { images, bytesPerSecond, fastest } }: DataReport): string {
  const found = [`${rate(bytesPerSecond / 1e9)} GB/s`, `at best ${rate(fastest / 1e9)}`];
  return `Reading the data set, one thread, from the system's cache\n${
    columnsOf([[plural(images, "image"), ...found]])
  }`;
}

const shardWords: Readonly<Record<ShardStage, string>> = {
  tar: "tar, front to back",
  "tar samples": "tar, images in random order",
  "parquet plain": "Parquet, plain",
  "parquet snappy": "Parquet, Snappy",
};

function shardTable({ shards: { rates, notes } }: DataReport): string {
  const rows = rates.filter(({ by }) => by === "ours").map((our) => [
    shardWords[our.stage],
    `${rate(our.bytesPerSecond / 1e9)} GB/s`,
    `at best ${rate(our.fastest / 1e9)}`,
    ...rates.filter(({ by, stage }) => by !== "ours" && stage === our.stage).map(({ by, bytesPerSecond }) =>
      `${printable(by)} ${rate(bytesPerSecond / 1e9)} (${rate(our.bytesPerSecond / bytesPerSecond)} times)`
    ),
  ]);
  return `Reading shards of 110 kB images, one thread, from the system's cache${
    besides(notes.length > 0 ? notes.join("; ") : null)
  }\n${columnsOf(rows)}`;
}

const stageWords: Readonly<Record<StageRate["stage"], string>> = {
  decode: "decode",
  crop: "decode, random crop and resize to 224",
  resize: "crop and resize alone",
};

function stageTable({ stages, pillow }: DataReport): string {
  const rivals = { libjpeg: "libjpeg by WebAssembly", pillow: "Pillow" } as const;
  const rows = stages.filter(({ by }) => by === "ours").map((our) => [
    stageWords[our.stage],
    `${rate(our.imagesPerSecond)} images/s`,
    `at best ${rate(our.fastest)}`,
    ...(["libjpeg", "pillow"] as const).flatMap((by) => {
      const row = stages.find((other) => other.by === by && other.stage === our.stage);
      return row
        ? [
          `${rivals[by]} ${rate(row.imagesPerSecond)} (${
            rate(our.imagesPerSecond / row.imagesPerSecond)
          } times)`,
        ]
        : [];
    }),
  ]);
  const bits = pillow?.sameBits === null || pillow === null
    ? ""
    : `; the same bits: ${pillow.sameBits ? "yes" : "NO"}`;
  return `Images, one worker${besides(pillow && `${pillow.note}${bits}`)}\n${columnsOf(rows)}`;
}

function besides(note: string | null): string {
  return note === null ? "" : ` (${printable(note)})`;
}

const bottleneckWords: Readonly<Record<DataReport["bottleneck"]["stage"], string>> = {
  workers: "decoding and resizing in the workers: more workers help while there are cores for them",
  reading: "reading: larger files, shards or a faster disk help",
  "handing over": "what lies between the stages; other programs on this machine count as such",
};

function loaderTable({ loader, bottleneck: { stage, allows, reached } }: DataReport): string {
  const rows = loader.map(({ workers, imagesPerSecond }) => [
    plural(workers, "worker"),
    `${rate(imagesPerSecond)} images/s`,
    `${rate(imagesPerSecond / loader[0].imagesPerSecond)} times ${plural(loader[0].workers, "worker")}`,
  ]);
  const share = `${Math.round(100 * reached)} % of the ${
    rate(allows)
  } images/s that the tightest stage allows`;
  return `Loader, batches of 32\n${columnsOf(rows)}\nBottleneck: ${bottleneckWords[stage]} (${share})`;
}
