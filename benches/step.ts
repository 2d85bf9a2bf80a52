/**
 * Times whole pre-training steps (forward, backward, AdamW) on random pixels, with our kernels and with the composed
 * tfjs operations in the same run: `deno task bench:step tiny mini`.
 */
import { resolvePretrainConfig } from "../src/config/pretrain.ts";
import { openRuntime } from "../src/gpu/runtime.ts";
import { createMae } from "../src/models/mae.ts";
import { normalizePixels } from "../src/ops/normalize_pixels.ts";
import { type BodyName, withBody } from "../src/ops/operation.ts";
import { AdamW } from "../src/optim/adamw.ts";
import { pretrainGroups } from "../src/optim/groups.ts";
import { Random } from "../src/util/random.ts";

/** Configurations by name, as YAML values. */
const configurations: Record<string, Record<string, unknown>> = {
  demo: {
    model: {
      image_size: 64,
      patch_size: 8,
      encoder: { width: 128, depth: 2, heads: 4 },
      decoder: { width: 128, depth: 1, heads: 4 },
    },
    optim: { batch_size: 16 },
  },
  tiny: {
    model: {
      image_size: 32,
      patch_size: 4,
      encoder: { width: 192, depth: 6, heads: 3 },
      decoder: { width: 96, depth: 2, heads: 3 },
    },
    optim: { batch_size: 64 },
  },
  mini: {
    model: { encoder: { width: 192, depth: 12, heads: 3 }, decoder: { width: 128, depth: 4, heads: 4 } },
    optim: { batch_size: 32 },
  },
  vit_base: { model: { encoder: "vit_base" }, optim: { batch_size: 8 } },
};

/** Seconds that each measurement should take at least. */
const shortest = 5;

async function imagesPerSecond(
  name: string,
  body: BodyName,
): Promise<{ rate: number; peakMebibytes: number }> {
  const runtime = await openRuntime({ backend: "webgpu" });
  const { model: shape, optim } = resolvePretrainConfig([{
    origin: "bench",
    values: { ...configurations[name], data: { train: "none" } },
  }]);
  const model = createMae({ ...shape, normalizeTarget: true });
  const optimizer = new AdamW(model.trainable, pretrainGroups(model.trainable, 0.05));
  const random = new Random(1);
  const size: [number, number, number, number] = [optim.batchSize, ...shape.imageSize as [number, number], 3];
  const pixels = Uint8Array.from({ length: size.reduce((a, b) => a * b) }, () => random.integer(256));
  const step = () =>
    withBody(body, () => {
      const images = normalizePixels(pixels, size, [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]);
      const noise = random.uniformArray(optim.batchSize * model.length);
      const { loss, gradients } = model.lossAndGradients(images, { maskRatio: 0.75, noise });
      optimizer.accumulate(loss, gradients);
      optimizer.step(1e-4);
      images.dispose();
    });
  step(); // compiles the pipelines
  await runtime.settle();
  const start = performance.now();
  let steps = 0;
  while (performance.now() - start < shortest * 1000) {
    step();
    steps++;
    await runtime.settle();
  }
  const seconds = (performance.now() - start) / 1000;
  const peakMebibytes = Math.round(runtime.memory().bytesPeak / 2 ** 20);
  await runtime.close();
  return { rate: steps * optim.batchSize / seconds, peakMebibytes };
}

if (import.meta.main) {
  const names = Deno.args.length > 0 ? Deno.args : ["demo", "tiny", "mini"];
  const { adapter } = await openRuntime({ backend: "webgpu" });
  // deno-lint-ignore no-console -- a benchmark is for reading
  console.log(adapter?.description);
  for (const name of names) {
    if (!(name in configurations)) {
      throw new RangeError(`${name} is none of ${Object.keys(configurations).join(", ")}`);
    }
    const kernel = await imagesPerSecond(name, "kernel");
    const composed = await imagesPerSecond(name, "composed");
    // deno-lint-ignore no-console -- a benchmark is for reading
    console.log(
      `${name.padEnd(9)} kernels ${kernel.rate.toFixed(2)} images/s (${kernel.peakMebibytes} MiB), ` +
        `composed ${composed.rate.toFixed(2)} (${composed.peakMebibytes} MiB), ratio ${
          (kernel.rate / composed.rate).toFixed(1)
        }`,
    );
  }
}
