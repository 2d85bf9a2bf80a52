/** Files of tensors. */

import { unpickle } from "../../src/formats/pickle.ts";
import { PickleCutShort } from "../../src/formats/pickle_machine.ts";
import { encodeSafetensors, readSafetensors } from "../../src/formats/safetensors.ts";
import { parseHeader } from "../../src/formats/safetensors_header.ts";
import { TorchErrors } from "../../src/formats/torch_errors.ts";
import { openTorchBytes } from "../../src/formats/torch_file.ts";
import { TorchHost } from "../../src/formats/torch_host.ts";
import { saidByArguments } from "../../src/train/model_files/model_said_arguments.ts";
import { openModelSource } from "../../src/train/model_files/model_source.ts";
import { fixtures, JSON_WORDS, type Target, texts } from "./target.ts";

/** A small file with several types, no elements and no dimensions. */
export function smallSafetensors(): Uint8Array<ArrayBuffer> {
  return encodeSafetensors([
    { name: "w", dtype: "F32", shape: [2, 2], data: Float32Array.of(1, 2, 3, NaN) },
    { name: "empty", dtype: "F16", shape: [0, 3], data: new Uint16Array() },
    { name: "step", dtype: "I64", shape: [], data: BigInt64Array.of(7n) },
  ], { format: "pt" });
}

/** Sets the header's length to what it is, up to the last closing brace. */
function repairSafetensors(bytes: Uint8Array): void {
  const end = bytes.lastIndexOf(0x7d, bytes.length - 24) + 1;
  if (end > 8) new DataView(bytes.buffer).setBigUint64(0, BigInt(end - 8), true);
}

/** Whole safetensors files. */
export const safetensors: Target = {
  name: "safetensors",
  recipe: () =>
    Promise.resolve({
      seeds: [smallSafetensors()],
      words: [
        ...JSON_WORDS,
        ...texts('"dtype":"F32"', '"shape":[1]', '"data_offsets":[0,4]', '"__metadata__":{"a":"b"},'),
      ],
      isText: false,
      repair: repairSafetensors,
    }),
  read: (bytes) => readSafetensors(bytes),
};

/** The JSON in their header, whose lengths are right. */
export const safetensorsHeader: Target = {
  name: "safetensors-header",
  recipe: () => {
    const whole = smallSafetensors();
    const length = Number(new DataView(whole.buffer).getBigUint64(0, true));
    return Promise.resolve({ seeds: [whole.subarray(8, 8 + length)], words: JSON_WORDS, isText: true });
  },
  read: (bytes) => parseHeader(bytes, 24, "x.safetensors"),
};

/** Instructions that make something out of something, and names with and without a meaning. */
const PICKLE_WORDS = [
  ...[
    ..."(.012NKMJGXUTCB]})}ltdeasuRbQcqrhj\x80\x81\x82\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96",
  ]
    .map((letter) => Uint8Array.of(letter.charCodeAt(0))),
  ...texts(
    "cos\nsystem\n",
    "cbuiltins\nset\n",
    "cbuiltins\ndict\n",
    "cargparse\nNamespace\n",
    "ccollections\nOrderedDict\n",
    "ctorch\nFloatStorage\n",
    "ctorch\nSize\n",
    "ctorch\ndevice\n",
    "ctorch._utils\n_rebuild_tensor_v2\n",
    "ctorch._utils\n_rebuild_parameter\n",
    "c_codecs\nencode\n",
    "cnumpy\ndtype\n",
    "cnumpy.core.multiarray\nscalar\n",
    "cnumpy.core.multiarray\n_reconstruct\n",
    "cnumpy.core.numeric\n_frombuffer\n",
    ")R",
    "}b",
    "]q\0",
    "h\0",
    "]".repeat(300),
    "2".repeat(300),
  ),
];

async function readTorch(bytes: Uint8Array): Promise<void> {
  using file = await openTorchBytes(bytes, "x.pth");
  for (const name of file.tensors.keys()) await file.read(name);
  saidByArguments(file.value);
}

