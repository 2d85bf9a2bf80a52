/**
 * Every reader of bytes that strangers wrote. A new one is one more entry of `TARGETS`: valid files to start from, pieces of
 * its format, and a call that takes one input.
 */

import { resolvePretrainConfig } from "../../src/config/pretrain.ts";
import { isMapping, parseYamlLayer } from "../../src/config/layers.ts";
import { decodeImage } from "../../src/data/decode.ts";
import { BrokenImageError } from "../../src/data/image.ts";
import { crc32 } from "../../src/deps/zlib.ts";
import { unpickle } from "../../src/formats/pickle.ts";
import { PickleCutShort } from "../../src/formats/pickle_machine.ts";
import { encodeSafetensors, readSafetensors } from "../../src/formats/safetensors.ts";
import { parseHeader } from "../../src/formats/safetensors_header.ts";
import { openTensors } from "../../src/formats/open_tensors.ts";
import { TorchErrors } from "../../src/formats/torch_errors.ts";
import { openTorchBytes } from "../../src/formats/torch_file.ts";
import { TorchHost } from "../../src/formats/torch_host.ts";
import { type AdapterIdentity, readAdapterCache } from "../../src/gpu/tuner_cache.ts";
import type { Architecture } from "../../src/nn/architecture.ts";
import { readTrainState } from "../../src/train/checkpoint.ts";
import { saidByArguments } from "../../src/train/model_said_arguments.ts";
import { saidByHuggingFace, saidByProcessor } from "../../src/train/model_said_huggingface.ts";
import { saidByMetadata } from "../../src/train/model_said_mae.ts";
import { saidByTimm } from "../../src/train/model_said_timm.ts";
import { InputError } from "../../src/util/errors.ts";
import type { Recipe } from "./mutate.ts";

/** One reader. */
export interface Target {
  /** What it is called on the command line. */
  readonly name: string;
  /** How its inputs are made; called once. */
  readonly recipe: () => Promise<Recipe>;
  /** Reads one input; `folder` is a place for files. Its value does not matter. */
  readonly read: (bytes: Uint8Array<ArrayBuffer>, folder: string) => unknown;
  /** What it may throw besides `InputError`, as its documentation says. */
  readonly mayThrow?: (error: unknown) => boolean;
}

const FIXTURES = new URL("../../tests/fixtures/", import.meta.url);
const encoder = new TextEncoder();
const texts = (...words: readonly string[]): Uint8Array[] => words.map((word) => encoder.encode(word));
const fixture = (name: string): Promise<Uint8Array> => Deno.readFile(new URL(name, FIXTURES));
const fixtures = (...names: readonly string[]): Promise<Uint8Array[]> => Promise.all(names.map(fixture));

// safetensors

const JSON_WORDS = texts(
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  '"',
  "\\u0041",
  "\\ud800",
  "null",
  '"__proto__":',
  '"constructor":',
  "[".repeat(500),
  '{"a":'.repeat(500),
);

