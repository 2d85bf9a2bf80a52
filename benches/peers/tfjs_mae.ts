/**
 * Whole steps of pre-training or fine-tuning, or features, on stock tfjs: our own models with every operation composed of
 * tfjs's. A rival that `mae bench --peers` runs:
 * deno run benches/peers/tfjs_mae.ts SHAPE --work finetune --seconds 5 --limit 200
 */
import { type BenchConfig, type BenchWork, benchWorks } from "../../src/bench/configurations.ts";
import { makeStep } from "../../src/bench/model.ts";
import { tf } from "../../src/deps/tfjs.ts";
import { openRuntime } from "../../src/gpu/runtime.ts";
import { withBody } from "../../src/ops/operation.ts";
import { climb, readArguments, type Ready, type Shape } from "./ladder.ts";

const mlpRatio = 4;

/** The configuration that the shape was made from, as far as a step depends on it. */
function configOf({ name, image, patch, channels, ratio, ...shape }: Shape, batch: number): BenchConfig {
  const stack = ([width, depth, heads]: Shape["encoder"]) => ({ width, depth, heads, mlpRatio });
  const [mean, std] = [0.5, 0.25].map((value) => Array<number>(channels).fill(value));
  return {
    name,
    batch,
    mean,
    std,
    model: {
      encoderName: "custom",
      encoder: stack(shape.encoder),
      decoder: stack(shape.decoder),
      imageSize: [image, image],
      patchSize: [patch, patch],
      channels,
      maskTokens: "decoder",
    },
    maskRatio: ratio,
    normalizeTarget: true,
    precision: "f32",
    remat: false,
  };
}

async function prepare(work: BenchWork, shape: Shape, batch: number): Promise<Ready> {
  const runtime = await openRuntime({ backend: "webgpu" });
  const step = withBody("composed", () => makeStep(work, configOf(shape, batch)));
  return {
    step: () => {
      withBody("composed", () => step.run());
      return runtime.settle();
    },
    close: () => {
      step.dispose();
      return runtime.close();
    },
  };
}

if (import.meta.main) {
  const { shape, flag } = readArguments();
  const asked = flag("work", "pretrain");
  const work = benchWorks.find((one) => one === asked);
  if (!work) throw new Error(`--work must be of ${benchWorks.join(", ")}, not "${asked}"`);
  const effort = { seconds: Number(flag("seconds", "5")), limit: Number(flag("limit", "200")) };
  const identity = { peer: "tfjs", version: tf.version_core, device: "webgpu", precision: "fp32" };
  await climb(shape, identity, effort, (batch) => prepare(work, shape, batch));
  Deno.exit(0); // whatever the driver still holds
}
