/** Masked autoencoders from files of every kind, at their own size and at another. */
import type { Size } from "../../../src/config/types.ts";
import { tf } from "../../../src/deps/tfjs.ts";
import { openRuntime } from "../../../src/gpu/runtime.ts";
import { readTensor } from "../../../src/gpu/tensors.ts";
import { resamplePositions } from "../../../src/nn/resample_positions.ts";
import { openModelSource, readState } from "../../../src/train/model_files/model_source.ts";
import { openMae } from "../../../src/train/model_files/pretrained.ts";
import { InputError } from "../../../src/util/errors.ts";
import { assertEquals, assertRejects } from "../../deps.ts";
import { assertRelative } from "../../support/compare.ts";
import { Fixture, fixtureJson, fixturePath } from "../../support/fixtures.ts";

const known = { heads: 3, decoderHeads: 4 };

Deno.test("openMae() computes the official loss from the files of others", async () => {
  await openRuntime({ backend: "cpu" });
  const fixture = await Fixture.read("mae_a.safetensors");
  const official = await fixtureJson("mae_a.json") as { pix0: { loss: number } };
  const images = tf.transpose(fixture.tensor("images"), [0, 2, 3, 1]); // [N, H, W, C]
  using source = await openModelSource(fixturePath("hf_vitmae_a"), known);
  const mae = await openMae(source);
  const { loss } = mae.forward(images, { maskRatio: 0.75, noise: fixture.values("noise") });
  assertRelative(await readTensor(loss), [official.pix0.loss], 2e-6, "loss");
  mae.dispose();
});

Deno.test("openMae() puts both position embeddings on another grid and leaves the rest", async () => {
  await openRuntime({ backend: "cpu" });
  using source = await openModelSource(fixturePath("hf_vitmae_a"), known);
  const stored = await readState(source);
  const imageSize: Size = [24, 48]; // 3 x 6 patches of the 4 x 4 it was trained on
  const mae = await openMae(source, { imageSize });
  assertEquals([mae.imageSize, mae.grid], [imageSize, [3, 6]]);
  const state = await mae.state();
  assertEquals([...state.keys()].sort(), [...stored.keys()].sort());
  for (const [name, { shape, data }] of state) {
    const original = stored.get(name);
    const width = shape[2];
    const expected = name.endsWith("pos_embed")
      ? resamplePositions(Float32Array.from(original?.data ?? [], Number), width, [4, 4], [3, 6])
      : original?.data;
    assertEquals(data, expected, name);
  }
  mae.dispose();
});

Deno.test("openMae() needs a decoder, and sizes that fit", async () => {
  await openRuntime({ backend: "cpu" });
  {
    using source = await openModelSource(fixturePath("mae_a_init_encoder_only.pth"), known);
    await assertRejects(
      () => openMae(source),
      InputError,
      "has no decoder: give a checkpoint of mae pretrain",
    );
  }
  using source = await openModelSource(fixturePath("hf_vitmae_a"), known);
  await assertRejects(() => openMae(source, { imageSize: [30, 32] }), InputError, "cannot be used");
});
