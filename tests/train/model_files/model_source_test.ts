/** Models of every kind, read under the official names with everything that is said about them. */
import { type StoredTensor } from "../../../src/formats/dtypes.ts";
import { openModelSource, readState } from "../../../src/train/model_files/model_source.ts";
import { InputError } from "../../../src/util/errors.ts";
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "../../deps.ts";
import { Fixture, fixturePath } from "../../support/fixtures.ts";
import { inFolder } from "../../support/folder.ts";
import { tinyVit, writeJson, writeTensors } from "../../support/tiny_vit.ts";

const known = { heads: 3, decoderHeads: 4 };

/** The sentence that a path is refused with. */
async function refusal(path: string): Promise<string> {
  const { message } = await assertRejects(() => openModelSource(path, known), InputError);
  assertEquals(message.includes("\n"), false, message);
  return message;
}

Deno.test("openModelSource() reads the same tensors out of every kind of file", async () => {
  const official = (await Fixture.read("mae_a.safetensors")).under("init/");
  for (const name of ["mae_a_init_encoder_only.pth", "hf_vitmae_a", "hf_vitmae_a/model.safetensors"]) {
    using source = await openModelSource(fixturePath(name), known);
    const state = await readState(source);
    const wanted = name.endsWith("only.pth")
      ? [...official].filter(([name]) => !/^(decoder_|mask_)/.test(name))
      : [...official];
    assertEquals([...state.keys()].sort(), wanted.map(([name]) => name).sort());
    for (const [name, { shape, data }] of wanted) {
      assertEquals([state.get(name)?.shape, state.get(name)?.data], [shape, data], name);
    }
    assertEquals([source.facts.heads, source.facts.imageSize, source.unused], [3, [32, 32], []]);
  }
});

Deno.test("openModelSource() takes the model out of a training checkpoint, and what its arguments say", async () => {
  using source = await openModelSource(fixturePath("mae_a_train10_checkpoint-9.pth"), known);
  const trained = (await Fixture.read("mae_a.safetensors")).under("pix0/train10/");
  const weight = await source.read("blocks.1.mlp.fc1.weight");
  assertEquals(weight.data, trained.get("blocks.1.mlp.fc1.weight")?.data);
  assertEquals([source.kind, source.facts.normalizeTarget], ["official", false]);
  assert(source.unused.some((name) => name.startsWith("optimizer.state.")), source.unused.join());
  assertEquals(
    source.description,
    "Model with the official names, a training checkpoint: 2 blocks, 48 wide, 3 heads, patches of 8 pixels, images of 32; " +
      "decoder of 2 blocks, 32 wide, 4 heads",
  );
});

