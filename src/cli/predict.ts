/** `mae predict` */

import type { BrokenFile } from "../data/broken_samples.ts";
import { InputError } from "../util/errors.ts";
import type { Prediction } from "../train/evaluate/trained_classifier.ts";
import type { Arguments, Command } from "./command.ts";
import { headsAdvice, headsFlag } from "./frozen.ts";
import { listAll } from "./images.ts";
import { backendOf, countOf } from "./values.ts";
import { columnsOf, printable, type Terminal } from "./terminal.ts";

/** `mae predict` */
export const predict: Command = {
  name: "predict",
  summary: "name the most probable classes of images",
  argument: { name: "IMAGE", help: "an image file or a folder of images", repeatable: true },
  flags: [
    {
      name: "from",
      value: "CHECKPOINT",
      help:
        "a run of mae finetune, of which the best checkpoint is taken, or a classifier of any kind; required",
    },
    { name: "top", value: "K", help: "classes named for each image; 5 by default" },
    { name: "json", help: "print one JSON object a line in place of text" },
    headsFlag,
    { name: "batch-size", value: "N", help: "images computed at once; 16 by default" },
    { name: "backend", value: "NAME", help: "auto, webgpu or cpu" },
  ],
  details: () =>
    `Images that are missing or cannot be read are named and left out: the exit code is then 1, and 2 where none of them
is there.`,
  run,
};

async function run(args: Arguments, terminal: Terminal): Promise<number> {
  const from = args.value("from");
  if (from === undefined) throw new InputError("mae predict needs a classifier: --from CHECKPOINT");
  const top = countOf(args, "top") ?? 5;
  const wanted = countOf(args, "batch-size") ?? 16;
  const backend = backendOf(args);
  let skipped = 0;
  const skip = ({ path, reason }: BrokenFile) => {
    skipped++;
    terminal.printError(`Skipping ${printable(path)}: ${printable(reason)}`);
  };
  const source = await listAll(args.all, skip);
  const { readClassifier, TrainedClassifier } = await import("../train/evaluate/trained_classifier.ts");
  const stored = await readClassifier(from, { heads: countOf(args, "heads"), headsFlag: headsAdvice });
  for (const note of stored.notes ?? []) terminal.printError(note);
  const { openRuntime } = await import("../gpu/runtime.ts");
  await openRuntime({ backend });
  const classifier = TrainedClassifier.open(stored);
  const predictions = classifier.predict(source, {
    top,
    batchSize: Math.min(wanted, source.length),
    workers: source.length > 4 ? "auto" : 0, // threads start slowly
    onBroken: skip,
  });
  const show = args.has("json") ? (one: Prediction) => JSON.stringify(one) : textOf;
  for await (const prediction of predictions) terminal.print(show(prediction));
  classifier.dispose();
  return skipped > 0 ? 1 : 0;
}

/** The image, and beneath it a line for each class: "  91.23 %  cat". */
function textOf({ path, classes }: Prediction): string {
  const rows = classes.map(({ name, title, probability }) => [
    `${(100 * probability).toFixed(2).padStart(6)} %`,
    printable(title === undefined ? name : `${name}  ${title}`),
  ]);
  return `${printable(path)}\n${columnsOf(rows)}`;
}
