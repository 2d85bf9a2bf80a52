/** `mae stats` */

import type { DataStatistics, StatisticsOptions } from "../check/statistics.ts";
import { InputError } from "../util/errors.ts";
import { refuseExisting } from "../util/files.ts";
import type { Arguments, Command } from "./command.ts";
import { plural } from "./format.ts";
import { Progress } from "./progress.ts";
import { columnsOf, type Terminal } from "./terminal.ts";
import { countOf } from "./values.ts";

/** Broken images that are named; the others are only counted. */
const NAMED = 20;
/** Sizes that are named. */
const SIZES = 3;

/** `mae stats` */
export const stats: Command = {
  name: "stats",
  summary: "measure mean and deviation of a data set's channels",
  argument: {
    name: "SOURCE",
    help: "a folder of images, searched recursively, one image, a table of paths, or shards",
  },
  flags: [
    {
      name: "channels",
      value: "N",
      help: "channels of the model; 3, or as many as the files have bands, by default",
    },
    { name: "bands", value: "LIST", help: "bands that make the channels, counted from 1, such as 4,3,2" },
    { name: "range", value: "LOW,HIGH", help: "values of the files that count as 0 and 1" },
    { name: "sample", value: "K", help: "look at K images, spread evenly over the data set" },
    { name: "out", value: "FILE", help: "write the lines for a configuration to a file too" },
    { name: "force", help: "replace a file that is there" },
    { name: "workers", value: "N", help: "threads that decode; one per core, at most 8, by default" },
    { name: "quiet", help: "print only warnings and results" },
  ],
  details: () =>
    `All pixels of all images count alike, at full size and depth, in the unit of data.mean and data.std: the largest value of
an integer's type counts as 1, floats are as they are, --range says otherwise. The result ends with lines to paste into a
configuration, which also hold --bands, --range and, for more than 8 bits, data.values. More in docs/data.md.`,
  run,
};

async function run(args: Arguments, terminal: Terminal): Promise<number> {
  const [path = ""] = args.all;
  const options = optionsOf(args);
  const out = args.value("out");
  if (out !== undefined) await refuseExisting("--out", out, args.has("force"));
  const { openSource } = await import("../sources/open_source.ts");
  const { measureImages } = await import("../check/statistics.ts");
  const source = await openSource(path);
  const progress = new Progress(terminal, args.has("quiet"));
  let named = 0;
  const result = await measureImages(source, {
    ...options,
    onProgress: (share) => progress.show({ kind: "progress", what: "measured", share }),
    onBroken: ({ path, reason }) => {
      if (named++ < NAMED) progress.show({ kind: "warning", message: `${path} is left out: ${reason}` });
      if (named === NAMED + 1) progress.show({ kind: "warning", message: "Further ones are only counted" });
    },
  });
  for (const message of doubts(result)) progress.show({ kind: "warning", message });
  const yaml = await yamlOf(result, options);
  terminal.print(`\n${columnsOf(summary(result))}\n\n${yaml}`);
  if (out !== undefined) await writeText(out, `${yaml}\n`);
  return 0;
}

function optionsOf(args: Arguments): StatisticsOptions {
  const bands = listOf(args, "bands");
  const range = listOf(args, "range");
  const channels = countOf(args, "channels");
  if (bands?.some((band) => !Number.isInteger(band) || band < 1)) {
    throw new InputError(`--bands must be whole numbers from 1, such as 4,3,2, not "${args.value("bands")}"`);
  }
  if (bands && channels !== undefined && channels !== bands.length) {
    throw new InputError(`--bands names ${plural(bands.length, "band")}, and --channels says ${channels}`);
  }
  const [low, high] = range ?? [];
  if (range && (range.length !== 2 || low >= high)) {
    throw new InputError(
      `--range must be two numbers, the lower first, such as 0,4095, not "${args.value("range")}"`,
    );
  }
  return {
    channels,
    bands: bands ?? null,
    range: range ? [low, high] : null,
    sample: countOf(args, "sample"),
    workers: countOf(args, "workers") ?? "auto",
  };
}

/** Numbers between commas, in brackets or not. */
function listOf(args: Arguments, flag: string): number[] | undefined {
  const text = args.value(flag);
  if (text === undefined) return undefined;
  const parts = text.replace(/^\[(.*)\]$/, "$1").split(",").map((part) => part.trim());
  const numbers = parts.map((part) => part === "" ? NaN : Number(part));
  if (numbers.every(Number.isFinite)) return numbers;
  throw new InputError(`--${flag} must be numbers between commas, not "${text}"`);
}

function summary({ images, broken, sizes, depths, mean, std, least, largest }: DataStatistics): string[][] {
  const [first] = sizes;
  const more = sizes.length > SIZES ? `, and ${plural(sizes.length - SIZES, "other")}` : "";
  const listed = sizes.slice(0, SIZES).map(([size, count]) => `${size} (${count})`).join(", ");
  return [
    ["images", `${images}${broken === 0 ? "" : `, and ${plural(broken, "broken one")} left out`}`],
    ["sizes", sizes.length === 1 ? first[0] : `${listed}${more}`],
    [
      "depth",
      depths.map(([bits, count]) => depths.length === 1 ? depthWords(bits) : `${depthWords(bits)} (${count})`)
        .join(", "),
    ],
    ...mean.map((value, c) => [
      `channel ${c + 1}`,
      `mean ${digits(value)}, deviation ${digits(std[c])}, from ${digits(least[c])} to ${digits(largest[c])}`,
    ]),
  ];
}

function depthWords(bits: number): string {
  return bits === 32 ? "floats or large integers" : `${bits} bits`;
}

/** Six significant digits, as many as anybody needs of a statistic. */
function digits(value: number): string {
  return String(Number(value.toPrecision(6)));
}

/** What makes a result useless. */
function doubts({ std, images, broken }: DataStatistics): string[] {
  const constant = std.flatMap((value, c) => value === 0 ? [c + 1] : []);
  return [
    ...constant.map((channel) =>
      `Channel ${channel} has the same value everywhere; its deviation is written as 1`
    ),
    ...(broken > images ? ["Most of the images cannot be read"] : []),
  ];
}

/** The keys of a configuration. */
async function yamlOf(
  { mean, std, depths }: DataStatistics,
  { bands, range }: StatisticsOptions,
): Promise<string> {
  const { stringifyYaml } = await import("../deps/std.ts");
  const rounded = (values: readonly number[]) => values.map((value) => Number(digits(value)));
  const data = {
    ...(depths.some(([bits]) => bits > 8) && { values: "float32" }),
    ...(bands && { bands }),
    ...(range && { range }),
    mean: rounded(mean),
    std: rounded(std).map((value) => value || 1), // of a constant channel, whose normalised values are 0
  };
  const model = mean.length !== 3 && { model: { channels: mean.length } };
  return stringifyYaml({ ...model, data }, { flowLevel: 2, lineWidth: -1 }).trimEnd();
}

async function writeText(path: string, text: string): Promise<void> {
  const { replaceFile } = await import("../formats/output_file.ts");
  await replaceFile(path, (write) => write(new TextEncoder().encode(text)));
}
