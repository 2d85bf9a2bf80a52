import { writeSafetensors } from "../../../src/formats/safetensors.ts";
import { architectureOf } from "../../../src/nn/architecture.ts";
import { readEncoderSource } from "../../../src/train/model_files/encoder_source.ts";
import type { ClassifierInfo } from "../../../src/train/checkpoint/classifier_info.ts";
import { InputError } from "../../../src/util/errors.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "../../deps.ts";
import { inFolder } from "../../support/folder.ts";

type Shapes = readonly (readonly [string, readonly number[]])[];

/** Just enough of an encoder to tell its sizes: 2 blocks, patches of 2, 16 of them. */
function encoderShapes(width: number): Shapes {
  return [
    ["cls_token", [1, 1, width]],
    ["pos_embed", [1, 17, width]],
    ["patch_embed.proj.weight", [width, 3, 2, 2]],
    ["blocks.0.mlp.fc1.weight", [2 * width, width]],
    ["blocks.1.mlp.fc1.weight", [2 * width, width]],
  ];
}

const decoder: Shapes = [["mask_token", [1, 1, 4]], ["decoder_blocks.0.mlp.fc1.weight", [16, 4]]];

async function writeModel(path: string, shapes: Shapes, value = 0): Promise<void> {
  const entries = shapes.map(([name, shape]) => ({
    name,
    dtype: "F32" as const,
    shape,
    data: new Float32Array(shape.reduce((product, length) => product * length, 1)).fill(value),
  }));
  await writeSafetensors(path, entries);
}

const encoder = { width: 8, depth: 2, heads: 4, mlp_ratio: 2 };

const classifier: ClassifierInfo = {
  classes: ["cat", "dog"],
  imageSize: [4, 16],
  channels: 3,
  mean: [0.1, 0.2, 0.3],
  std: [0.4, 0.5, 0.6],
  cropShare: 0.875,
  exif: "apply",
  pooling: "average",
};

async function writeCheckpoint(folder: string, value: number, more: object = {}): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  await writeModel(`${folder}/model.safetensors`, [...encoderShapes(8), ...decoder], value);
  const config = {
    model: { encoder, patch_size: 2, image_size: [4, 16], channels: 3 },
    data: { mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] },
  };
  const state = { format: 1, job: "pretrain", step: 7, epoch: 1, stepsPerEpoch: 7, samples: 6, seconds: 8 };
  await Deno.writeTextFile(`${folder}/state.json`, JSON.stringify({ ...state, config, ...more }));
}

/** The sentence that a path is refused with. */
async function refusal(path: string): Promise<string> {
  return (await assertRejects(() => readEncoderSource(path), InputError)).message;
}

Deno.test("an encoder is read from a run's newest checkpoint, from a checkpoint's folder and from its file", () =>
  inFolder(async (folder) => {
    await writeCheckpoint(`${folder}/checkpoints/step-00000002`, 2);
    await writeCheckpoint(`${folder}/checkpoints/step-00000010`, 10);
    const run = await readEncoderSource(folder);
    assertEquals(run.state.get("cls_token")?.data[0], 10);
    assertEquals(run.encoder, {
      encoder: { width: 8, depth: 2, heads: 4, mlpRatio: 2 },
      patchSize: [2, 2],
      channels: 3,
      imageSize: [4, 16],
      mean: [0.1, 0.2, 0.3],
      std: [0.4, 0.5, 0.6],
      normEpsilon: 1e-6,
    });
    assertEquals(run.classifier, null);
    assertEquals(
      run.description,
      `Encoder of ${folder}/checkpoints/step-00000010/model.safetensors after 7 steps of pre-training: ` +
        "2 blocks, 8 wide, 4 heads, patches of 2 pixels, images of 4x16",
    );
    const older = await readEncoderSource(`${folder}/checkpoints/step-00000002/`);
    assertEquals([older.state.get("cls_token")?.data[0], older.encoder], [2, run.encoder]);
    // The file alone says nothing about heads: its state.json is the folder's.
    assertMatch(
      await refusal(run.path),
      /does not say how many heads its encoder of width 8 has: give model\.encoder\.heads/,
    );
    const file = await readEncoderSource(run.path, { heads: 2 });
    assertEquals([file.encoder.encoder.heads, file.encoder.imageSize], [2, [8, 8]]);
    await assertRejects(() => readEncoderSource(run.path, { heads: 3 }), InputError, "must divide 8");
  }));

Deno.test("a classifier's best checkpoint goes before its newest, with what it says of classes and images", () =>
  inFolder(async (folder) => {
    await writeCheckpoint(`${folder}/checkpoints/step-00000010`, 10, { job: "finetune", classifier });
    await writeCheckpoint(`${folder}/checkpoints/best`, 5, { job: "finetune", classifier });
    const source = await readEncoderSource(folder);
    assertEquals([source.state.get("cls_token")?.data[0], source.classifier], [5, classifier]);
    await writeCheckpoint(folder, 1, { classifier: { ...classifier, classes: [1, 2] } });
    assertEquals((await readEncoderSource(folder)).classifier, null);
  }));

Deno.test("an encoder without a state.json takes the heads of the named encoder of its width, or one per 64 values", () =>
  inFolder(async (folder) => {
    for (const [width, heads] of [[192, 3], [1280, 16], [128, 2]]) {
      await writeModel(`${folder}/model.safetensors`, encoderShapes(width));
      const { encoder, classifier, description } = await readEncoderSource(folder);
      assertEquals([encoder.encoder.heads, encoder.imageSize, classifier], [heads, [8, 8], null]);
      assert(!description.includes("steps"), description);
    }
    const shapes = encoderShapes(64).map(([name, shape]) =>
      [name, name === "pos_embed" ? [1, 13, 64] : shape] as const
    );
    await writeModel(`${folder}/model.safetensors`, shapes);
    assertEquals((await readEncoderSource(folder)).encoder.imageSize, null);
    assertEquals(architectureOf(new Map(shapes))?.patches, 12);
  }));

Deno.test("what holds no encoder is refused with one sentence", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/photos`);
    assertMatch(
      await refusal(`${folder}/photo`),
      /^There is no checkpoint ".*photo"; did you mean ".*\/photos"\?$/,
    );
    assertMatch(
      await refusal(`${folder}/photos`),
      /is neither a checkpoint \(with model\.safetensors\) nor a run/,
    );
    await writeModel(`${folder}/other.safetensors`, decoder);
    assertMatch(await refusal(`${folder}/other.safetensors`), /holds no encoder: none of its 2 tensors has/);
    await Deno.writeTextFile(`${folder}/weights.pth`, "PK and something else");
    assertMatch(await refusal(`${folder}/weights.pth`), /^".*weights\.pth" is not a valid PyTorch file: /);
  }));

Deno.test("a damaged checkpoint is refused with one sentence", () =>
  inFolder(async (folder) => {
    await writeCheckpoint(folder, 1);
    await Deno.writeTextFile(`${folder}/state.json`, "{");
    assertMatch(await refusal(folder), /is damaged: state\.json cannot be read/);
    await writeCheckpoint(folder, 1, { config: { model: { encoder: { ...encoder, depth: 3 } } } });
    assertMatch(
      await refusal(folder),
      /is of another model: it tells of 3 blocks, 8 wide, and the file holds 2/,
    );
    await writeCheckpoint(folder, 1);
    const file = `${folder}/model.safetensors`;
    await Deno.truncate(file, (await Deno.stat(file)).size - 4);
    const sentence = await refusal(folder);
    assert(sentence.includes(file), sentence);
  }));
