/** The whole model against the official code's numbers (fixture `mae_a`), at the tolerances of the fixtures' README. */
import { assertEquals, assertRejects } from "../deps.ts";
import { tf } from "../../src/deps/tfjs.ts";
import { readTensor } from "../../src/gpu/tensors.ts";
import type { ComputeOptions } from "../../src/models/compute.ts";
import { createMae, type Mae } from "../../src/models/mae.ts";
import { attentionBranch, mlpBranch } from "../../src/nn/block.ts";
import { withBody } from "../../src/ops/operation.ts";
import { patchEmbed } from "../../src/ops/pixels/patch_embed.ts";
import { patchify } from "../../src/ops/pixels/patchify.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { pretrainGroups } from "../../src/optim/groups.ts";
import { openRuntime } from "../../src/gpu/runtime.ts";
import { InputError } from "../../src/util/errors.ts";
import { testOnBackends, testOnWebGpu } from "../support/backends.ts";
import { assertClose, assertRelative } from "../support/compare.ts";
import { Fixture, fixtureJson, withoutKeyBias } from "../support/fixtures.ts";

interface GoldenRun {
  loss: number;
  grad_norm: number;
  train10: { losses: number[] };
}

const maskRatio = 0.75;

async function openGolden(normalizeTarget: boolean, compute: ComputeOptions = {}) {
  const fixture = await Fixture.read("mae_a.safetensors");
  const json = await fixtureJson("mae_a.json");
  const model = createMae({
    imageSize: 32,
    patchSize: 8,
    encoder: { width: 48, depth: 2, heads: 3, mlpRatio: 4 },
    decoder: { width: 32, depth: 2, heads: 4, mlpRatio: 4 },
    normalizeTarget,
  }, compute);
  model.loadState(fixture.under("init/"));
  const key = normalizeTarget ? "pix1" : "pix0";
  const images = tf.transpose(fixture.tensor("images"), [0, 2, 3, 1]) as tf.Tensor4D;
  return { fixture, model, images, key, golden: json[key] as GoldenRun, json };
}

for (const normalize of [false, true]) {
  const target = normalize ? "normalised target" : "plain target";

  testOnBackends(`forward equals the official activations, prediction and loss, ${target}`, async () => {
    const { fixture, model, images, golden } = await openGolden(normalize);
    const activations = new Map<string, tf.Tensor>();
    const output = model.forward(images, { maskRatio, noise: fixture.values("noise") }, (name, x) => {
      activations.set(name, x);
    });
    for (
      const name of [
        "blocks.0",
        "blocks.1",
        "norm",
        "decoder_embed",
        "decoder_blocks.0",
        "decoder_blocks.1",
        "decoder_norm",
      ]
    ) {
      assertClose(
        await readTensor(activations.get(name) as tf.Tensor),
        fixture.values(`act/${name}`),
        2e-5,
        name,
      );
    }
    assertClose(await readTensor(output.latent), fixture.values("latent"), 2e-5, "latent");
    assertClose(await readTensor(output.prediction), fixture.values("pred"), 2e-5, "prediction");
    assertEquals(await readTensor(output.mask), fixture.values("mask"));
    assertEquals(await readTensor(output.idsRestore), fixture.values("ids_restore"));
    assertRelative(await readTensor(output.loss), [golden.loss], 2e-6, "loss");
  });

  testOnBackends(`every gradient equals the official one, ${target}`, async () => {
    const { fixture, model, images, key, golden } = await openGolden(normalize);
    const { loss, gradients } = model.lossAndGradients(images, { maskRatio, noise: fixture.tensor("noise") });
    assertRelative(await readTensor(loss), [golden.loss], 2e-6, "loss");
    const expected = fixture.under(`${key}/grad/`);
    assertEquals([...gradients.keys()].sort(), [...expected.keys()].sort());
    let squares = 0;
    for (const [name, gradient] of gradients) {
      const values = await readTensor(gradient);
      squares += values.reduce((sum, value) => sum + value * value, 0);
      const official = withoutKeyBias(name, fixture.values(`${key}/grad/${name}`));
      assertRelative(withoutKeyBias(name, values), official, 1e-4, name);
    }
    assertRelative([Math.sqrt(squares)], [golden.grad_norm], 1e-4, "gradient norm");
  });

  for (const body of ["kernel", "composed"] as const) {
    testOnBackends(`ten AdamW steps end at the official weights, ${target}, ${body} bodies`, async () => {
      const { fixture, model, images, key, golden } = await openGolden(normalize);
      const groups = pretrainGroups(model.trainable, 0.05);
      const optimizer = new AdamW(model.trainable, groups);
      const noise = fixture.values("train_noise");
      const losses: number[] = [];
      for (let step = 0; step < 10; step++) {
        const { loss, gradients } = withBody(
          body,
          () => model.lossAndGradients(images, { maskRatio, noise: noise.slice(64 * step, 64 * step + 64) }),
        );
        losses.push(...await readTensor(loss));
        withBody(body, () => {
          optimizer.accumulate(loss, gradients);
          optimizer.step(1e-3);
        });
        if (step === 0) await compareWeights(model, fixture, `${key}/train1/`);
      }
      losses.forEach((loss, step) =>
        assertRelative([loss], [golden.train10.losses[step]], 2e-5, `loss ${step}`)
      );
      await compareWeights(model, fixture, `${key}/train10/`);
      if (!normalize) {
        for (const [name, { data }] of await optimizer.state()) {
          const official = `pix0/train10_${name.replace(".", "/")}`;
          if (name === "control" || name.endsWith("attn.qkv.bias")) continue;
          assertRelative(data as Float32Array, fixture.values(official), 1e-3, name);
        }
      }
    });
  }
}

