/** `mae inspect` */

import { finetuneYaml, resolveFinetuneConfig } from "../config/finetune.ts";
import { linprobeYaml, resolveLinprobeConfig } from "../config/linprobe.ts";
import { resolvePretrainConfig, toYaml } from "../config/pretrain.ts";
import { itemSize } from "../formats/dtypes.ts";
import type { TensorFile } from "../formats/open_tensors.ts";
import type { TensorOutline } from "../formats/tensor_source.ts";
import type { EvaluationSummary, TrainState } from "../train/checkpoint/checkpoint.ts";
import type { ModelSource } from "../train/model_files/model_source.ts";
import { InputError } from "../util/errors.ts";
import { joinPath, pathExists } from "../util/files.ts";
import type { Command } from "./command.ts";
import { accuracy, count, duration, loss, plural, storage } from "./format.ts";
import { classRow, modelRows, noModelRow, valuesIn, valuesOf } from "./inspect_model.ts";
import { columnsOf, printable, type Terminal } from "./terminal.ts";

/** `mae inspect` */
export const inspect: Command = {
  name: "inspect",
  summary: "show what a checkpoint of any kind holds",
  flags: [],
  argument: {
    name: "PATH",
    help: "a run, a checkpoint's folder, a folder of Hugging Face or timm, a safetensors or a PyTorch file",
  },
  run: async ({ argument = "" }, terminal) => {
    const { findModelFile } = await import("../train/model_files/model_file.ts");
    const { openTensors } = await import("../formats/open_tensors.ts");
    const { file, folder } = await findModelFile(argument);
    using tensors = await openTensors(file);
    const stored = folder === null ? { state: null, yaml: null } : await storedState(folder);
    const model = await openModel(argument);
    try {
      show(tensors, model, stored, terminal);
    } finally {
      if (!(model instanceof InputError)) model[Symbol.dispose]();
    }
    return 0;
  },
};

/** The model, or why the file is taken for none. */
async function openModel(path: string): Promise<ModelSource | InputError> {
  const { openModelSource } = await import("../train/model_files/model_source.ts");
  try {
    return await openModelSource(path);
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
}

function show(
  file: TensorFile,
  model: ModelSource | InputError,
  { state, yaml }: Stored,
  terminal: Terminal,
): void {
  const rows = [
    ["file", printable(file.path)],
    ...totals(file),
    ...(model instanceof InputError ? noModelRow(model) : modelRows(model)),
    ...(state === null ? [] : [...stateRows(state), ...classifierRows(state)]),
    ...Object.entries(file.metadata).map((
      [name, value],
    ) => [`metadata ${printable(name)}`, printable(short(value))]),
  ];
  terminal.print(columnsOf(rows));
  if (yaml !== null) terminal.print(`\nConfiguration\n${indent(yaml)}`);
  terminal.print(`\nTensors\n${columnsOf(tensorRows(file.tensors))}`);
}

/** State and configuration of a checkpoint, each null where it is missing. */
interface Stored {
  readonly state: TrainState | null;
  readonly yaml: string | null;
}

/** What lies beside the tensors of a run; a configuration of another version is left out. */
async function storedState(folder: string): Promise<Stored> {
  const { readTrainState } = await import("../train/checkpoint/checkpoint.ts");
  const path = joinPath(folder, "state.json");
  if (!await pathExists(path)) return { state: null, yaml: null };
  const state = await readTrainState(folder);
  try {
    return { state, yaml: yamlOf(state, path) };
  } catch (error) {
    if (error instanceof InputError) return { state, yaml: null };
    throw error;
  }
}

/** The configuration of a state, by the job that wrote it. */
function yamlOf({ job, config: values }: TrainState, origin: string): string {
  const layers = [{ origin, values }];
  if (job === "pretrain") return toYaml(resolvePretrainConfig(layers));
  return job === "finetune"
    ? finetuneYaml(resolveFinetuneConfig(layers))
    : linprobeYaml(resolveLinprobeConfig(layers));
}

type Tensors = ReadonlyMap<string, TensorOutline>;

function totals({ tensors, format }: TensorFile): string[][] {
  const infos = [...tensors.values()];
  const bytes = infos.reduce((sum, info) => sum + valuesOf(info) * itemSize(info.dtype), 0);
  const dtypes = [...new Set(infos.map(({ dtype }) => dtype))].join(", ");
  const values = valuesIn(infos);
  return [[
    "holds",
    `${values.toLocaleString("en")} values (${count(values)}) in ${plural(infos.length, "tensor")}, ${
      storage(bytes)
    }` +
    (dtypes === "" ? "" : ` of ${dtypes}`) +
    (format === "safetensors" ? "" : `, in a ${format} file`),
  ]];
}

function stateRows({ step, epoch, samples, seconds }: TrainState): string[][] {
  return [[
    "training",
    `step ${step}, epoch ${+epoch.toFixed(2)}, ${plural(samples, "image")}, ${duration(seconds)}`,
  ]];
}

/** Classes of a classifier, how the checkpoint did and which one did best. */
function classifierRows({ classifier, evaluation, best }: TrainState): string[][] {
  if (!classifier) return [];
  const figures = ({ top1, loss: value, images }: EvaluationSummary) =>
    `top-1 ${accuracy(top1)}, loss ${loss(value)} on ${plural(images, "image")}`;
  return [
    classRow(classifier.classes),
    ...(evaluation ? [["validation", figures(evaluation)]] : []),
    ...(best && best.step !== evaluation?.step ? [["best", `step ${best.step}: ${figures(best)}`]] : []),
  ];
}

function tensorRows(tensors: Tensors): string[][] {
  return [...tensors].map(([name, { dtype, shape }]) => [printable(name), dtype, `[${shape.join(", ")}]`]);
}

function indent(text: string): string {
  return text.trimEnd().replace(/^/gm, "  ");
}

/** Metadata may be as long as the file. */
function short(text: string): string {
  return text.length > 300 ? `${text.slice(0, 297)}...` : text;
}
