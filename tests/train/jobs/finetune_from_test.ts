/** Fine-tuning that starts from an encoder, whole or in its last blocks. */
import { readSafetensors, writeSafetensors } from "../../../src/formats/safetensors.ts";
import { finetuneYaml, resolveFinetuneConfig } from "../../../src/config/finetune.ts";
import { parseSet, parseYamlLayer } from "../../../src/config/layers.ts";
import { finetune, prepareFinetuning } from "../../../src/train/jobs/finetune.ts";
import { InputError } from "../../../src/util/errors.ts";
import { assert, assertEquals, assertNotEquals, assertRejects } from "../../deps.ts";
import { fixturePath } from "../../support/fixtures.ts";
import { inFolder } from "../../support/folder.ts";
import { tinyFinetuning, tune, withShapes, writeShapes } from "../finetune_support.ts";
import { tinyConfig, train, tree, writeImages } from "../support.ts";

/** The encoder of `tinyConfig` in the keys of a fine-tuning configuration: images of 16 pixels in patches of 4. */
const pretrained = ["model.encoder={width: 8, depth: 1, heads: 2, mlp_ratio: 2}", "model.patch_size=4"];

/** Runs a test in a folder with shapes, and with a short pre-training of them in `pretrained`. */
function withEncoder(test: (folder: string, checkpoint: string) => Promise<void>): () => Promise<void> {
  return withShapes(async (folder) => {
    await writeImages(`${folder}/images`, 4);
    const { result } = await train(tinyConfig(folder, "pretrained"), { stopAfter: 1 });
    await test(folder, result.checkpoint);
  });
}

Deno.test(
  "finetune() takes over an encoder, resamples its positions, and says what became of the rest",
  withEncoder(async (folder, checkpoint) => {
    const sets = [...pretrained, `from=${folder}/pretrained`, "model.image_size=24", "optim.epochs=1"];
    const { said } = await tune(tinyFinetuning(folder, "run", ...sets));
    assert(said[1].startsWith(`Encoder of ${checkpoint}/model.safetensors`), said[1]);
    assertEquals(said.slice(2), [
      "Position embeddings are resampled from 4x4 to 6x6 patches",
      "Left out of the checkpoint: mask_token, decoder, norm",
      "Not in the checkpoint, started anew: head, fc_norm",
    ]);
    const tokens = await tune(
      tinyFinetuning(
        folder,
        "tokens",
        ...pretrained,
        `from=${checkpoint}`,
        "model.pooling=class_token",
        "optim.epochs=1",
      ),
    );
    assertEquals(tokens.said.slice(2), [
      "Left out of the checkpoint: mask_token, decoder",
      "Not in the checkpoint, started anew: head",
    ]);
  }),
);

Deno.test(
  "finetune() trains the last blocks only, and leaves every bit of the others as it was",
  withEncoder(async (folder, checkpoint) => {
    const encoder = await readSafetensors(`${checkpoint}/model.safetensors`);
    const heads = ["head.bias", "head.weight"];
    const mlp = ["fc1.bias", "fc1.weight", "fc2.bias", "fc2.weight"].map((name) => `blocks.0.mlp.${name}`);
    const half = ["blocks.0.norm2.bias", "blocks.0.norm2.weight", "fc_norm.bias", "fc_norm.weight"];
    const trained = new Map<number, string[]>([[0, heads], [0.5, [...mlp, ...half, ...heads].sort()]]);
    const said: string[] = [];
    for (const [blocks, expected] of trained) {
      const sets = [...pretrained, `from=${checkpoint}`, `model.train_blocks=${blocks}`, "optim.ema=null"];
      const ended = await tune(tinyFinetuning(folder, `run${blocks}`, ...sets, "optim.epochs=1"));
      said.push(ended.said.at(-1) ?? "");
      const { result } = ended;
      const model = await readSafetensors(`${result.checkpoint}/model.safetensors`);
      const moments = await readSafetensors(`${result.checkpoint}/optimizer.safetensors`);
      const names = [...moments.keys()].filter((name) => name.startsWith("exp_avg."));
      assertEquals(names.map((name) => name.slice("exp_avg.".length)).sort(), expected);
      for (const [name, { data }] of model) {
        const before = encoder.get(name)?.data;
        if (before && !expected.includes(name)) assertEquals(data, before, name);
        if (before && expected.includes(name)) assertNotEquals(data, before, name);
      }
    }
    assertEquals(said, [
      "Frozen but for the head: 27 of 1179 values are trained",
      "Frozen but for the MLP half of the last block, norm and head: 339 of 1179 values are trained",
    ]);
  }),
);