async function compareWeights(model: Mae, fixture: Fixture, prefix: string): Promise<void> {
  for (const [name, { data }] of await model.state()) {
    if (!model.trainable.has(name)) continue;
    const official = fixture.values(prefix + name);
    assertClose(
      withoutKeyBias(name, data as Float32Array),
      withoutKeyBias(name, official),
      2e-4,
      prefix + name,
    );
    assertClose(data as Float32Array, official, 1e-2, `key bias of ${prefix}${name}`);
  }
}

testOnBackends("remat gives the same loss and gradients, bit for bit", async () => {
  const results = [];
  for (const remat of [false, true]) {
    const { fixture, model, images } = await openGolden(true, { remat });
    const { loss, gradients } = model.lossAndGradients(images, { maskRatio, noise: fixture.values("noise") });
    const values = await Promise.all([...gradients.values()].map(readTensor));
    results.push([await readTensor(loss), ...values]);
    model.dispose();
  }
  assertEquals(results[1], results[0]);
});

for (const normalize of [false, true]) {
  const target = normalize ? "normalised target" : "plain target";

  testOnWebGpu(`f16 stays close to the official loss, gradients and weights, ${target}`, async () => {
    const { fixture, model, images, key, golden } = await openGolden(normalize, { precision: "f16" });
    const { loss, gradients } = model.lossAndGradients(images, { maskRatio, noise: fixture.values("noise") });
    assertRelative(await readTensor(loss), [golden.loss], 1e-3, "loss");
    for (const [name, gradient] of gradients) {
      const official = withoutKeyBias(name, fixture.values(`${key}/grad/${name}`));
      assertRelative(withoutKeyBias(name, await readTensor(gradient)), official, 2e-2, name);
    }
    const optimizer = new AdamW(model.trainable, pretrainGroups(model.trainable, 0.05));
    const noise = fixture.values("train_noise");
    for (let step = 0; step < 10; step++) {
      const options = { maskRatio, noise: noise.slice(64 * step, 64 * step + 64) };
      const made = model.lossAndGradients(images, options);
      assertRelative(await readTensor(made.loss), [golden.train10.losses[step]], 5e-3, `loss ${step}`);
      optimizer.accumulate(made.loss, made.gradients);
      optimizer.step(1e-3);
    }
  });
}

Deno.test("f16 is refused with one sentence where the device has no half precision", async () => {
  await openRuntime({ backend: "cpu" });
  await assertRejects(() => openGolden(false, { precision: "f16" }), InputError, "shader-f16");
});

testOnBackends("patch embedding and the halves of a block equal the official activations", async () => {
  const { fixture, model, images } = await openGolden(false);
  const weights = model.parameters;
  const patches = patchify(images, [8, 8]);
  const [weight, bias] = ["weight", "bias"].map((kind) =>
    weights.get(`patch_embed.proj.${kind}`) as tf.Variable
  );
  assertClose(
    await readTensor(patchEmbed(patches, weight, bias)),
    fixture.values("act/patch_embed"),
    2e-5,
    "patch_embed",
  );
  let input: tf.Tensor | undefined;
  const noise = fixture.values("noise");
  model.forward(images, { maskRatio, noise }, (name, x) => {
    if (name === "tokens") input = x;
  });
  const attended = attentionBranch(weights, "blocks.0", 3, input as tf.Tensor);
  const withoutResidual = (sum: tf.Tensor, x: tf.Tensor) => readTensor(tf.sub(sum, x));
  assertClose(
    await withoutResidual(attended, input as tf.Tensor),
    fixture.values("act/blocks.0.attn"),
    2e-5,
    "attention half",
  );
  const mlp = mlpBranch(weights, "blocks.0", attended);
  assertClose(await withoutResidual(mlp, attended), fixture.values("act/blocks.0.mlp"), 2e-5, "MLP half");
});

testOnBackends("parameter names, order and count are the official ones", async () => {
  const { model, json } = await openGolden(false);
  assertEquals([...model.parameters.keys()], json.named_parameters_order as string[]);
  assertEquals(model.parameterCount, json.param_count as number);
});
