import { main } from "../../src/cli/main.ts";
import { parseSet } from "../../src/config/layers.ts";
import { resolvePretrainConfig, toYaml } from "../../src/config/pretrain.ts";
import { parseYaml } from "../../src/deps/std.ts";
import type { StoredTensor } from "../../src/formats/dtypes.ts";
import { writeSafetensors } from "../../src/formats/safetensors.ts";
import { assertEquals, assertMatch, assertStringIncludes } from "../deps.ts";
import { fixturePath } from "../support/fixtures.ts";
import { assertSnapshot } from "../support/snapshot.ts";
import { tinyVit, writeTensors } from "../support/tiny_vit.ts";
import { RecordingTerminal } from "../support/terminal.ts";

const shapes: readonly (readonly [string, readonly number[]])[] = [
  ["cls_token", [1, 1, 8]],
  ["pos_embed", [1, 17, 8]],
  ["mask_token", [1, 1, 4]],
  ["patch_embed.proj.weight", [8, 3, 2, 2]],
  ["blocks.0.mlp.fc1.weight", [20, 8]],
  ["blocks.1.mlp.fc1.weight", [20, 8]],
  ["decoder_blocks.0.mlp.fc1.weight", [16, 4]],
];

async function writeModel(path: string, metadata: Record<string, string>): Promise<void> {
  const entries = shapes.map(([name, shape]) => ({
    name,
    dtype: "F32" as const,
    shape,
    data: new Float32Array(shape.reduce((product, length) => product * length, 1)),
  }));
  await writeSafetensors(path, entries, metadata);
}

async function writeCheckpoint(folder: string, step: number): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  await writeModel(`${folder}/model.safetensors`, { format: "pt" });
  const config = resolvePretrainConfig([
    "data.train=photos",
    "model.encoder={width: 8, depth: 2, heads: 2, mlp_ratio: 2.5}",
    "model.decoder={width: 4, depth: 1, heads: 1, mlp_ratio: 4}",
    "model.image_size=[4, 16]",
    "model.patch_size=2",
  ].map(parseSet));
  const state = {
    format: 1,
    job: "pretrain",
    step,
    epoch: 2.5,
    stepsPerEpoch: 40,
    samples: 6,
    seconds: 80,
    config: parseYaml(toYaml(config)),
  };
  await Deno.writeTextFile(`${folder}/state.json`, JSON.stringify(state));
}

async function inspect(folder: string, path: string): Promise<string> {
  const terminal = new RecordingTerminal();
  assertEquals([await main(["inspect", path], terminal), terminal.errors], [0, []]);
  return folder === "" ? terminal.text : terminal.text.replaceAll(folder, "TMP");
}

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("mae inspect shows the newest checkpoint of a run", () =>
  withFolder(async (folder) => {
    await writeCheckpoint(`${folder}/checkpoints/step-00000020`, 20);
    await writeCheckpoint(`${folder}/checkpoints/step-00000100`, 100);
    const text = await inspect(folder, folder);
    await assertSnapshot("cli", "inspect_run", text);
    assertEquals(text.replaceAll("\\", "/"), await inspect(folder, `${folder}/checkpoints/step-00000100`));
  }));

Deno.test("mae inspect shows a single file, and guesses that its images are square", () =>
  withFolder(async (folder) => {
    await writeModel(`${folder}/model.safetensors`, { format: "pt" });
    const text = await inspect(folder, `${folder}/model.safetensors`);
    assertMatch(text, /^ {2}images +16 patches, 8 x 8 pixels if they are square$/m);
    assertMatch(text, /^ {2}encoder +custom: 2 blocks, 8 wide, MLP 20 \(ratio 2\.5\)$/m);
    assertEquals(text.includes("Configuration"), false);
  }));

Deno.test("mae inspect lists the tensors of any other model", () =>
  withFolder(async (folder) => {
    const path = `${folder}/other.safetensors`;
    await writeSafetensors(path, [{ name: "w", dtype: "I64", shape: [], data: new BigInt64Array(1) }]);
    const text = await inspect(folder, path);
    assertMatch(text, /^ {2}holds +1 values \(1\) in 1 tensor, 8 bytes of I64$/m);
    assertStringIncludes(text, "no masked autoencoder");
    assertMatch(text, /^ {2}w {2}I64 {2}\[\]$/m);
  }));

