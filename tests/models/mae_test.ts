import { assert, assertEquals, assertThrows } from "../deps.ts";
import { tf } from "../../src/deps/tfjs.ts";
import { readTensor } from "../../src/gpu/tensors.ts";
import { createMae, type MaeConfig } from "../../src/models/mae.ts";
import { patchify } from "../../src/ops/pixels/patchify.ts";
import { InputError } from "../../src/util/errors.ts";
import { Random } from "../../src/util/random.ts";
import { testOnBackends } from "../support/backends.ts";
import { assertRelative, randomTensor } from "../support/compare.ts";

const small: MaeConfig = {
  imageSize: [12, 8],
  patchSize: [3, 2],
  channels: 5,
  encoder: { width: 12, depth: 1, heads: 4, mlpRatio: 1.75 },
  decoder: { width: 20, depth: 2, heads: 4, mlpRatio: 0.4 },
};

testOnBackends(
  "ragged sizes: rectangles, five channels, head widths 3 and 5, fractional MLP ratios",
  async () => {
    for (const maskTokens of ["decoder", "encoder"] as const) {
      const model = createMae({ ...small, maskTokens, normalizeTarget: true }, { seed: 3 });
      assertEquals(model.grid, [4, 4]);
      assertEquals(model.parameters.get("blocks.0.mlp.fc1.weight")?.shape, [21, 12]);
      assertEquals(model.parameters.get("decoder_blocks.1.mlp.fc1.weight")?.shape, [8, 20]);
      const images = randomTensor([2, 12, 8, 5], 1);
      const noise = new Random(1).uniformArray(32);
      const { loss, gradients } = model.lossAndGradients(images, { maskRatio: 0.7, noise });
      const [value] = await readTensor(loss);
      assert(value > 0 && Number.isFinite(value));
      assertEquals(gradients.size, model.trainable.size);
      // Every parameter matters: moving against the gradients lowers the loss by about |g|² · step.
      let squares = 0;
      const step = 1e-3;
      for (const [name, variable] of model.trainable) {
        const gradient = gradients.get(name) as tf.Tensor;
        squares += (await readTensor(tf.sum(tf.square(gradient))))[0];
        variable.assign(tf.sub(variable, tf.mul(gradient, step)));
      }
      const [moved] = await readTensor(model.forward(images, { maskRatio: 0.7, noise }).loss);
      assertRelative(
        [value - moved],
        [squares * step],
        0.1,
        `loss change with mask tokens in the ${maskTokens}`,
      );
      const { latent, prediction } = model.forward(images, { maskRatio: 0.7, noise });
      assertEquals(latent.shape, [2, maskTokens === "encoder" ? 17 : 5, 12]);
      assertEquals(prediction.shape, [2, 16, 30]);
    }
  },
);

testOnBackends("a patch without variance gives a finite loss and finite gradients", async () => {
  const model = createMae({ ...small, normalizeTarget: true });
  const { loss, gradients } = model.lossAndGradients(tf.fill([1, 12, 8, 5], 0.3), {
    maskRatio: 0.5,
    noise: new Random(1).uniformArray(16),
  });
  assert(Number.isFinite((await readTensor(loss))[0]));
  for (const gradient of gradients.values()) assert((await readTensor(gradient)).every(Number.isFinite));
});

testOnBackends("seeds decide the first values; different seeds differ", async () => {
  const [a, b, c] = await Promise.all([7, 7, 8].map((seed) => createMae(small, { seed }).state()));
  assertEquals(a, b);
  assert(a.get("cls_token")?.data.join() !== c.get("cls_token")?.data.join());
});

testOnBackends(
  "loadState() names what is missing, unexpected or of another shape, and then changes nothing",
  async () => {
    const model = createMae(small);
    const state = await model.state();
    const wrong = new Map(state);
    wrong.delete("norm.bias");
    wrong.set("extra", { dtype: "F32", shape: [1], data: new Float32Array(1) });
    wrong.set("cls_token", { dtype: "F32", shape: [1, 1, 8], data: new Float32Array(8) });
    const error = assertThrows(() => model.loadState(wrong), InputError);
    assertEquals(
      error.message,
      "The checkpoint does not fit this model: 1 missing: norm.bias; 1 unexpected: extra; 1 of another shape: cls_token [1, 1, 8] instead of [1, 1, 12]",
    );
    assertEquals(await model.state(), state);
  },
);

testOnBackends("createMae() and forward() refuse what cannot be", () => {
  const bad: [Partial<MaeConfig>, string][] = [
    [{ imageSize: 10 }, "no whole number"],
    [{ channels: 0 }, "channels must be a whole number from 1, not 0"],
    [
      { encoder: { width: 12, depth: 1, heads: 5, mlpRatio: 4 } },
      "encoder.width 12 must be a multiple of its 5 heads",
    ],
    [
      { encoder: { width: 18, depth: 1, heads: 3, mlpRatio: 4 } },
      "encoder.width must be a multiple of 4, not 18",
    ],
    [
      { decoder: { width: 12, depth: 0, heads: 3, mlpRatio: 4 } },
      "decoder.depth must be a whole number from 1, not 0",
    ],
    [{ decoder: { width: 12, depth: 1, heads: 3, mlpRatio: 0.01 } }, "leaves no hidden layer"],
  ];
  for (const [change, message] of bad) {
    assertThrows(() => createMae({ ...small, ...change }), RangeError, message);
  }
  const model = createMae(small);
  const noise = new Float32Array(16);
  assertThrows(
    () => model.forward(tf.zeros([1, 8, 12, 5]), { maskRatio: 0.5, noise }),
    RangeError,
    "[N, 12, 8, 5]",
  );
  assertThrows(
    () => model.forward(tf.zeros([1, 12, 8, 5]), { maskRatio: 0.99, noise }),
    RangeError,
    "keeps none",
  );
  return Promise.resolve();
});

testOnBackends("lossAndGradients() of patches equals that of their images", async () => {
  const model = createMae(small);
  const images = randomTensor([2, 12, 8, 5], 3);
  const noise = new Random(4).uniformArray(2 * model.length);
  const [whole, cut] = [images, patchify(images, model.patchSize)].map((input) =>
    model.lossAndGradients(input, { maskRatio: 0.5, noise })
  );
  assertEquals(await readTensor(cut.loss), await readTensor(whole.loss));
  for (const [name, gradient] of whole.gradients) {
    assertEquals(
      await readTensor(cut.gradients.get(name) ?? tf.scalar(NaN)),
      await readTensor(gradient),
      name,
    );
  }
  assertThrows(
    () => model.forward(tf.zeros([2, 15, 30]), { maskRatio: 0.5, noise }),
    RangeError,
    "or patches [N, 16, 30], not [2,15,30]",
  );
});
