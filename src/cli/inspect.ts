/** `mae inspect` */

import { finetuneYaml, resolveFinetuneConfig } from "../config/finetune.ts";
import { linprobeYaml, resolveLinprobeConfig } from "../config/linprobe.ts";
import { resolvePretrainConfig, toYaml } from "../config/pretrain.ts";
import type { Size } from "../config/types.ts";
import { openSafetensors } from "../formats/safetensors.ts";
import type { TensorInfo } from "../formats/safetensors_header.ts";
import { type Architecture, architectureOf, type StackSizes } from "../nn/architecture.ts";
import type { EvaluationSummary, TrainState } from "../train/checkpoint.ts";
import { InputError } from "../util/errors.ts";
import { joinPath, pathExists } from "../util/files.ts";
import type { Command } from "./command.ts";
import { accuracy, count, duration, loss, plural, storage } from "./format.ts";
import { columnsOf, printable, type Terminal } from "./terminal.ts";

/** `mae inspect` */
export const inspect: Command = {
  name: "inspect",
  summary: "show what a checkpoint holds",
  flags: [],
  argument: { name: "PATH", help: "a safetensors file, the folder of a checkpoint, or the folder of a run" },
  run: async ({ argument = "" }, terminal) => {
    const { findModelFile } = await import("../train/model_file.ts");
    const { file, folder } = await findModelFile(argument);
    await showFile(file, folder, terminal);
    return 0;
  },
};

async function showFile(path: string, folder: string | null, terminal: Terminal): Promise<void> {
  using file = await openSafetensors(path);
  const { state, config } = folder === null ? { state: null, config: null } : await storedState(folder);
  const shapes = new Map([...file.tensors].map(([name, { shape }]) => [name, shape]));
  const architecture = architectureOf(shapes);
  const rows = [
    ["file", printable(path)],
    ...totals(file.tensors),
    ...(architecture === null
      ? [["model", "no masked autoencoder: the names are not those of the official models"]]
      : architectureRows(architecture, config, file.tensors.has("head.weight"))),
    ...partRows(file.tensors),
    ...(state === null ? [] : [...stateRows(state), ...classifierRows(state)]),
    ...Object.entries(file.metadata).map((
      [name, value],
    ) => [`metadata ${printable(name)}`, printable(value)]),
  ];
  terminal.print(columnsOf(rows));
  if (config !== null) terminal.print(`\nConfiguration\n${indent(config.yaml)}`);
  terminal.print(`\nTensors\n${columnsOf(tensorRows(file.tensors))}`);
}

/** What a configuration says that tensors do not. */
interface StoredConfig {
  readonly yaml: string;
  readonly imageSize: Size;
  /** Attention heads of the encoder. */
  readonly heads: number;
  /** Attention heads of the decoder, where there is one. */
  readonly decoderHeads?: number;
}

/** State and configuration of a checkpoint, each null where it is missing; a configuration of another version is too. */
async function storedState(
  folder: string,
): Promise<{ state: TrainState | null; config: StoredConfig | null }> {
  const { readTrainState } = await import("../train/checkpoint.ts");
  const path = joinPath(folder, "state.json");
  if (!await pathExists(path)) return { state: null, config: null };
  const state = await readTrainState(folder);
  try {
    return { state, config: storedConfig(state, path) };
  } catch (error) {
    if (error instanceof InputError) return { state, config: null };
    throw error;
  }
}

/** The configuration of a state, by the job that wrote it. */
function storedConfig({ job, config: values }: TrainState, origin: string): StoredConfig {
  const layers = [{ origin, values }];
  if (job === "pretrain") {
    const config = resolvePretrainConfig(layers);
    const { imageSize, encoder, decoder } = config.model;
    return { yaml: toYaml(config), imageSize, heads: encoder.heads, decoderHeads: decoder.heads };
  }
  const [config, yaml] = job === "finetune" ? finetuneConfig(layers) : linprobeConfig(layers);
  return { yaml, imageSize: config.model.imageSize, heads: config.model.encoder.heads };
}

