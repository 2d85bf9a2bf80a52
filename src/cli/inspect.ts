/** `mae inspect` */

import { resolvePretrainConfig, toYaml } from "../config/pretrain.ts";
import type { PretrainConfig, Size } from "../config/types.ts";
import { openSafetensors } from "../formats/safetensors.ts";
import type { TensorInfo } from "../formats/safetensors_header.ts";
import { type Architecture, architectureOf, type StackSizes } from "../nn/architecture.ts";
import type { TrainState } from "../train/checkpoint.ts";
import { InputError } from "../util/errors.ts";
import { joinPath, pathExists } from "../util/files.ts";
import type { Command } from "./command.ts";
import { count, duration, plural, storage } from "./format.ts";
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
      : architectureRows(architecture, config)),
    ...partRows(file.tensors),
    ...(state === null ? [] : stateRows(state)),
    ...Object.entries(file.metadata).map((
      [name, value],
    ) => [`metadata ${printable(name)}`, printable(value)]),
  ];
  terminal.print(columnsOf(rows));
  if (config !== null) terminal.print(`\nConfiguration\n${indent(toYaml(config))}`);
  terminal.print(`\nTensors\n${columnsOf(tensorRows(file.tensors))}`);
}

/** State and configuration of a checkpoint, each null where it is missing; a configuration of another version is too. */
async function storedState(
  folder: string,
): Promise<{ state: TrainState | null; config: PretrainConfig | null }> {
  const { readTrainState } = await import("../train/checkpoint.ts");
  const path = joinPath(folder, "state.json");
  if (!await pathExists(path)) return { state: null, config: null };
  const state = await readTrainState(folder);
  try {
    return { state, config: resolvePretrainConfig([{ origin: path, values: state.config }]) };
  } catch (error) {
    if (error instanceof InputError) return { state, config: null };
    throw error;
  }
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

function architectureRows(architecture: Architecture, config: PretrainConfig | null): string[][] {
  const { encoder, decoder, encoderName, patchSize, channels, patches, grid } = architecture;
  const size = config?.model.imageSize ?? (grid && [grid[0] * patchSize[0], grid[1] * patchSize[1]] as const);
  const image = size ? `${sizeText(size)} pixels${config ? "" : " if they are square"}` : "of unknown size";
  return [
    ["model", decoder ? "masked autoencoder: encoder and decoder" : "encoder only"],
    ["encoder", `${encoderName}: ${stackText(encoder, config?.model.encoder.heads)}`],
    ...(decoder ? [["decoder", stackText(decoder, config?.model.decoder.heads)]] : []),
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

function tensorRows(tensors: Tensors): string[][] {
  return [...tensors].map(([name, { dtype, shape }]) => [printable(name), dtype, `[${shape.join(", ")}]`]);
}

function indent(text: string): string {
  return text.trimEnd().replace(/^/gm, "  ");
}
