/** Text that lies beside tensors, and what users and this program itself write. */

import { isMapping, parseYamlLayer } from "../../src/config/layers.ts";
import { resolvePretrainConfig } from "../../src/config/pretrain.ts";
import { openTensors } from "../../src/formats/open_tensors.ts";
import { type AdapterIdentity, readAdapterCache } from "../../src/gpu/tuner_cache.ts";
import type { Architecture } from "../../src/nn/architecture.ts";
import { readTrainState } from "../../src/train/checkpoint/checkpoint.ts";
import { saidByHuggingFace, saidByProcessor } from "../../src/train/model_files/model_said_huggingface.ts";
import { saidByMetadata } from "../../src/train/model_files/model_said_mae.ts";
import { saidByTimm } from "../../src/train/model_files/model_said_timm.ts";
import { InputError } from "../../src/util/errors.ts";
import { fixtures, JSON_WORDS, type Target, texts } from "./target.ts";
import { smallSafetensors } from "./tensor_targets.ts";

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

/** `config.json` of Hugging Face and timm. */
export const modelConfig: Target = {
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

/** What `mae convert` writes into the metadata of a file. */
export const metadata: Target = {
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

/** The index of a model in several files. */
export const tensorIndex: Target = {
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

/** `state.json` of a run. */
export const state: Target = {
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

/** A configuration. */
export const yaml: Target = {
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
  return new TextEncoder().encode(text.replace(/^#.*\n/gm, ""));
}

/** The cache of what was measured on an adapter. */
export const tunerCache: Target = {
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
