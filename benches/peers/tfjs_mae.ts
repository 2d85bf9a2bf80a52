/**
 * Whole MAE pre-training steps on stock tfjs: our own model with every operation composed of tfjs's. A rival that
 * `mae bench --peers` runs: deno run benches/peers/tfjs_mae.ts SHAPE --seconds 5 --limit 200
 */
import { tf } from "../../src/deps/tfjs.ts";
import { openRuntime } from "../../src/gpu/runtime.ts";
import { createMae } from "../../src/models/mae.ts";
import { patchifyPixels } from "../../src/ops/normalize_pixels.ts";
import { withBody } from "../../src/ops/operation.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { pretrainGroups } from "../../src/optim/groups.ts";
import { Random } from "../../src/util/random.ts";
import { climb, readArguments, type Ready, type Shape } from "./ladder.ts";

const mlpRatio = 4;

async function prepare(shape: Shape, batch: number): Promise<Ready> {
  const runtime = await openRuntime({ backend: "webgpu" });
  const { image, patch, channels, encoder, decoder, ratio } = shape;
  const stack = ([width, depth, heads]: Shape["encoder"]) => ({ width, depth, heads, mlpRatio });
  const model = createMae({
    imageSize: image,
    patchSize: patch,
    channels,
    encoder: stack(encoder),
    decoder: stack(decoder),
    normalizeTarget: true,
  });
  const optimizer = new AdamW(model.trainable, pretrainGroups(model.trainable, 0.05));
  const random = new Random(1);
  const pixels = Uint8Array.from({ length: batch * image * image * channels }, () => random.integer(256));
  const [mean, std] = [0.5, 0.25].map((value) => Array<number>(channels).fill(value));
  return {
    step: () => {
      withBody("composed", () => {
        const patches = patchifyPixels(pixels, [batch, image, image, channels], [patch, patch], mean, std);
        const noise = random.uniformArray(batch * model.length);
        const { loss, gradients } = model.lossAndGradients(patches, { maskRatio: ratio, noise });
        patches.dispose();
        optimizer.accumulate(loss, gradients);
        optimizer.step(1e-4);
      });
      return runtime.settle();
    },
    close: () => {
      optimizer.dispose();
      model.dispose();
      return runtime.close();
    },
  };
}

if (import.meta.main) {
  const { shape, flag } = readArguments();
  const effort = { seconds: Number(flag("seconds", "5")), limit: Number(flag("limit", "200")) };
  const identity = { peer: "tfjs", version: tf.version_core, device: "webgpu", precision: "fp32" };
  await climb(shape, identity, effort, (batch) => prepare(shape, batch));
  Deno.exit(0); // whatever the driver still holds
}
