/** Every operation against PyTorch's values and gradients (fixture `ops`). */
import type { tf as Tf } from "../../src/deps/tfjs.ts";
import { tf } from "../../src/deps/tfjs.ts";
import { attention } from "../../src/ops/attention/attention.ts";
import { gelu } from "../../src/ops/product/gelu.ts";
import { layerNorm } from "../../src/ops/norm/layer_norm.ts";
import { linear } from "../../src/ops/product/linear.ts";
import { patchEmbed } from "../../src/ops/pixels/patch_embed.ts";
import { patchify } from "../../src/ops/pixels/patchify.ts";
import { softmax } from "../../src/ops/attention/softmax.ts";
import { testOnBackends } from "../support/backends.ts";
import { assertClose, assertRelative, valueAndGradients } from "../support/compare.ts";
import { Fixture } from "../support/fixtures.ts";

type Operation = (...inputs: Tf.Tensor[]) => Tf.Tensor;

const selfAttention: Operation = (x, qkvWeight, qkvBias, projWeight, projBias) =>
  linear(attention(linear(x, qkvWeight, qkvBias), 3), projWeight, projBias);

const operations: Record<string, Operation> = {
  layernorm: (x, gain, bias) => layerNorm(x, gain, bias, 1e-6),
  gelu,
  softmax,
  linear: (x, weight, bias) => linear(x, weight, bias),
  attention_h3_n7: selfAttention,
  attention_h3_n65: selfAttention,
};

for (const [name, operation] of Object.entries(operations)) {
  testOnBackends(`${name} equals PyTorch in value and every gradient`, async () => {
    const fixture = await Fixture.read("ops.safetensors");
    const inputs: Tf.Tensor[] = [];
    while (fixture.has(`${name}/in${inputs.length}`)) {
      inputs.push(fixture.tensor(`${name}/in${inputs.length}`));
    }
    const { value, gradients } = await valueAndGradients(
      operation,
      inputs,
      fixture.tensor(`${name}/grad_out`),
    );
    assertClose(value, fixture.values(`${name}/out`), 2e-5, `${name} value`);
    gradients.forEach((gradient, i) =>
      assertRelative(gradient, fixture.values(`${name}/grad_in${i}`), 1e-4, `${name} gradient ${i}`)
    );
  });
}

testOnBackends("patchEmbed() equals PyTorch's strided convolution in value and gradients", async () => {
  const fixture = await Fixture.read("ops.safetensors");
  const images = tf.transpose(fixture.tensor("patch_conv/in0"), [0, 2, 3, 1]); // NCHW to NHWC
  const patches = patchify(images, [4, 4]);
  // [N, D, h, w] to [N, L, D]
  const tokens = (x: Tf.Tensor) => tf.transpose(tf.reshape(x, [2, 6, 4]), [0, 2, 1]);
  const { value, gradients } = await valueAndGradients(
    (weight, bias) => patchEmbed(patches, weight, bias),
    [fixture.tensor("patch_conv/in1"), fixture.tensor("patch_conv/in2")],
    tokens(fixture.tensor("patch_conv/grad_out")),
  );
  assertClose(value, await tokens(fixture.tensor("patch_conv/out")).data(), 2e-5, "value");
  assertRelative(gradients[0], fixture.values("patch_conv/grad_in1"), 1e-4, "weight gradient");
  assertRelative(gradients[1], fixture.values("patch_conv/grad_in2"), 1e-4, "bias gradient");
});
