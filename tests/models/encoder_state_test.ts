/** Encoders out of checkpoints of every kind, and the sentences about those that do not fit. */
import { assertEquals, assertThrows } from "../deps.ts";
import type { StoredTensor } from "../../src/formats/dtypes.ts";
import { type Classifier, createClassifier } from "../../src/models/classifier.ts";
import type { ClassifierConfig } from "../../src/models/classifier_config.ts";
import { createMae } from "../../src/models/mae.ts";
import { resamplePositions } from "../../src/nn/resample_positions.ts";
import { InputError } from "../../src/util/errors.ts";
import { testOnBackends } from "../support/backends.ts";

const encoder = { width: 8, depth: 2, heads: 2, mlpRatio: 2 };
const base = { imageSize: 16, patchSize: 4, encoder, classes: 3, pooling: "average" } as const;

function classifier(changes: Partial<ClassifierConfig> = {}, seed = 1): Classifier {
  return createClassifier({ ...base, ...changes }, { seed });
}

/** Values of a pre-training model, whole. */
async function pretrained(changes: { imageSize?: number | [number, number] } = {}) {
  const mae = createMae({
    imageSize: 16,
    patchSize: 4,
    encoder,
    decoder: { ...encoder, depth: 1 },
    ...changes,
  }, {
    seed: 5,
  });
  return await mae.state();
}

function only(state: ReadonlyMap<string, StoredTensor>, keep: (name: string) => boolean) {
  return new Map([...state].filter(([name]) => keep(name)));
}

const ofDecoder = /^(mask_token$|decoder_)/;

testOnBackends("loadEncoder() takes whole, encoder-only and fine-tuned checkpoints", async () => {
  const whole = await pretrained();
  const encoderOnly = only(whole, (name) => !ofDecoder.test(name));
  for (const pooling of ["average", "class_token"] as const) {
    const norm = pooling === "average" ? "fc_norm" : "norm";
    for (const state of [whole, encoderOnly]) {
      const model = classifier({ pooling });
      const { ignored, kept } = model.loadEncoder(state);
      const unused = [...state.keys()].filter((name) =>
        ofDecoder.test(name) || pooling === "average" && name.startsWith("norm.")
      );
      assertEquals(ignored, unused);
      const fresh = ["head.weight", "head.bias", "fc_norm.weight", "fc_norm.bias"];
      assertEquals(kept, pooling === "average" ? fresh : fresh.slice(0, 2));
      const after = await model.state();
      for (const name of encoderOnly.keys()) {
        if (!ignored.includes(name)) assertEquals(after.get(name), encoderOnly.get(name), name);
      }
    }
    // Of a fine-tuned one the norm goes along, the head does not: it may be of other classes.
    const tuned = await classifier({ pooling, classes: 7 }, 9).state();
    tuned.set(`${norm}.weight`, { shape: [8], dtype: "F32", data: new Float32Array(8).fill(3) });
    const model = classifier({ pooling });
    const { ignored, kept } = model.loadEncoder(tuned);
    assertEquals([ignored, kept], [["head.weight", "head.bias"], ["head.weight", "head.bias"]]);
    assertEquals((await model.state()).get(`${norm}.weight`), tuned.get(`${norm}.weight`));
  }
});

testOnBackends("loadEncoder() resamples positions of another grid, and says which", async () => {
  const state = await pretrained();
  const positions = state.get("pos_embed") as StoredTensor;
  const larger = classifier({ imageSize: 24 });
  assertEquals(larger.loadEncoder(state).resampledFrom, [4, 4]);
  const resampled = resamplePositions(positions.data as Float32Array, 8, [4, 4], [6, 6]);
  assertEquals((await larger.state()).get("pos_embed")?.data, resampled);

  const wide = await pretrained({ imageSize: [8, 32] }); // as many patches, in another grid
  const square = classifier();
  assertEquals(square.loadEncoder(wide, { grid: [2, 8] }).resampledFrom, [2, 8]);
  const fromWide = resamplePositions(wide.get("pos_embed")?.data as Float32Array, 8, [2, 8], [4, 4]);
  assertEquals((await square.state()).get("pos_embed")?.data, fromWide);
  assertEquals(square.loadEncoder(state, { grid: [4, 4] }).resampledFrom, null);
});

testOnBackends("loadEncoder() says in one sentence what does not fit, and changes nothing", async () => {
  const state = await pretrained();
  const model = classifier();
  const before = await model.state();
  const blocks = only(state, (name) => !name.startsWith("blocks.1."));
  const odd = await pretrained({ imageSize: [8, 12] });
  const broken = new Map(state).set("cls_token", { shape: [8], dtype: "F32", data: new Float32Array(8) });
  const others: [Classifier, ReadonlyMap<string, StoredTensor>, string, [number, number]?][] = [
    [
      classifier({ encoder: { ...encoder, width: 12 } }),
      state,
      "The checkpoint's encoder does not fit this model: it has width 8 instead of 12, MLP width 16 instead of 24; " +
      "only image size and head may differ from the model it was trained as",
    ],
    [classifier({ patchSize: [4, 8] }), state, "it has patch size 4x4 instead of 4x8; only"],
    [classifier({ channels: 1 }), state, "it has channels 3 instead of 1; only"],
    [classifier({ encoder: { ...encoder, depth: 3 } }), state, "it has blocks 2 instead of 3; only"],
    [model, blocks, "it has blocks 1 instead of 2; only"],
    [classifier({ encoder: { ...encoder, mlpRatio: 4 } }), state, "it has MLP width 16 instead of 32; only"],
    [
      model,
      only(state, (name) => ofDecoder.test(name)),
      "The checkpoint holds no encoder (20 tensors, the first is mask_token): " +
      "give one of pre-training, whole or encoder only, or of fine-tuning",
    ],
    [model, new Map(), "The checkpoint holds no encoder (0 tensors, the first is missing)"],
    [model, broken, "1 of another shape: cls_token [8] instead of [1, 1, 8]"],
    [model, only(state, (name) => name !== "pos_embed"), "1 missing: pos_embed"],
    [
      classifier({ pooling: "class_token" }),
      only(state, (name) => name !== "norm.bias"),
      " missing: norm.bias",
    ],
    [model, new Map(state).set("odd", broken.get("cls_token") as StoredTensor), "1 unexpected: odd"],
    [model, odd, "The checkpoint's 6 positions are no square grid of patches: say which grid they are of"],
    [model, odd, "The checkpoint's 6 positions are no grid of 2x2 patches", [2, 2]],
  ];
  for (const [other, given, sentence, grid] of others) {
    const error = assertThrows(() => other.loadEncoder(given, { grid }), InputError, sentence);
    assertEquals(error.message.includes("\n"), false);
  }
  assertEquals(await model.state(), before);
});
