/** The published sizes and the statistics of the official initialisation (fixture `init_and_counts`). */
import { assert, assertEquals } from "../deps.ts";
import { countParameters, createMae } from "../../src/models/mae.ts";
import { openRuntime } from "../../src/gpu/runtime.ts";
import { presets } from "../../src/config/presets.ts";
import { assertClose } from "../support/compare.ts";
import { fixtureJson } from "../support/fixtures.ts";

interface Statistics {
  shape: number[];
  mean: number;
  std: number;
  min: number;
  max: number;
}

const decoder = { width: 512, depth: 8, heads: 16, mlpRatio: 4 };

function statistics(values: ArrayLike<number>): Omit<Statistics, "shape"> {
  let [sum, squares, min, max] = [0, 0, Infinity, -Infinity];
  for (let i = 0; i < values.length; i++) {
    sum += values[i];
    squares += values[i] ** 2;
    min = Math.min(min, values[i]);
    max = Math.max(max, values[i]);
  }
  const mean = sum / values.length;
  const variance = (squares - values.length * mean * mean) / Math.max(1, values.length - 1);
  return { mean, std: Math.sqrt(Math.max(0, variance)), min, max };
}

Deno.test("ViT-B/16 starts with the official shapes and statistics", async () => {
  await openRuntime({ backend: "cpu" });
  const model = createMae({ imageSize: 224, patchSize: 16, encoder: presets.vit_base, decoder }, { seed: 1 });
  const json = await fixtureJson("init_and_counts.json");
  const official = json.vit_base_stats as Record<string, Statistics>;
  const state = await model.state();
  for (const [name, expected] of Object.entries(official)) {
    const own = state.get(name);
    assert(own, name);
    assertEquals([...own.shape], expected.shape, name);
    const { mean, std, min, max } = statistics(own.data as Float32Array);
    const count = own.data.length;
    // Two draws of the same distribution: six standard errors of mean and deviation.
    assertClose(
      [mean],
      [expected.mean],
      6 * Math.SQRT2 * expected.std / Math.sqrt(count) + 1e-9,
      `${name} mean`,
    );
    assertClose([std], [expected.std], 6 * expected.std / Math.sqrt(count) + 1e-9, `${name} deviation`);
    const uniform = expected.std > 0 && !name.endsWith("_token");
    if (uniform) {
      assertClose([min, max], [expected.min, expected.max], 0.02 * expected.max, `${name} bounds`);
    }
  }
  const bound = json.conv_bias_bound as number;
  const bias = statistics(state.get("patch_embed.proj.bias")?.data as Float32Array);
  assert(bias.max <= bound && bias.min >= -bound && bias.max > 0.95 * bound);
  model.dispose();
});

Deno.test("ViT-B/16, ViT-L/16 and ViT-H/14 have the published parameter counts", async () => {
  const { counts } = await fixtureJson("init_and_counts.json") as {
    counts: Record<string, { total: number }>;
  };
  const published: [string, string, number][] = [
    ["vit_base", "mae_vit_base_patch16", 16],
    ["vit_large", "mae_vit_large_patch16", 16],
    ["vit_huge", "mae_vit_huge_patch14", 14],
  ];
  for (const [preset, name, patchSize] of published) {
    const config = { imageSize: 224, patchSize, encoder: presets[preset], decoder };
    assertEquals(countParameters(config), counts[name].total, name);
  }
});
