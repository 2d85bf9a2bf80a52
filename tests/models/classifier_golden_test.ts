/** The classifier against the official fine-tuning's numbers (fixture `finetune`), at the tolerances of the fixtures' README. */
import { assert, assertEquals } from "../deps.ts";
import { tf } from "../../src/deps/tfjs.ts";
import { readTensor } from "../../src/gpu/tensors.ts";
import { type Classifier, createClassifier } from "../../src/models/classifier.ts";
import type { ComputeOptions } from "../../src/models/compute.ts";
import { withBody } from "../../src/ops/operation.ts";
import { Control } from "../../src/ops/update/step_control.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { layerDecayGroups } from "../../src/optim/groups.ts";
import { learningRateAt } from "../../src/optim/schedule.ts";
import { testOnBackends, testOnWebGpu } from "../support/backends.ts";
import { assertClose, assertRelative } from "../support/compare.ts";
import { Fixture, fixtureJson, withoutKeyBias } from "../support/fixtures.ts";
import { halfAvailable } from "../support/targets.ts";

interface GoldenRun {
  missing_keys: string[];
  unexpected_keys: string[];
  loss: number;
  requires_grad: string[];
  lrd_groups: { lr_scale: number; weight_decay: number; params: string[] }[];
  train5: { lrs: number[]; losses: number[]; clip_grad: number | null };
  "grad_norm_before_clip_at_1.0"?: number[];
}

const runs = [["gap", "average"], ["cls", "class_token"]] as const;
const schedule = { learningRate: 1e-3, minLearningRate: 1e-6, warmupEpochs: 2, epochs: 6 };

async function openGolden([key, pooling]: typeof runs[number], compute: ComputeOptions = {}) {
  const fixture = await Fixture.read("finetune.safetensors");
  const golden = (await fixtureJson("finetune.json"))[key] as GoldenRun;
  const model = createClassifier({
    imageSize: 32,
    patchSize: 8,
    encoder: { width: 48, depth: 2, heads: 3, mlpRatio: 4 },
    classes: 10,
    pooling,
  }, compute);
  model.loadState(fixture.under(`${key}/init/`));
  const images = tf.transpose(fixture.tensor("images"), [0, 2, 3, 1]);
  return { fixture, model, images, golden, targets: fixture.tensor("soft_targets") };
}

function optimizerOf(model: Classifier, clipNorm: number | null): AdamW {
  const groups = layerDecayGroups(model.trainable, { weightDecay: 0.05, layerDecay: 0.75, depth: 2 });
  return new AdamW(model.trainable, groups, { betas: [0.9, 0.999], clipNorm });
}

for (const run of runs) {
  const [key, pooling] = run;

  testOnBackends(
    `features, logits, loss and every gradient equal the official ones, ${pooling}`,
    async () => {
      const { fixture, model, images, golden, targets } = await openGolden(run);
      assertClose(
        await readTensor(model.features(images)),
        fixture.values(`${key}/features`),
        2e-5,
        "features",
      );
      assertClose(await readTensor(model.logits(images)), fixture.values(`${key}/logits`), 2e-5, "logits");
      const { loss, gradients } = model.lossAndGradients(images, targets);
      assertRelative(await readTensor(loss), [golden.loss], 2e-6, "loss");
      assertEquals([...gradients.keys()], golden.requires_grad);
      for (const [name, gradient] of gradients) {
        const official = withoutKeyBias(name, fixture.values(`${key}/grad/${name}`));
        assertRelative(withoutKeyBias(name, await readTensor(gradient)), official, 1e-4, name);
      }
    },
  );

  testOnBackends(`layer-decay groups equal the official ones, ${pooling}`, async () => {
    const { model, golden } = await openGolden(run);
    const groups = layerDecayGroups(model.trainable, { weightDecay: 0.05, layerDecay: 0.75, depth: 2 });
    assertEquals(
      groups.map(({ names, lrScale, weightDecay }) => [names, lrScale, weightDecay]),
      golden.lrd_groups.map(({ params, lr_scale, weight_decay }) => [params, lr_scale, weight_decay]),
    );
  });

  for (const body of ["kernel", "composed"] as const) {
    testOnBackends(
      `five steps of fine-tuning end at the official weights, ${pooling}, ${body} bodies`,
      async () => {
        const { fixture, model, images, golden, targets } = await openGolden(run);
        const { lrs, losses, clip_grad } = golden.train5;
        const optimizer = optimizerOf(model, clip_grad);
        let norms = 0;
        for (let step = 0; step < 5; step++) {
          const rate = learningRateAt(step + 1, schedule);
          assertClose([rate], [lrs[step]], 1e-15, "learning rate");
          const { loss, gradients } = withBody(body, () => model.lossAndGradients(images, targets));
          assertRelative(await readTensor(loss), [losses[step]], 2e-5, `loss ${step}`);
          withBody(body, () => {
            optimizer.accumulate(loss, gradients);
            optimizer.step(rate);
          });
          norms += golden["grad_norm_before_clip_at_1.0"]?.[step] ?? 0;
        }
        if (clip_grad !== null) {
          assertRelative(
            [(await readTensor(optimizer.control))[Control.normSum]],
            [norms],
            1e-4,
            "gradient norms",
          );
        }
        for (const [name, { data }] of await model.state()) {
          const official = fixture.values(`${key}/train5/${name}`);
          const values = data as Float32Array;
          assertClose(withoutKeyBias(name, values), withoutKeyBias(name, official), 2e-4, name);
          assertClose(values, official, 1e-2, `key bias of ${name}`);
        }
      },
    );
  }

  testOnWebGpu(`f16 stays close to the official loss and gradients, ${pooling}`, async () => {
    if (!halfAvailable()) return;
    const { fixture, model, images, golden, targets } = await openGolden(run, { precision: "f16" });
    const { loss, gradients } = model.lossAndGradients(images, targets);
    assertRelative(await readTensor(loss), [golden.loss], 1e-3, "loss");
    for (const [name, gradient] of gradients) {
      const official = withoutKeyBias(name, fixture.values(`${key}/grad/${name}`));
      assertRelative(withoutKeyBias(name, await readTensor(gradient)), official, 2e-2, name);
    }
  });

  testOnBackends(
    `an encoder is taken from pre-training as the official code takes it, ${pooling}`,
    async () => {
      const { fixture, model, golden } = await openGolden(run);
      const before = await model.state();
      const pretrained = (await Fixture.read("mae_a.safetensors")).under("init/");
      const load = model.loadEncoder(pretrained);
      assertEquals([...load.kept].sort(), [...golden.missing_keys].sort());
      assertEquals([...load.ignored].sort(), [...golden.unexpected_keys].sort());
      assertEquals(load.resampledFrom, null);
      for (const [name, { data }] of await model.state()) {
        if (load.kept.includes(name)) assertEquals(data, before.get(name)?.data, name);
        else {
          assertEquals(data, pretrained.get(name)?.data, name);
          assertEquals(data, fixture.values(`${key}/init/${name}`), name);
        }
      }
      assert(load.kept.length > 0);
    },
  );
}
