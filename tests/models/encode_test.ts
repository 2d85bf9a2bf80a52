import { readTensor } from "../../src/gpu/tensors.ts";
import { createMae, type MaeConfig } from "../../src/models/mae.ts";
import { assertEquals } from "../deps.ts";
import { testOnBackends } from "../support/backends.ts";
import { assertRelative, randomTensor } from "../support/compare.ts";

const config: MaeConfig = {
  imageSize: [12, 8],
  patchSize: 4,
  channels: 2,
  encoder: { width: 12, depth: 2, heads: 3, mlpRatio: 2 },
  decoder: { width: 8, depth: 1, heads: 2, mlpRatio: 2 },
};

testOnBackends("encode() gives the latent of the forward pass that masks nothing", async () => {
  for (const maskTokens of ["decoder", "encoder"] as const) {
    const model = createMae({ ...config, maskTokens }, { seed: 1 });
    const images = randomTensor([3, 12, 8, 2], 2);
    const latent = model.encode(images);
    assertEquals(latent.shape, [3, 7, 12]);
    // Noise in ascending order keeps every patch in its place.
    const noise = Float32Array.from({ length: 18 }, (_, i) => i % 6);
    const expected = model.forward(images, { maskRatio: 0, noise }).latent;
    assertRelative(
      await readTensor(latent),
      await readTensor(expected),
      1e-6,
      `mask tokens in ${maskTokens}`,
    );
  }
});