Deno.test("openModelSource() reads a Hugging Face folder with its configuration", () =>
  inFolder(async (folder) => {
    const config = JSON.parse(await Deno.readTextFile(fixturePath("hf_vitmae_a/config.json")));
    await Deno.copyFile(fixturePath("hf_vitmae_a/model.safetensors"), `${folder}/model.safetensors`);
    const write = (changes: object) => writeJson(`${folder}/config.json`, { ...config, ...changes });
    await write({ layer_norm_eps: 1e-12, norm_pix_loss: true, num_attention_heads: 4 });
    await writeJson(`${folder}/preprocessor_config.json`, {
      image_mean: [0.5, 0.4, 0.3],
      image_std: [0.2, 0.2, 0.1],
      size: { shortest_edge: 40 },
      do_center_crop: true,
      crop_size: { height: 32, width: 32 },
    });
    {
      using source = await openModelSource(folder, known);
      const { facts, title, kind } = source;
      assertEquals([kind, title], ["huggingface", "Hugging Face ViTMAEForPreTraining"]);
      assertEquals([facts.heads, facts.headsFrom], [4, "config.json"]); // what is known gives way
      assertEquals([facts.normEpsilon, facts.normalizeTarget, facts.cropShare], [1e-12, true, 0.8]);
      assertEquals([facts.mean, facts.std], [[0.5, 0.4, 0.3], [0.2, 0.2, 0.1]]);
    }
    for (
      const [changes, sentence] of [
        [
          { hidden_size: 64 },
          /is of another model than the tensors beside it: it says hidden_size 64 instead of 48$/,
        ],
        [{ patch_size: 4 }, /it says patch_size 4 instead of 8$/],
        [{ hidden_act: "quick_gelu" }, /asks for the activation "quick_gelu", and MAE's blocks have gelu/],
        [{ model_type: "beit" }, /is of a model of type "beit"; vit_mae and vit are read$/],
        [{ model_type: undefined }, /names no model_type/],
        [{ num_attention_heads: 5 }, /heads 5 \(config\.json\) must divide 48, the width of the encoder in/],
        [{ layer_norm_eps: "small" }, /layer_norm_eps in ".*" must be a number from 0 to 1, not "small"$/],
      ] as const
    ) {
      await write(changes);
      assertMatch(await refusal(folder), sentence);
    }
    await Deno.writeTextFile(`${folder}/config.json`, "{");
    assertMatch(await refusal(folder), /config\.json" cannot be read: it is no valid JSON$/);
    await Deno.remove(`${folder}/config.json`);
    using bare = await openModelSource(folder, known);
    assertEquals([bare.facts.normEpsilon, bare.facts.headsFrom], [1e-12, "--heads"]);
  }));

Deno.test("openModelSource() reads a model in several files, and only files beside their index", () =>
  inFolder(async (folder) => {
    const tensors = [...await tinyVit()];
    const files = { "a-1.safetensors": tensors.slice(0, 9), "a-2.safetensors": tensors.slice(9) };
    const map: Record<string, string> = {};
    for (const [file, part] of Object.entries(files)) {
      await writeTensors(`${folder}/${file}`, new Map(part));
      for (const [name] of part) map[name] = file;
    }
    const index = `${folder}/model.safetensors.index.json`;
    await writeJson(index, { weight_map: map });
    {
      using source = await openModelSource(folder, known);
      const [name, { data }] = tensors[20];
      assertEquals([source.path, (await source.read(name)).data], [index, data]);
    }
    await writeJson(index, { weight_map: { ...map, odd: "a-1.safetensors" } });
    assertMatch(await refusal(folder), /says that "a-1\.safetensors" holds "odd", and it does not$/);
    for (const file of ["../secret", "..", "/etc/passwd", 7]) {
      await writeJson(index, { weight_map: { ...map, odd: file } });
      assertStringIncludes(await refusal(folder), "must name files beside it, not");
    }
    await writeJson(index, {});
    assertMatch(await refusal(folder), /has no "weight_map"/);
  }));

Deno.test("openModelSource() reads a timm folder, and refuses what it builds otherwise", () =>
  inFolder(async (folder) => {
    await writeTensors(`${folder}/model.safetensors`, await tinyVit({ classes: 2, pools: true }));
    const config = {
      architecture: "vit_tiny_patch16_224",
      num_classes: 2,
      global_pool: "avg",
      model_args: { img_size: 32, patch_size: 8, embed_dim: 48, depth: 2, num_heads: 6 },
      pretrained_cfg: { input_size: [3, 32, 32], mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], crop_pct: 0.9 },
      label_names: ["cat", "dog"],
    };
    const write = (changes: object) => writeJson(`${folder}/config.json`, { ...config, ...changes });
    await write({});
    {
      using source = await openModelSource(folder);
      const { heads, pooling, classes, mean, cropShare, imageSize } = source.facts;
      assertEquals([source.kind, heads, pooling, classes], ["timm", 6, "average", ["cat", "dog"]]);
      assertEquals([mean, cropShare, imageSize], [[0.5, 0.5, 0.5], 0.9, [32, 32]]);
    }
    await write({ architecture: "resnet50" });
    assertMatch(
      await refusal(folder),
      /is of timm's "resnet50", and of timm plain vision transformers are read/,
    );
    await write({ model_args: { ...config.model_args, act_layer: "silu" } });
    assertMatch(await refusal(folder), /builds its model with its own act_layer/);
    await write({ global_pool: "map" });
    using other = await openModelSource(folder, known);
    assertEquals(other.facts.pooling, null);
  }));

Deno.test("openModelSource() refuses by name what MAE's vision transformer has not", () =>
  inFolder(async (folder) => {
    const path = `${folder}/vit.safetensors`;
    const one: StoredTensor = { dtype: "F32", shape: [48], data: new Float32Array(48) };
    const cases: readonly (readonly [name: string, part: RegExp])[] = [
      [
        "blocks.0.ls1.gamma",
        /has layer scale \("blocks\.0\.ls1\.gamma"\), which MAE's vision transformer has not/,
      ],
      ["reg_token", /has register tokens/],
      ["dist_token", /has a distillation token/],
      ["norm_pre.bias", /has a norm before its blocks/],
      ["blocks.1.attn.k_norm.weight", /has normalised queries and keys/],
      ["blocks.1.novelty", /has parts in its blocks that are unknown here \("blocks\.1\.novelty"\)/],
    ];
    for (const [name, sentence] of cases) {
      await writeTensors(path, new Map([...await tinyVit(), [name, one]]));
      assertMatch(await refusal(path), sentence);
    }
    using partly = await openModelSource(path, { ...known, partial: true });
    assertEquals(partly.unused, ["blocks.1.novelty"]);
    const classless = await tinyVit();
    classless.delete("cls_token");
    await writeTensors(path, classless);
    assertMatch(await refusal(path), /has no class token, which every model of MAE has$/);
  }));

Deno.test("openModelSource() reads queries, keys and values without biases as if these were zero", () =>
  inFolder(async (folder) => {
    const path = `${folder}/vit.safetensors`;
    const state = await tinyVit();
    for (const block of [0, 1]) state.delete(`blocks.${block}.attn.qkv.bias`);
    await writeTensors(path, new Map([...state].map(([name, tensor]) => [`module.${name}`, tensor])));
    using source = await openModelSource(path, known);
    assertEquals(await source.read("blocks.1.attn.qkv.bias"), {
      dtype: "F32",
      shape: [144],
      data: new Float32Array(144),
    });
    assertEquals(source.notes.length, 1);
  }));

Deno.test("openModelSource() takes the model and not its average, wherever they lie", () =>
  inFolder(async (folder) => {
    const path = `${folder}/vit.safetensors`;
    const state = [...await tinyVit()];
    const zero = ([name, { dtype, shape }]: [string, StoredTensor]): [string, StoredTensor] => [
      `model_ema.${name}`,
      { dtype, shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) } as StoredTensor,
    ];
    await writeTensors(
      path,
      new Map([
        ...state.map(zero),
        ...state.map(([name, tensor]) => [`state_dict.${name}`, tensor] as const),
      ]),
    );
    using source = await openModelSource(path, known);
    assertEquals((await source.read("norm.weight")).data, new Map(state).get("norm.weight")?.data);
    assertEquals(source.unused.length, state.length);
  }));

Deno.test("openModelSource() names a part of queries, keys and values that is missing", () =>
  inFolder(async (folder) => {
    await Deno.copyFile(fixturePath("hf_vitmae_a/config.json"), `${folder}/config.json`);
    const whole = await Fixture.read("hf_vitmae_a/model.safetensors");
    const key = "vit.encoder.layer.1.attention.attention.key.weight";
    await writeTensors(
      `${folder}/model.safetensors`,
      new Map([...whole.tensors].filter(([name]) => name !== key)),
    );
    assertMatch(
      await refusal(folder),
      /does not hold blocks\.1\.attn\.qkv\.weight whole: beside "vit\..*\.query\.weight" there must be 2 more/,
    );
  }));
