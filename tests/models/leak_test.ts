import { assert, assertEquals } from "../deps.ts";
import { createMae } from "../../src/models/mae.ts";
import { normalizePixels } from "../../src/ops/pixels/normalize_pixels.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { pretrainGroups } from "../../src/optim/groups.ts";
import { openRuntime } from "../../src/gpu/runtime.ts";
import { Random } from "../../src/util/random.ts";

Deno.test("200 steps hold the number of tensors and the GPU bytes constant", async () => {
  const runtime = await openRuntime({ backend: "webgpu" });
  const model = createMae({
    imageSize: 8,
    patchSize: 4,
    encoder: { width: 8, depth: 1, heads: 2, mlpRatio: 2 },
    decoder: { width: 8, depth: 1, heads: 2, mlpRatio: 2 },
  });
  const optimizer = new AdamW(model.trainable, pretrainGroups(model.trainable, 0.05));
  const random = new Random(1);
  const step = () => {
    for (let micro = 0; micro < 2; micro++) {
      const pixels = Uint8Array.from({ length: 2 * 8 * 8 * 3 }, () => random.integer(256));
      const images = normalizePixels(pixels, [2, 8, 8, 3], [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]);
      const { loss, gradients } = model.lossAndGradients(images, {
        maskRatio: 0.5,
        noise: random.uniformArray(8),
      });
      optimizer.accumulate(loss, gradients);
      images.dispose();
    }
    optimizer.step(1e-3);
  };
  for (let i = 0; i < 20; i++) step();
  await runtime.settle();
  const before = runtime.memory();
  for (let i = 0; i < 200; i++) step();
  await runtime.settle();
  const after = runtime.memory();
  assertEquals(after.tensors, before.tensors);
  assert(
    after.bytesAllocated <= before.bytesAllocated,
    `GPU bytes grew from ${before.bytesAllocated} to ${after.bytesAllocated}`,
  );
});