Deno.test(
  "finetune() is welcome to an encoder alone, and to one that has been fine-tuned before",
  withEncoder(async (folder, checkpoint) => {
    const whole = await readSafetensors(`${checkpoint}/model.safetensors`);
    const file = `${folder}/encoder.safetensors`;
    const entries = [...whole].filter(([name]) => !/^(decoder_|mask_token)/.test(name));
    await writeSafetensors(file, entries.map(([name, tensor]) => ({ name, ...tensor })));
    const sets = [...pretrained, "optim.epochs=1"];
    const heads = [`from=${file}`, "model.encoder.heads=2", `data.train=${folder}/data`];
    assertEquals((await prepareFinetuning(heads.map(parseSet))).config.model.encoder.heads, 2);
    const first = await tune(tinyFinetuning(folder, "first", ...sets, `from=${file}`));
    assertEquals(first.said.slice(2), [
      "Left out of the checkpoint: norm",
      "Not in the checkpoint, started anew: head, fc_norm",
    ]);
    const second = await tune(tinyFinetuning(folder, "second", ...sets, `from=${folder}/first`));
    assertEquals(second.said.slice(2), [
      "Left out of the checkpoint: head",
      "Not in the checkpoint, started anew: head",
    ]);
  }),
);

Deno.test(
  "prepareFinetuning() takes sizes and statistics from the checkpoint",
  withEncoder(async (folder, checkpoint) => {
    const sets = [`from=${checkpoint}`, `data.train=${folder}/data`];
    const { config, source } = await prepareFinetuning(sets.map(parseSet));
    assertEquals([config.model.encoder, config.model.patchSize, config.model.imageSize], [
      { width: 8, depth: 1, heads: 2, mlpRatio: 2 },
      [4, 4],
      [16, 16],
    ]);
    assertEquals(source?.path, `${checkpoint}/model.safetensors`);
    assertEquals((await prepareFinetuning(sets.slice(1).map(parseSet))).source, null);
  }),
);

Deno.test(
  "finetune() refuses what cannot work before it trains or writes anything",
  withEncoder(async (folder, checkpoint) => {
    const before = await tree(folder);
    const refusal = async (...sets: string[]) => {
      const config = tinyFinetuning(folder, "run", ...sets);
      const { message } = await assertRejects(
        () => finetune(config, { tune: false, checkKernels: false }),
        InputError,
      );
      return message.replaceAll(folder, "");
    };
    const from = `from=${checkpoint}`;
    const misfits = {
      "model.encoder.width=12": "width 8 instead of 12",
      "model.patch_size=8": "patch size 4x4 instead of 8x8",
      "model.encoder.depth=2": "blocks 1 instead of 2",
    };
    for (const [set, misfit] of Object.entries(misfits)) {
      const sentence = await refusal(from, ...pretrained, set);
      assert(sentence.includes(misfit), sentence);
    }
    const gray = await refusal(from, ...pretrained, "model.channels=1", "data.mean=[0.5]", "data.std=[0.25]");
    assert(gray.includes("channels 3 instead of 1"), gray);
    const heads = await refusal(from, ...pretrained, "model.encoder.heads=4");
    assert(heads.includes("its encoder has 2 heads, and model.encoder.heads says 4"), heads);
    assert((await refusal("from=nowhere")).startsWith('There is no checkpoint "nowhere"'));
    const optimizer = await refusal(`from=${checkpoint}/optimizer.safetensors`);
    assert(optimizer.includes("holds no encoder"), optimizer);
    assertEquals(await tree(folder), before);

    await Deno.remove(`${folder}/data/val/red`, { recursive: true });
    assertEquals(
      await refusal(),
      'The class "red" has images under "/data/train" but none under "/data/val"; every class needs at least one in both',
    );
    await Deno.remove(`${folder}/data/val`, { recursive: true });
    const noValidation = await refusal();
    assert(noValidation.includes('has "train" but no "val" or "test"'));
    assert(noValidation.includes("or set --split (data.split) to the share"));
    await writeShapes(`${folder}/data/train`, 1, ["black"]);
    assert(
      (await refusal("data.split=0.2")).startsWith(
        'The class "black" under "/data/train" has only one image',
      ),
    );
    assert((await refusal(`data.train=${folder}/data/train/red`, "data.split=0.2")).includes("no folders"));
    assertEquals((await tree(folder)).some((path) => path.startsWith("run")), false);
  }),
);

Deno.test("prepareFinetuning() goes on with the layer norms of a Hugging Face folder, and resumes with them", () =>
  inFolder(async (folder) => {
    const config = JSON.parse(await Deno.readTextFile(fixturePath("hf_vitmae_a/config.json")));
    await Deno.copyFile(fixturePath("hf_vitmae_a/model.safetensors"), `${folder}/model.safetensors`);
    await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify({ ...config, layer_norm_eps: 1e-12 }));
    const { config: resolved } = await prepareFinetuning([`from=${folder}`, "data.train=x"].map(parseSet));
    assertEquals([resolved.model.normEpsilon, resolved.model.encoder.heads], [1e-12, 3]);
    const again = resolveFinetuneConfig([parseYamlLayer(finetuneYaml(resolved), "config.yaml")]);
    assertEquals(again.model.normEpsilon, 1e-12);
  }));