/** PyTorch files as zip archives. */
export const torchZip: Target = {
  name: "torch-zip",
  recipe: async () => ({
    seeds: await fixtures(
      "torch/small_zip.pth",
      "torch/views_zip.pth",
      "torch/unsigned.pth",
      "torch/checkpoint_zip_2.pth",
      "torch/checkpoint_zip_5.pth",
    ),
    words: [...PICKLE_WORDS, ...texts("PK\x01\x02", "PK\x03\x04", "PK\x05\x06", "PK\x06\x06", "PK\x06\x07")],
    isText: false,
  }),
  read: readTorch,
};

/** PyTorch files of the older kind. */
export const torchOld: Target = {
  name: "torch-old",
  recipe: async () => ({
    seeds: await fixtures("torch/small_old.pth", "torch/views_old.pth", "torch/checkpoint_old.pth"),
    words: PICKLE_WORDS,
    isText: false,
  }),
  read: readTorch,
};

/** The pickles of zip containers, which start the archives that PyTorch writes. */
async function pickleOf(name: string): Promise<Uint8Array> {
  const [whole] = await fixtures(name);
  const start = whole.findIndex((byte, i) =>
    i > 30 && byte === 0x80 && (whole[i + 1] === 2 || whole[i + 1] === 5)
  );
  const end = new TextDecoder("latin1").decode(whole).indexOf("PK\x07\x08", start);
  return whole.slice(start, end);
}

/** The pickles in them, which no archive protects from damage. */
export const pickle: Target = {
  name: "pickle",
  recipe: async () => ({
    seeds: await Promise.all(
      ["small_zip", "views_zip", "checkpoint_zip_2", "checkpoint_zip_5"].map((name) =>
        pickleOf(`torch/${name}.pth`)
      ),
    ),
    words: PICKLE_WORDS,
    isText: false,
  }),
  read: (bytes) => unpickle(bytes, 0, new TorchHost(new TorchErrors("x.pth"))),
  mayThrow: (error) => error instanceof PickleCutShort, // its caller has more bytes, or makes the sentence
};

/** The smallest encoder with the official names. */
function smallModel(): Uint8Array<ArrayBuffer> {
  const shapes: Record<string, number[]> = {
    "cls_token": [1, 1, 4],
    "pos_embed": [1, 5, 4],
    "patch_embed.proj.weight": [4, 3, 2, 2],
    "patch_embed.proj.bias": [4],
    "blocks.0.norm1.weight": [4],
    "blocks.0.norm1.bias": [4],
    "blocks.0.attn.qkv.weight": [12, 4],
    "blocks.0.attn.qkv.bias": [12],
    "blocks.0.attn.proj.weight": [4, 4],
    "blocks.0.attn.proj.bias": [4],
    "blocks.0.norm2.weight": [4],
    "blocks.0.norm2.bias": [4],
    "blocks.0.mlp.fc1.weight": [8, 4],
    "blocks.0.mlp.fc1.bias": [8],
    "blocks.0.mlp.fc2.weight": [4, 8],
    "blocks.0.mlp.fc2.bias": [4],
    "norm.weight": [4],
    "norm.bias": [4],
  };
  return encodeSafetensors(
    Object.entries(shapes).map(([name, shape]) => ({
      name,
      dtype: "U8",
      shape,
      data: new Uint8Array(shape.reduce((product, size) => product * size, 1)),
    })),
  );
}

/** Swaps, repeats and renames sizes and names of a model's tensors behind an intact header. */
export const model: Target = {
  name: "model",
  recipe: () =>
    Promise.resolve({
      seeds: [smallModel()],
      words: texts(
        "blocks.0",
        "blocks.1",
        "blocks.00",
        "decoder_",
        "module.",
        "model.",
        "vit.",
        "head.weight",
        "fc_norm.weight",
        "[4]",
        "[]",
        "[1,5,4]",
        "qkv.q_proj",
        "encoder.layer.0.",
        "attention.attention.query.",
      ),
      isText: false,
      repair: repairSafetensors,
    }),
  async read(bytes, folder) {
    const path = `${folder}/fuzzed.safetensors`;
    Deno.writeFileSync(path, bytes);
    using source = await openModelSource(path, { heads: 2 });
    for (const name of source.tensors.keys()) await source.read(name);
  },
};
