/** Models from every kind to every other, bit for bit, and what is refused. */
import { openSafetensors, readSafetensors } from "../../../src/formats/safetensors.ts";
import type { StoredTensor } from "../../../src/formats/dtypes.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { openRuntime } from "../../../src/gpu/runtime.ts";
import { readTensor } from "../../../src/gpu/tensors.ts";
import { type ConvertKind, convertModel } from "../../../src/train/model_files/convert.ts";
import { openModelSource, readState } from "../../../src/train/model_files/model_source.ts";
import { openMae } from "../../../src/train/model_files/pretrained.ts";
import { readClassifier } from "../../../src/train/evaluate/trained_classifier.ts";
import { InputError } from "../../../src/util/errors.ts";
import { assertEquals, assertMatch, assertRejects } from "../../deps.ts";
import { assertRelative } from "../../support/compare.ts";
import { Fixture, fixtureJson, fixturePath } from "../../support/fixtures.ts";
import { inFolder } from "../../support/folder.ts";
import { tinyVit, type TinyVitOptions, writeTensors } from "../../support/tiny_vit.ts";

const known = { heads: 3, decoderHeads: 4 };

/** Where a kind is written to. */
function outputFor(folder: string, kind: ConvertKind): string {
  return kind === "huggingface" || kind === "timm" ? `${folder}/${kind}` : `${folder}/${kind}.safetensors`;
}

async function stateOf(path: string): Promise<Map<string, StoredTensor>> {
  using source = await openModelSource(path, known);
  return await readState(source);
}

/** Converts along every pair of kinds, and compares what comes out with what went in. */
async function roundTrips(input: string, kinds: readonly ConvertKind[]): Promise<void> {
  const wanted = [...await stateOf(input)].sort();
  await inFolder(async (folder) => {
    for (const first of kinds) {
      const between = outputFor(folder, first);
      await convertModel(input, between, { to: first, ...known });
      assertEquals([...await stateOf(between)].sort(), wanted, first);
      for (const second of kinds) {
        await Deno.mkdir(`${folder}/second`);
        const output = outputFor(`${folder}/second`, second);
        const { left } = await convertModel(between, output, { to: second, ...known });
        assertEquals([left, [...await stateOf(output)].sort()], ["", wanted], `${first} to ${second}`);
        await Deno.remove(`${folder}/second`, { recursive: true });
      }
    }
  });
}

for (const input of ["hf_vitmae_a", "mae_a_train10_checkpoint-9.pth"]) {
  Deno.test(`convertModel() takes ${input} through every pair of kinds unchanged`, () =>
    roundTrips(fixturePath(input), ["mae", "official", "huggingface"]));
}

const everything: readonly ConvertKind[] = ["mae", "official", "huggingface", "timm"];
const tiny: readonly (readonly [string, TinyVitOptions, readonly ConvertKind[]])[] = [
  ["an encoder", {}, everything],
  ["a classifier of the class token", { classes: 3 }, everything],
  ["a classifier of averaged patches", { classes: 3, pools: true }, ["mae", "official", "timm"]],
];
for (const [what, options, kinds] of tiny) {
  Deno.test(`convertModel() takes ${what} through every pair of kinds unchanged`, () =>
    inFolder(async (folder) => {
      await writeTensors(`${folder}/vit.safetensors`, await tinyVit(options));
      await roundTrips(`${folder}/vit.safetensors`, kinds);
    }));
}

Deno.test("convertModel() writes the folder that transformers wrote", () =>
  inFolder(async (folder) => {
    const training = fixturePath("mae_a_train10_checkpoint-9.pth");
    await convertModel(training, `${folder}/official.safetensors`, { to: "official" });
    const { files, left } = await convertModel(`${folder}/official.safetensors`, `${folder}/hf/`, known);
    assertEquals(files.map((file) => file.slice(folder.length)), [
      "/hf/model.safetensors",
      "/hf/config.json",
      "/hf/preprocessor_config.json",
    ]);
    assertEquals(left, "");
    using written = await openSafetensors(files[0]);
    using theirs = await openSafetensors(fixturePath("hf_vitmae_a/model.safetensors"));
    assertEquals(written.metadata, { format: "pt" });
    const outlines = (file: typeof written) =>
      [...file.tensors].map(([name, { dtype, shape }]) => [name, dtype, shape.join()]).sort();
    assertEquals(outlines(written), outlines(theirs));
    const { transformers_version: _, ...config } = await fixtureJson("hf_vitmae_a/config.json");
    const { hidden_dropout_prob: _one, attention_probs_dropout_prob: _two, ...rest } = config;
    assertEquals(JSON.parse(await Deno.readTextFile(files[1])), rest);
  }));

