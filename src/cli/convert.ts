/** `mae convert` */

import type { ConvertKind, WeightPrecision } from "../train/model_files/convert.ts";
import type { Arguments, Command } from "./command.ts";
import { headsFlag, wordOf } from "./frozen.ts";
import { columnsOf, printable, type Terminal } from "./terminal.ts";
import { countOf } from "./values.ts";

const kinds: readonly ConvertKind[] = ["mae", "official", "huggingface", "timm", "onnx"];
const precisions: readonly WeightPrecision[] = ["f32", "f16", "bf16"];

/** `mae convert` */
export const convert: Command = {
  name: "convert",
  summary: "write a checkpoint of any kind as one of another: PyTorch, Hugging Face, timm, ONNX",
  argument: {
    name: "IN OUT",
    help: "a checkpoint of any kind, and the file or folder to write",
    count: 2,
  },
  flags: [
    {
      name: "to",
      value: "KIND",
      help:
        "mae, official, huggingface, timm or onnx; by default .safetensors is mae, .onnx is onnx, a folder huggingface",
    },
    { name: "precision", value: "NAME", help: "f32, f16 or bf16; as each tensor is stored by default" },
    headsFlag,
    { name: "decoder-heads", value: "N", help: "attention heads of the decoder, likewise" },
    { name: "encoder-only", help: "leave decoder, mask token and head out" },
    { name: "partial", help: "write what fits of a checkpoint that is not whole, and say what was left out" },
    { name: "force", help: "replace what is there" },
  ],
  details: () =>
    `Reads runs, checkpoints, safetensors and PyTorch files of the official code and timm, and folders of Hugging Face and
timm. Nothing in a file is run. Tensors are read one by one, so that memory does not limit the size of a model.
More in docs/checkpoints.md.`,
  run,
};

async function run(args: Arguments, terminal: Terminal): Promise<number> {
  const [input, output] = args.all;
  const options = {
    to: wordOf(args, "to", kinds),
    precision: wordOf(args, "precision", precisions),
    heads: countOf(args, "heads"),
    decoderHeads: countOf(args, "decoder-heads"),
    encoderOnly: args.has("encoder-only"),
    partial: args.has("partial"),
    force: args.has("force"),
  };
  const { convertModel } = await import("../train/model_files/convert.ts");
  const { source, files, left, notes } = await convertModel(input, output, options);
  terminal.print(columnsOf([
    ["read", printable(source)],
    ...(left === "" ? [] : [["left out", printable(left)]]),
    ...files.map((file) => ["written", printable(file)]),
  ]));
  for (const note of notes) terminal.print(printable(note));
  return 0;
}