function smallSafetensors(): Uint8Array<ArrayBuffer> {
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

const safetensors: Target = {
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

const safetensorsHeader: Target = {
  name: "safetensors-header",
  recipe: () => {
    const whole = smallSafetensors();
    const length = Number(new DataView(whole.buffer).getBigUint64(0, true));
    return Promise.resolve({ seeds: [whole.subarray(8, 8 + length)], words: JSON_WORDS, isText: true });
  },
  read: (bytes) => parseHeader(bytes, 24, "x.safetensors"),
};

// PyTorch

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

const torchZip: Target = {
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

const torchOld: Target = {
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
  const whole = await fixture(name);
  const start = whole.findIndex((byte, i) =>
    i > 30 && byte === 0x80 && (whole[i + 1] === 2 || whole[i + 1] === 5)
  );
  const end = new TextDecoder("latin1").decode(whole).indexOf("PK\x07\x08", start);
  return whole.slice(start, end);
}

const pickle: Target = {
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

// what lies beside tensors

const ARCHITECTURE: Architecture = {
  encoder: { width: 48, depth: 2, hidden: 192 },
  encoderName: "custom",
  decoder: { width: 32, depth: 2, hidden: 128 },
  patchSize: [8, 8],
  channels: 3,
  patches: 16,
  grid: [4, 4],
};

/** The object of a JSON text; other text is refused as the file's reader refuses it. */
function jsonOf(bytes: Uint8Array): { path: string; values: Record<string, unknown> } {
  try {
    const values: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (isMapping(values)) return { path: "config.json", values };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new InputError("no JSON object");
}

/** Calls all of them, each as if the others had not refused. */
function all(...readers: readonly (() => unknown)[]): void {
  const refusals: unknown[] = [];
  for (const read of readers) {
    try {
      read();
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      refusals.push(error);
    }
  }
  if (refusals.length === readers.length) throw refusals[0];
}

const modelConfig: Target = {
  name: "model-config",
  recipe: async () => ({
    seeds: [
      ...await fixtures("hf_vitmae_a/config.json"),
      ...texts(
        '{"architectures":["ViTForImageClassification"],"model_type":"vit","hidden_size":48,"num_hidden_layers":2,"num_attention_heads":3,"id2label":{"0":"a","1":"b"},"image_size":[32,32]}',
        '{"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5],"size":{"height":32,"width":32},"crop_pct":0.875,"do_normalize":true}',
        '{"architecture":"vit_base_patch16_224","num_classes":2,"pretrained_cfg":{"input_size":[3,32,32],"mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5],"label_names":["a","b"],"crop_pct":0.9},"model_args":{"embed_dim":48,"depth":2,"num_heads":3}}',
      ),
    ],
    words: JSON_WORDS,
    isText: true,
  }),
  read(bytes) {
    const json = jsonOf(bytes);
    all(
      () => saidByHuggingFace(json, ARCHITECTURE, 2),
      () => saidByProcessor(json),
      () => saidByTimm(json, ARCHITECTURE, 2, true),
    );
  },
};

const metadata: Target = {
  name: "metadata",
  recipe: () =>
    Promise.resolve({
      seeds: texts(
        '{"version":1,"heads":3,"decoder_heads":4,"norm_epsilon":1e-6,"image_size":[32,32],"mean":[0.5],"std":[0.5],"normalize_target":true,"pooling":"average","classifier":{"classes":["a","b"]},"classes":["a","b"]}',
      ),
      words: JSON_WORDS,
      isText: true,
    }),
  read: (bytes) => saidByMetadata({ program: "mae", mae: new TextDecoder().decode(bytes) }, "x"),
};

const tensorIndex: Target = {
  name: "tensor-index",
  recipe: () =>
    Promise.resolve({
      seeds: texts(
        '{"metadata":{"total_size":24},"weight_map":{"w":"model.safetensors","step":"model.safetensors"}}',
      ),
      words: [...JSON_WORDS, ...texts("../", "/etc/passwd", ".", "model.safetensors")],
      isText: true,
    }),
  async read(bytes, folder) {
    Deno.writeFileSync(`${folder}/model.safetensors`, smallSafetensors());
    Deno.writeFileSync(`${folder}/model.safetensors.index.json`, bytes);
    using file = await openTensors(`${folder}/model.safetensors.index.json`);
    for (const name of file.tensors.keys()) await file.read(name);
  },
};

const state: Target = {
  name: "state",
  recipe: () =>
    Promise.resolve({
      seeds: texts(
        '{"format":1,"step":3,"epoch":0.5,"seconds":1.5,"samples":12,"stepsPerEpoch":6,"config":{"model":{}},"log":[1,2]}',
      ),
      words: JSON_WORDS,
      isText: true,
    }),
  read(bytes, folder) {
    Deno.writeFileSync(`${folder}/state.json`, bytes);
    return readTrainState(folder);
  },
};

const yaml: Target = {
  name: "yaml",
  recipe: async () => ({
    seeds: [
      await readConfig("pretrain/demo.yaml"),
      ...texts("data: {train: x}\n", "# a note\ndata:\n  train: a long name of a folder of images\n"),
    ],
    words: texts(
      "&a ",
      "*a",
      "<<: *a\n",
      "!!binary ",
      "!!js/function ",
      "? ",
      "- ",
      ": ",
      "|\n",
      "\t",
      "---\n",
      "{",
      "[",
      "[".repeat(300),
      "a: &a [*a]\n",
      ".inf",
      ".nan",
      "0x7fffffffffffffff",
      "__proto__: 1\n",
    ),
    isText: true,
  }),
  read: (bytes) => resolvePretrainConfig([parseYamlLayer(new TextDecoder().decode(bytes), "x.yaml")]),
};

/** A configuration without its comments, so that most changes meet something that counts. */
async function readConfig(name: string): Promise<Uint8Array> {
  const text = await Deno.readTextFile(new URL(`../../configs/${name}`, import.meta.url));
  return encoder.encode(text.replace(/^#.*\n/gm, ""));
}

const tunerCache: Target = {
  name: "tuner-cache",
  recipe: () =>
    Promise.resolve({
      seeds: texts(
        `{"version":1,"adapters":{${
          JSON.stringify(adapterKey)
        }:{"products":{"a":{"plan":1}},"kernels":{"b":true}}}}`,
      ),
      words: JSON_WORDS,
      isText: true,
    }),
  read(bytes, folder) {
    Deno.writeFileSync(`${folder}/tuner.json`, bytes);
    return readAdapterCache(ADAPTER, `${folder}/tuner.json`);
  },
};

const ADAPTER: AdapterIdentity = {
  description: "d",
  vendor: "1",
  architecture: "",
  features: [],
  subgroupSizes: [8, 8],
};
const adapterKey = JSON.stringify([ADAPTER.vendor, "", ADAPTER.description, [], [8, 8]]);

// images

/** Pictures of more pixels than this are refused before they are decoded, so that an input is a matter of milliseconds. */
const MAX_PIXELS = 1_000_000;

/** Makes the checksum of every chunk right that a PNG still has. */
function repairPng(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer);
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    if (at + 12 + length > bytes.length) return;
    view.setUint32(at + 8 + length, crc32(bytes.subarray(at + 4, at + 8 + length)));
    at += 12 + length;
  }
}

function images(
  name: string,
  files: readonly string[],
  words: readonly string[],
  repair?: Recipe["repair"],
): Target {
  return {
    name,
    recipe: async () => ({
      seeds: await fixtures(...files.map((file) => `images/${file}`)),
      words: words.map((word) => Uint8Array.from(word, (letter) => letter.charCodeAt(0))),
      isText: false,
      repair,
    }),
    read: (bytes) => decodeImage(bytes, { channels: 3, exif: "apply", maxPixels: MAX_PIXELS }),
    mayThrow: (error) => error instanceof BrokenImageError, // what `decodeImage` promises; its callers say the file
  };
}

/** Every target, by what it reads. */
export const TARGETS: readonly Target[] = [
  safetensors,
  safetensorsHeader,
  torchZip,
  torchOld,
  pickle,
  modelConfig,
  metadata,
  tensorIndex,
  state,
  yaml,
  tunerCache,
  images(
    "png",
    ["gray1_adam7.png", "palette4_trns.png", "rgb8.png", "rgba16.png", "gray16_trns_adam7.png", "exif_6.png"],
    ["IHDR", "PLTE", "tRNS", "IDAT", "IEND", "eXIf", "iCCP", "acTL", "\0\0\0\0", "\xff\xff\xff\xff"],
    repairPng,
  ),
  images(
    "jpeg",
    ["rgb.jpg", "gray.jpg", "progressive.jpg", "restart.jpg", "cmyk.jpg", "exif_6.jpg"],
    [
      "\xff\xd8",
      "\xff\xd9",
      "\xff\xc0",
      "\xff\xc2",
      "\xff\xc4",
      "\xff\xda",
      "\xff\xdb",
      "\xff\xdd",
      "\xff\xe1",
      "\xff\xff",
      "\xff\0",
      "Exif\0\0",
    ],
  ),
  images(
    "webp",
    ["lossy.webp", "lossless.webp", "alpha.webp", "lossy_alpha.webp", "animated.webp", "exif_8.webp"],
    ["RIFF", "WEBP", "VP8 ", "VP8L", "VP8X", "ALPH", "ANIM", "ANMF", "EXIF", "\xff\xff\xff\xff"],
  ),
];