Deno.test("a model that went to Hugging Face's folder and back has the official loss", () =>
  inFolder(async (folder) => {
    const fixture = await Fixture.read("mae_a.safetensors");
    await writeTensors(`${folder}/mae.safetensors`, fixture.under("init/"));
    await convertModel(`${folder}/mae.safetensors`, `${folder}/hf`, known);
    await convertModel(`${folder}/hf`, `${folder}/back.safetensors`);
    await openRuntime({ backend: "cpu" });
    const { pix0 } = await fixtureJson("mae_a.json");
    for (const path of ["hf", "back.safetensors"]) {
      using source = await openModelSource(`${folder}/${path}`); // nobody says the heads again
      const model = await openMae(source);
      const loss = tf.tidy(() => {
        const images = tf.transpose(fixture.tensor("images"), [0, 2, 3, 1]);
        return model.forward(images, { maskRatio: 0.75, noise: fixture.values("noise") }).loss;
      });
      assertRelative(await readTensor(loss), [(pix0 as { loss: number }).loss], 2e-6, path);
      tf.dispose(loss);
      model.dispose();
    }
  }));

Deno.test("convertModel() keeps what is known of a classifier", () =>
  inFolder(async (folder) => {
    const bytes = await tinyVit({ classes: 2 });
    await writeTensors(`${folder}/vit.safetensors`, bytes);
    await convertModel(`${folder}/vit.safetensors`, `${folder}/hf`, known);
    const path = `${folder}/hf/config.json`;
    const config = JSON.parse(await Deno.readTextFile(path));
    assertEquals(config.id2label, { "0": "LABEL_0", "1": "LABEL_1" });
    const id2label = { "0": "cat", "1": "dog" };
    await Deno.writeTextFile(path, JSON.stringify({ ...config, id2label, layer_norm_eps: 1e-12 }));
    for (
      const [input, output] of [["hf", "mae.safetensors"], ["mae.safetensors", "again"], [
        "again",
        "b.safetensors",
      ]]
    ) {
      const { notes } = await convertModel(`${folder}/${input}`, `${folder}/${output}`);
      assertEquals(notes, []);
      const { classifier, encoder } = await readClassifier(`${folder}/${output}`);
      assertEquals([classifier.classes, classifier.pooling], [["cat", "dog"], "class_token"]);
      assertEquals([encoder.normEpsilon, encoder.encoder.heads], [1e-12, 3]);
    }
    const { notes } = await convertModel(`${folder}/again`, `${folder}/timm`, { to: "timm" });
    assertMatch(notes.join(), /^Its layer norms add 1e-12 to the variance; models of timm add 1e-6$/);
    assertEquals((await readClassifier(`${folder}/timm`)).classifier.classes, ["cat", "dog"]);
  }));

Deno.test("convertModel() rounds to the precision asked for, leaves parts out, and says so", () =>
  inFolder(async (folder) => {
    const input = fixturePath("hf_vitmae_a");
    const half = await convertModel(input, `${folder}/half.safetensors`, {
      precision: "f16",
      encoderOnly: true,
    });
    assertEquals(half.left, "decoder (32 tensors)");
    const tensors = await readSafetensors(`${folder}/half.safetensors`);
    assertEquals([tensors.size, new Set([...tensors.values()].map(({ dtype }) => dtype))], [
      30,
      new Set(["F16"]),
    ]);
    await convertModel(input, `${folder}/hf`, { precision: "bf16", encoderOnly: true });
    const config = JSON.parse(await Deno.readTextFile(`${folder}/hf/config.json`));
    assertEquals([config.architectures, config.dtype], [["ViTMAEModel"], "bfloat16"]);
    const state = await tinyVit();
    state.set("cls_token", { dtype: "F32", shape: [1, 1, 48], data: new Float32Array(48).fill(7e4) });
    await writeTensors(`${folder}/large.safetensors`, state);
    const convert = () =>
      convertModel(`${folder}/large.safetensors`, `${folder}/out.safetensors`, {
        precision: "f16",
        ...known,
      });
    const { message } = await assertRejects(convert, InputError);
    assertMatch(message, /^cls_token of ".*" cannot be f16: 70000 is too large; give f32 or bf16$/);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
      "half.safetensors",
      "hf",
      "large.safetensors",
    ]);
  }));

