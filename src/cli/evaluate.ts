/** `mae evaluate` */

import { dataSource } from "../config/kinds.ts";
import { isMapping } from "../config/layers.ts";
import type { DataSource } from "../config/types.ts";
import type { ManifestColumns } from "../sources/manifest_columns.ts";
import { encodePng } from "../formats/png.ts";
import { type ClassRow, classTable } from "../report/class_table.ts";
import { drawConfusion } from "../report/confusion.ts";
import { InputError, messageOf, RunError } from "../util/errors.ts";
import { baseName, directoryOf, joinPath, pathExists, writeFileAtomic } from "../util/files.ts";
import type { Evaluation } from "../train/evaluate/evaluate.ts";
import type { StoredClassifier } from "../train/evaluate/trained_classifier.ts";
import type { Arguments, Command } from "./command.ts";
import { accuracy, loss, plural } from "./format.ts";
import { headsAdvice, headsFlag } from "./frozen.ts";
import { backendOf, countOf, splitOf } from "./values.ts";
import { columnsOf, printable, type Terminal } from "./terminal.ts";

/** Classes whose rows are printed; of more only the worst. */
const MOST_ROWS = 100;
/** How many these are. */
const WORST_ROWS = 20;

/** `mae evaluate` */
export const evaluate: Command = {
  name: "evaluate",
  summary: "measure a classifier on labelled images",
  argument: {
    name: "CHECKPOINT",
    help: "a run of mae finetune, of which the best checkpoint is taken, or a classifier of any kind",
  },
  flags: [
    {
      name: "data",
      value: "SOURCE",
      help: "labelled images, a table of them, or shards; those that the run validated with by default",
    },
    {
      name: "split",
      value: "WHICH",
      help:
        "a folder in SOURCE, or the share that the run split off, 0.1; val/, test/ or SOURCE itself by default",
    },
    { name: "json", value: "FILE", help: "write all figures, the confusion matrix included, as JSON" },
    { name: "out", value: "DIR", help: "write confusion.png and evaluation.json into this folder" },
    headsFlag,
    { name: "batch-size", value: "N", help: "images computed at once; 64 by default" },
    { name: "backend", value: "NAME", help: "auto, webgpu or cpu" },
  ],
  run,
};

async function run(args: Arguments, terminal: Terminal): Promise<number> {
  const batchSize = countOf(args, "batch-size") ?? 64;
  const backend = backendOf(args);
  const split = splitOf(args);
  const { readClassifier, TrainedClassifier } = await import("../train/evaluate/trained_classifier.ts");
  const { listEvaluationImages } = await import("../train/evaluate/evaluation_images.ts");
  const { openRuntime } = await import("../gpu/runtime.ts");
  const stored = await readClassifier(args.argument ?? "", {
    heads: countOf(args, "heads"),
    headsFlag: headsAdvice,
  });
  const own = await dataOfRun(stored);
  const root = args.value("data") ?? own.root;
  if (root === null) {
    throw new InputError("The checkpoint names no images of its own; give some with --data SOURCE");
  }
  const ownSplit = args.value("data") === undefined ? own.split : undefined;
  const source = await listEvaluationImages(root, {
    classes: stored.classifier.classes,
    numbered: stored.numbered,
    split: split ?? ownSplit,
    seed: own.seed,
    columns: own.columns,
  });
  const { classes } = source;

  terminal.print(
    `${printable(stored.description)}\n${plural(source.length, "image")} under ${printable(source.root)}`,
  );
  for (const note of stored.notes ?? []) terminal.print(note);
  await openRuntime({ backend });
  const classifier = TrainedClassifier.open(stored);
  const evaluation = await classifier.evaluate(source, {
    batchSize,
    workers: "auto",
    onBroken: ({ path, reason }) => terminal.printError(`Skipping ${printable(path)}: ${reason}`),
  });
  classifier.dispose();
  const rows = classTable(evaluation.confusion, classes);
  terminal.print(report(evaluation, rows));
  await writeResults(args, { stored, root: source.root, evaluation, rows }, terminal);
  return 0;
}

/** Which images a run was validated with. */
interface RunData {
  readonly root: DataSource | null;
  readonly split: number | undefined;
  readonly seed: number;
  readonly columns: ManifestColumns;
}

