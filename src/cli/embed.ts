/** `mae embed` */

import type { EmbedResult } from "../train/features/embed.ts";
import type { Arguments, Command, Flag } from "./command.ts";
import { plural } from "./format.ts";
import { fromFlag, frozenFlags, frozenOptions, required } from "./frozen.ts";
import { columnsOf, printable, type Terminal } from "./terminal.ts";

const dataFlag: Flag = {
  name: "data",
  value: "SOURCE",
  help: "folder of images, searched recursively, one image, a table, or shards",
};
const outFlag: Flag = {
  name: "out",
  value: "FILE",
  help: "where to write: NAME.safetensors or NAME.parquet",
};

/** `mae embed` */
export const embed: Command = {
  name: "embed",
  summary: "write the features of every image of a data set",
  flags: [
    fromFlag,
    dataFlag,
    outFlag,
    { name: "force", help: "replace a file that is there" },
    ...frozenFlags,
  ],
  details: () =>
    `A .safetensors file holds features [N, width], path_bytes and path_offsets [N + 1] (image i's path is bytes
offsets[i] to offsets[i + 1]), and labels [N] where the images lie in folders of classes. A .parquet file holds the
columns path, label and features. More in docs/features.md.`,
  run,
};

async function run(args: Arguments, terminal: Terminal): Promise<number> {
  const from = required(args, fromFlag, "embed");
  const [data, out] = [required(args, dataFlag, "embed"), required(args, outFlag, "embed")];
  const options = frozenOptions(args, terminal);
  const { embed } = await import("../train/features/embed.ts");
  const result = await embed({ from }, { ...options, data, out, force: args.has("force") });
  terminal.print(`\n${columnsOf(summary(result, out))}`);
  return 0;
}

function summary({ images, width, pooling, classes, brokenFiles }: EmbedResult, out: string): string[][] {
  const broken = brokenFiles === 0 ? "" : `, and ${plural(brokenFiles, "broken file")} left out`;
  return [
    ["written", printable(out)],
    ["images", `${images}${broken}`],
    ["features", `${width} values each, ${pooling === "average" ? "average of the patches" : "class token"}`],
    ...(classes ? [["labels", plural(classes.length, "class", "classes")]] : []),
  ];
}