Deno.test("mae inspect shows a checkpoint whose configuration is of another version", () =>
  withFolder(async (folder) => {
    await writeCheckpoint(folder, 7);
    const path = `${folder}/state.json`;
    const state = JSON.parse(await Deno.readTextFile(path));
    await Deno.writeTextFile(path, JSON.stringify({ ...state, config: { later: true } }));
    const text = await inspect(folder, folder);
    assertMatch(text, /^ {2}training +step 7, /m);
    assertEquals(text.includes("Configuration"), false);
  }));

Deno.test("mae inspect prints no control characters of a file", () =>
  withFolder(async (folder) => {
    const path = `${folder}/evil.safetensors`;
    const data = new Float32Array(1);
    await writeSafetensors(path, [{ name: "\x1b[2Jw", dtype: "F32", shape: [1], data }], {
      "a\r": "\x1b]0;title\x07",
    });
    // deno-lint-ignore no-control-regex -- control characters are what it looks for
    assertEquals(/[\x00-\x09\x0b-\x1f\x7f]/.test(await inspect(folder, path)), false);
  }));

Deno.test("mae inspect shows a classifier with its classes, its accuracy and its configuration", () =>
  withFolder(async (folder) => {
    await writeCheckpoint(folder, 7);
    const path = `${folder}/state.json`;
    const state = JSON.parse(await Deno.readTextFile(path));
    const evaluation = { step: 7, images: 50, top1: 0.5, top5: null, loss: 1.25 };
    const classifier = { classes: Array.from({ length: 12 }, (_, i) => `class ${i}`) };
    const config = { model: { encoder: "vit_tiny" }, data: { train: "pets" } };
    const changed = {
      job: "finetune",
      classifier,
      evaluation,
      best: { ...evaluation, step: 5, top1: 0.625 },
      config,
    };
    await Deno.writeTextFile(path, JSON.stringify({ ...state, ...changed }));
    const text = await inspect(folder, folder);
    assertMatch(text, /^ {2}classes +12: class 0, .*, class 9, and 2 more$/m);
    assertMatch(text, /^ {2}validation +top-1 50\.00 %, loss 1\.2500 on 50 images$/m);
    assertMatch(text, /^ {2}best +step 5: top-1 62\.50 %, /m);
    assertMatch(text, /^Configuration\n {2}from: null\n {2}model:\n {4}encoder: vit_tiny$/m);
  }));

Deno.test("mae inspect says whose model it is, whence it knows the heads, and what is no part of it", async () => {
  const hub = await inspect("", fixturePath("hf_vitmae_a"));
  assertMatch(hub, /^ {2}from +Hugging Face ViTMAEForPreTraining$/m);
  assertMatch(hub, /^ {2}encoder +custom: 2 blocks, 48 wide, 3 heads \(config\.json\), MLP 192/m);
  assertMatch(hub, /^ {2}layer norm +1e-6 is added to the variance$/m);
  const training = await inspect("", fixturePath("mae_a_train10_checkpoint-9.pth"));
  assertMatch(training, /^ {2}holds .* of F32, in a PyTorch file$/m);
  assertMatch(training, /^ {2}from +Model with the official names, a training checkpoint$/m);
  assertMatch(training, /^ {2}unused +optimizer \(180 tensors\)$/m);
  assertMatch(training, /^ {2}model\.cls_token +F32 {2}\[1, 1, 48\]$/m);
});

Deno.test("mae inspect says why it takes a vision transformer for none of MAE's", () =>
  withFolder(async (folder) => {
    const path = `${folder}/vit.safetensors`;
    const gamma: StoredTensor = { dtype: "F32", shape: [48], data: new Float32Array(48) };
    await writeTensors(path, new Map([...await tinyVit(), ["blocks.0.ls1.gamma", gamma]]));
    assertMatch(
      await inspect(folder, path),
      /^ {2}model +The model in "TMP.*" has layer scale \("blocks\.0\.ls1\.gamma"\)/m,
    );
  }));