Deno.test("convertModel() refuses what is not whole, and writes the rest when asked to", () =>
  inFolder(async (folder) => {
    const state = await tinyVit();
    for (const name of [...state.keys()].filter((name) => name.startsWith("blocks.0."))) {
      if (!name.includes("fc1")) state.delete(name);
    }
    state.set("norm.bias", { dtype: "F32", shape: [3], data: new Float32Array(3) });
    const input = `${folder}/vit.safetensors`;
    await writeTensors(input, state);
    const { message } = await assertRejects(
      () => convertModel(input, `${folder}/out.safetensors`, known),
      InputError,
    );
    assertMatch(
      message,
      /does not hold its model whole: 10 missing: blocks\.0\.norm1\.weight, .*; 1 of another shape: norm\.bias \[3\] instead of \[48\]; --partial loads what fits$/,
    );
    const { notes } = await convertModel(input, `${folder}/out.safetensors`, { ...known, partial: true });
    assertMatch(notes.join("\n"), /^What does not fit is left out: 10 missing: /);
    assertEquals((await readSafetensors(`${folder}/out.safetensors`)).size, 19);
  }));

Deno.test("convertModel() never replaces anything unasked, and nothing of others when asked", () =>
  inFolder(async (folder) => {
    const input = fixturePath("hf_vitmae_a");
    const refusal = async (output: string, options = {}) =>
      (await assertRejects(() => convertModel(input, `${folder}/${output}`, options), InputError)).message;
    await Deno.mkdir(`${folder}/full`);
    await Deno.mkdir(`${folder}/empty`);
    await Deno.writeTextFile(`${folder}/full/mine.txt`, "mine");
    await Deno.writeTextFile(`${folder}/old.safetensors`, "old");
    assertMatch(await refusal("full"), /full" exists already; --force replaces it$/);
    assertMatch(await refusal("old.safetensors"), /old\.safetensors" exists already; --force replaces it$/);
    assertMatch(await refusal("no/where.safetensors"), /^There is no folder ".*no" to write/);
    assertMatch(
      await refusal("weights.pth"),
      /would be of a format that is not written: give NAME\.safetensors/,
    );
    assertMatch(await refusal("b.onx"), /format that is not written: give NAME.*; did you mean "\.onnx"\?$/);
    assertMatch(await refusal("a.onnx", { to: "mae" }), /^--to mae writes a file NAME\.safetensors, not/);
    assertMatch(
      await refusal("a.safetensors", { to: "huggingface" }),
      /^--to huggingface writes a folder, and/,
    );
    assertMatch(
      await refusal("full", { force: true, heads: 5 }),
      /^--heads 5 contradicts ".*", where config\.json says 3$/,
    );
    assertEquals(await Deno.readTextFile(`${folder}/old.safetensors`), "old");
    await convertModel(input, `${folder}/empty`);
    await convertModel(input, `${folder}/full`, { force: true });
    await convertModel(input, `${folder}/old.safetensors`, { force: true });
    assertEquals(await Deno.readTextFile(`${folder}/full/mine.txt`), "mine");
    const own = await assertRejects(
      () => convertModel(`${folder}/full`, `${folder}/full`, { force: true }),
      InputError,
    );
    assertMatch(own.message, /is the input itself; give another output$/);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
      "empty",
      "full",
      "old.safetensors",
    ]);
  }));

Deno.test("convertModel() refuses what the other kind cannot say", () =>
  inFolder(async (folder) => {
    const input = `${folder}/vit.safetensors`;
    const refusal = async (output: string, options = {}) =>
      (await assertRejects(() => convertModel(input, `${folder}/${output}`, options), InputError)).message;
    await writeTensors(input, await tinyVit({ classes: 2, pools: true }));
    assertMatch(
      await refusal("hf", known),
      /averages patches and has no last norm for all tokens.*--to timm/,
    );
    assertMatch(
      await refusal("x.onnx", { ...known, precision: "bf16" }),
      /holds weights as f32 or f16, not bf16$/,
    );
    const state = await tinyVit();
    await writeTensors(input, state);
    assertMatch(await refusal("hf"), /does not say how many heads its encoder of width 48 has: give --heads/);
    state.set("norm.bias", { dtype: "I64", shape: [48], data: new BigInt64Array(48) });
    await writeTensors(input, state);
    assertMatch(
      await refusal("a.safetensors"),
      /^norm\.bias of ".*" is of type I64, and weights are floating-point/,
    );
  }));