/** The images that the run was validated with, as far as the checkpoint says. */
async function dataOfRun(
  { path }: StoredClassifier,
): Promise<RunData> {
  const { readTrainState } = await import("../train/checkpoint/checkpoint.ts");
  const isRun = await pathExists(joinPath(directoryOf(path), "state.json"));
  const config = isRun ? (await readTrainState(directoryOf(path))).config : {};
  const data = isMapping(config.data) ? config.data : {};
  const seed = isMapping(config.run) ? config.run.seed : undefined;
  const { parse } = dataSource("");
  const column = (name: unknown) => typeof name === "string" ? name : null;
  return {
    root: parse(data.val) ?? parse(data.train) ?? null,
    split: typeof data.split === "number" ? data.split : undefined,
    seed: typeof seed === "number" ? seed : 0,
    columns: { path: column(data.path_column), label: column(data.label_column) },
  };
}

/** What is printed: the figures of all images, then those of each class. */
function report(evaluation: Evaluation, rows: readonly ClassRow[]): string {
  const { images, top1, top5, loss: value, broken } = evaluation;
  const figures = [
    ["images", `${images}${broken.length > 0 ? `, and ${plural(broken.length, "broken file")}` : ""}`],
    ["top-1", accuracy(top1)],
    ...(top5 === null ? [] : [["top-5", accuracy(top5)]]),
    ["loss", loss(value)],
  ];
  const shown = rows.length <= MOST_ROWS
    ? rows
    : rows.toSorted((a, b) => (a.recall ?? 2) - (b.recall ?? 2)).slice(0, WORST_ROWS);
  const title = shown.length < rows.length ? `The ${WORST_ROWS} worst of ${rows.length} classes\n` : "";
  const share = (value: number | null) => value === null ? "-" : accuracy(value);
  const table = shown.map(({ name, images, recall, precision, confusion }) => [
    printable(name),
    String(images),
    share(recall),
    share(precision),
    confusion === null ? "-" : `${printable(confusion.name)} (${confusion.images})`,
  ]);
  return `\n${columnsOf(figures)}\n\n${title}${
    columnsOf([["class", "images", "recall", "precision", "most often mistaken for"], ...table])
  }`;
}

/** What the files are about. */
interface Results {
  readonly stored: StoredClassifier;
  readonly root: string;
  readonly evaluation: Evaluation;
  readonly rows: readonly ClassRow[];
}

async function writeResults(args: Arguments, results: Results, terminal: Terminal): Promise<void> {
  const [file, folder] = [args.value("json"), args.value("out")];
  const written: string[][] = [];
  const write = async (name: string, path: string, content: Uint8Array | string) => {
    try {
      await Deno.mkdir(directoryOf(path), { recursive: true });
      await writeFileAtomic(path, content);
    } catch (error) {
      throw new RunError(`${path} could not be written (${messageOf(error)}); choose another place`);
    }
    written.push([name, path]);
  };
  if (file !== undefined) await write("figures", file, jsonOf(results));
  if (folder !== undefined) {
    await write("figures", joinPath(folder, "evaluation.json"), jsonOf(results));
    await write("confusion", joinPath(folder, "confusion.png"), pictureOf(results));
  }
  if (written.length > 0) terminal.print(`\n${columnsOf(written)}`);
}

function jsonOf({ stored, root, evaluation, rows }: Results): string {
  const { images, top1, top5, loss, confusion, broken } = evaluation;
  const count = rows.length;
  const matrix = rows.map((_, own) => Array.from(confusion.subarray(own * count, (own + 1) * count)));
  const figures = {
    checkpoint: stored.path,
    data: root,
    images,
    top1,
    top5,
    loss,
    classes: rows,
    confusion: matrix,
    broken,
  };
  return `${JSON.stringify(figures, null, 2)}\n`;
}

function pictureOf({ stored, root, evaluation, rows }: Results): Uint8Array {
  const { confusion, images, top1 } = evaluation;
  const classes = rows.map(({ name }) => name);
  const note = `top-1 ${accuracy(top1)} of ${plural(images, "image")} in ${baseName(root)}`;
  return encodePng(drawConfusion(confusion, classes, { title: runName(stored.path), note }));
}

/** The run and the checkpoint's name of `RUN/checkpoints/NAME/model.safetensors`. */
function runName(path: string): string {
  const folder = directoryOf(path);
  return `${baseName(directoryOf(directoryOf(folder)))}: ${baseName(folder)}`;
}