function finetuneConfig(layers: Parameters<typeof resolveFinetuneConfig>[0]) {
  const config = resolveFinetuneConfig(layers);
  return [config, finetuneYaml(config)] as const;
}

function linprobeConfig(layers: Parameters<typeof resolveLinprobeConfig>[0]) {
  const config = resolveLinprobeConfig(layers);
  return [config, linprobeYaml(config)] as const;
}

type Tensors = ReadonlyMap<string, TensorInfo>;

function valuesIn(tensors: Iterable<TensorInfo>): number {
  let values = 0;
  for (const { shape } of tensors) values += shape.reduce((product, length) => product * length, 1);
  return values;
}

function totals(tensors: Tensors): string[][] {
  const infos = [...tensors.values()];
  const bytes = infos.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const dtypes = [...new Set(infos.map(({ dtype }) => dtype))].join(", ");
  const values = valuesIn(infos);
  return [[
    "holds",
    `${values.toLocaleString("en")} values (${count(values)}) in ${plural(infos.length, "tensor")}, ${
      storage(bytes)
    }` +
    (dtypes === "" ? "" : ` of ${dtypes}`),
  ]];
}

function architectureRows(
  architecture: Architecture,
  config: StoredConfig | null,
  hasHead: boolean,
): string[][] {
  const { encoder, decoder, encoderName, patchSize, channels, patches, grid } = architecture;
  const size = config?.imageSize ?? (grid && [grid[0] * patchSize[0], grid[1] * patchSize[1]] as const);
  const image = size ? `${sizeText(size)} pixels${config ? "" : " if they are square"}` : "of unknown size";
  return [
    [
      "model",
      decoder
        ? "masked autoencoder: encoder and decoder"
        : hasHead
        ? "classifier: encoder and head"
        : "encoder only",
    ],
    ["encoder", `${encoderName}: ${stackText(encoder, config?.heads)}`],
    ...(decoder ? [["decoder", stackText(decoder, config?.decoderHeads)]] : []),
    ["patches", `${sizeText(patchSize)} pixels of ${plural(channels, "channel")}`],
    ...(patches === null ? [] : [["images", `${patches} patches, ${image}`]]),
  ];
}

function sizeText([height, width]: Size): string {
  return `${height} x ${width}`;
}

function stackText({ width, depth, hidden }: StackSizes, heads: number | undefined): string {
  const attention = heads === undefined ? "" : `, ${plural(heads, "head")}`;
  return `${plural(depth, "block")}, ${width} wide${attention}, MLP ${hidden} (ratio ${+(hidden / width)
    .toFixed(4)})`;
}

/** How many values belong to the encoder and to the decoder. */
function partRows(tensors: Tensors): string[][] {
  const isDecoder = (name: string) => name.startsWith("decoder_");
  const decoder = [...tensors].filter(([name]) => isDecoder(name)).map(([, info]) => info);
  if (decoder.length === 0) return [];
  const rest = [...tensors].filter(([name]) => !isDecoder(name)).map(([, info]) => info);
  return [["of these", `${count(valuesIn(rest))} encoder and tokens, ${count(valuesIn(decoder))} decoder`]];
}

function stateRows({ step, epoch, samples, seconds }: TrainState): string[][] {
  return [[
    "training",
    `step ${step}, epoch ${+epoch.toFixed(2)}, ${plural(samples, "image")}, ${duration(seconds)}`,
  ]];
}

/** Most names of classes in one line. */
const MOST_CLASSES = 10;

/** Classes of a classifier, how the checkpoint did and which one did best. */
function classifierRows({ classifier, evaluation, best }: TrainState): string[][] {
  if (!classifier) return [];
  const names = classifier.classes.map(printable);
  const more = names.length > MOST_CLASSES ? `, and ${names.length - MOST_CLASSES} more` : "";
  const figures = ({ top1, loss: value, images }: EvaluationSummary) =>
    `top-1 ${accuracy(top1)}, loss ${loss(value)} on ${plural(images, "image")}`;
  return [
    ["classes", `${names.length}: ${names.slice(0, MOST_CLASSES).join(", ")}${more}`],
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
