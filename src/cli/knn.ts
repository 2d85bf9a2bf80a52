/** `mae knn` */

import { nested } from "../config/layers.ts";
import { resolvePretrainConfig } from "../config/pretrain.ts";
import { readConfigLayer } from "../config/shipped.ts";
import type { WhichEncoder } from "../train/features/frozen.ts";
import type { NeighboursResult } from "../train/features/neighbours.ts";
import { InputError, messageOf, RunError } from "../util/errors.ts";
import { writeFileAtomic } from "../util/files.ts";
import type { Arguments, Command, Flag } from "./command.ts";
import { accuracy, plural } from "./format.ts";
import { fromFlag, frozenFlags, frozenOptions, numberOf, required } from "./frozen.ts";
import { columnsOf, type Terminal } from "./terminal.ts";

const dataFlag: Flag = {
  name: "data",
  value: "SOURCE",
  help:
    "labelled images: train/ and val/ (or test/) with a folder per class in each, a table (.csv, .jsonl), or shards",
};

/** `mae knn` */
export const knn: Command = {
  name: "knn",
  summary: "measure an encoder by nearest neighbours, without training",
  flags: [
    fromFlag,
    {
      name: "config",
      value: "FILE",
      help:
        "in place of --from: the encoder that pre-training by this configuration begins with, for comparison",
    },
    dataFlag,
    {
      name: "val",
      value: "SOURCE",
      help: "images to classify, where --data does not hold them: a folder per class, or a table",
    },
    {
      name: "split",
      value: "SHARE",
      help: "share of each class's images to classify, where there is no folder for it: 0.1",
    },
    {
      name: "k",
      value: "N",
      repeatable: true,
      help: "neighbours that vote; 20 by default, several may be given",
    },
    {
      name: "temperature",
      value: "T",
      help: "a neighbour of similarity s votes with exp(s / T); 0.07 by default",
    },
    { name: "seed", value: "N", help: "seed of the split, and of the weights of --config; 0 by default" },
    { name: "json", value: "FILE", help: "write the figures as JSON" },
    ...frozenFlags,
  ],
  details: () =>
    `The features of training images are the memory; each validation image takes the class that its nearest neighbours
vote for (Wu et al. 2018, cosine similarity). More in docs/features.md.`,
  run,
};

async function run(args: Arguments, terminal: Terminal): Promise<number> {
  const data = required(args, dataFlag, "knn");
  const seed = numberOf(args, "seed", isCount(0), "a whole number from 0");
  const options = {
    ...frozenOptions(args, terminal),
    data,
    validation: args.value("val"),
    split: numberOf(args, "split", (share) => share > 0 && share < 1, "a share between 0 and 1, such as 0.1"),
    seed,
    ks: neighboursOf(args),
    temperature: numberOf(args, "temperature", (value) => value > 0, "a number above 0"),
  };
  const which = await encoderOf(args, data, seed);
  const { evaluateNeighbours } = await import("../train/features/neighbours.ts");
  const result = await evaluateNeighbours(which, options);
  terminal.print(`\n${report(result)}`);
  await writeJson(args.value("json"), { data, ...result });
  return 0;
}

function isCount(least: number): (value: number) => boolean {
  return (value) => Number.isSafeInteger(value) && value >= least;
}

/** The numbers of neighbours, each once, in rising order. */
function neighboursOf(args: Arguments): number[] | undefined {
  const ks = args.values("k").map((text) => {
    const k = Number(text);
    if (text.trim() !== "" && isCount(1)(k)) return k;
    throw new InputError(`--k must be a whole number from 1, not "${text}"`);
  });
  return ks.length === 0 ? undefined : [...new Set(ks)].sort((a, b) => a - b);
}

async function encoderOf(args: Arguments, data: string, seed: number | undefined): Promise<WhichEncoder> {
  const file = args.value("config");
  if (file === undefined) return { from: required(args, fromFlag, "knn") };
  if (args.has("from")) {
    throw new InputError("Give --from or --config, not both: one encoder is measured at a time");
  }
  return {
    random: resolvePretrainConfig([
      { origin: "--data", values: nested("data.train", data) }, // a configuration may leave open which images it is for
      await readConfigLayer(file),
      ...(seed === undefined ? [] : [{ origin: "--seed", values: nested("run.seed", seed) }]),
    ]),
  };
}

function report({ accuracies, trainImages, images, width, pooling, brokenFiles }: NeighboursResult): string {
  const broken = brokenFiles === 0 ? "" : `; ${plural(brokenFiles, "broken file")} left out`;
  const hasFive = accuracies.some(({ top5 }) => top5 !== null);
  const facts = [
    ["images", `${images} classified by ${trainImages}${broken}`],
    ["features", `${width} values each, ${pooling === "average" ? "average of the patches" : "class token"}`],
  ];
  const rows = accuracies.map(({ k, top1, top5 }) => [
    String(k),
    accuracy(top1),
    ...(top5 === null ? [] : [accuracy(top5)]),
  ]);
  return `${columnsOf(facts)}\n\n${columnsOf([["k", "top-1", ...(hasFive ? ["top-5"] : [])], ...rows])}`;
}

async function writeJson(path: string | undefined, figures: object): Promise<void> {
  if (path === undefined) return;
  try {
    await writeFileAtomic(path, `${JSON.stringify(figures, null, 2)}\n`);
  } catch (error) {
    throw new RunError(`${path} could not be written (${messageOf(error)}); choose another place`);
  }
}
