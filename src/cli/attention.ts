/** `mae attention` */

import type { AttentionResult } from "../train/pictures/attention.ts";
import type { LayerStatistics } from "../train/pictures/layer_statistics.ts";
import { InputError } from "../util/errors.ts";
import type { Arguments, Command, Flag } from "./command.ts";
import { plural } from "./format.ts";
import { fromFlag, frozenFlags, frozenOptions, numberOf, required } from "./frozen.ts";
import { listAll } from "./images.ts";
import { columnsOf, printable, type Terminal } from "./terminal.ts";
import { countOf } from "./values.ts";

const outFlag: Flag = {
  name: "out",
  value: "DIR",
  help: "folder for the figures and statistics.json; required",
};

/** Flags of the commands that use an encoder as it is which have a meaning here. */
const shared = ["heads", "partial", "image-size", "backend", "quiet"];

/** `mae attention` */
export const attention: Command = {
  name: "attention",
  summary: "show where an encoder's class token looks, and how its tokens fare over depth",
  argument: { name: "IMAGE", help: "an image file or a folder of images", repeatable: true },
  flags: [
    fromFlag,
    outFlag,
    { name: "force", help: "write into a folder that is not empty" },
    {
      name: "block",
      value: "K",
      help: "the block whose maps are drawn, from 1, or all; the last by default",
    },
    { name: "count", value: "N", help: "most images, taken from all over those given; 16 by default" },
    {
      name: "mass",
      value: "SHARE",
      help: "colour only the patches that hold this share of a map's weight, such as 0.6",
    },
    ...frozenFlags.filter(({ name }) => shared.includes(name)),
  ],
  details: () =>
    `Writes attention.png (with --block all a figure for each image), statistics.png and statistics.json. The table has
means over the images. How to read them, and what a collapse looks like: docs/attention.md.`,
  run,
};

async function run(args: Arguments, terminal: Terminal): Promise<number> {
  const from = required(args, fromFlag, "attention");
  const out = required(args, outFlag, "attention");
  const mass = numberOf(args, "mass", (share) => share > 0 && share <= 1, "a share above 0, at most 1");
  const what = { block: blockOf(args), count: countOf(args, "count"), mass, force: args.has("force") };
  const options = frozenOptions(args, terminal);
  const images = await listAll(args.all);
  const { inspectAttention } = await import("../train/pictures/attention.ts");
  const result = await inspectAttention({ from }, images, { ...options, ...what, out });
  terminal.print(`\n${report(result)}`);
  return result.broken.length > 0 ? 1 : 0;
}

function blockOf(args: Arguments): number | "all" | undefined {
  const text = args.value("block");
  if (text === undefined || text === "all") return text;
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new InputError(`--block must be the number of a block from 1, or all, not "${text}"`);
}

/** The table of layers, and the files. */
function report({ layers, images, broken, patches, width, files }: AttentionResult): string {
  const left = broken.length === 0 ? "" : `, and ${plural(broken.length, "broken file")} left out`;
  const facts = [
    ["images", `${images.length}${left}`],
    ["patches", `${patches} of an image; an effective rank of ${Math.min(patches, width)} at most`],
    ["entropy", `${Math.log(1 + patches).toFixed(2)} nats at most`],
  ];
  const table = [header, ...layers.map(rowOf)];
  const widths = header.map((_, column) => Math.max(...table.map((row) => row[column].length)));
  const right = table.map((row) => row.map((cell, column) => cell.padStart(widths[column])));
  return `${columnsOf(facts)}\n\n${columnsOf(right)}\n\n${
    columnsOf(files.map((file) => ["written", printable(file)]))
  }`;
}

const header = [
  "block",
  "rank",
  "cosine",
  "to class",
  "norm",
  "class norm",
  "distance px",
  "entropy",
  "class entropy",
  "class self",
];

function rowOf(layer: LayerStatistics): string[] {
  const { block, effectiveRank, patchCosine, classCosine, patchNorm, classNorm, attention } = layer;
  return [
    block === 0 ? "embedding" : String(block),
    number(effectiveRank, 1),
    number(patchCosine, 3),
    number(classCosine, 3),
    number(patchNorm, 2),
    number(classNorm, 2),
    ...(attention
      ? [
        spreadOf(attention.distance, 1),
        spreadOf(attention.entropy, 2),
        spreadOf(attention.classEntropy, 2),
        spreadOf(attention.classSelf, 2),
      ]
      : ["-", "-", "-", "-"]),
  ];
}

function number(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : "-";
}

/** The least and the largest of a block's heads. */
function spreadOf(heads: readonly number[], digits: number): string {
  const [low, high] = [Math.min(...heads), Math.max(...heads)].map((value) => number(value, digits));
  return low === high ? low : `${low}-${high}`;
}
