import { officialErasing, officialMix } from "../../../src/config/finetune_types.ts";
import { drawErasures } from "../../../src/augment/erasing.ts";
import { drawMix, mixStream, softLabels } from "../../../src/augment/mixing.ts";
import { openRuntime } from "../../../src/gpu/runtime.ts";
import { mixedPatches } from "../../../src/ops/pixels/mixed_patches.ts";
import { noMix } from "../../../src/ops/pixels/pixel_changes.ts";
import { type BatchRecipe, finetuneBatch } from "../../../src/train/jobs/finetune_batch.ts";
import { assert, assertEquals } from "../../deps.ts";

const sizes = { imageSize: [8, 12], patchSize: [4, 4], channels: 3 } as const;
const pixels = Uint8Array.from({ length: 3 * 8 * 12 * 3 }, (_, i) => (37 * i) % 256);
const [mean, std] = [[0.5, 0.4, 0.3], [0.25, 0.2, 0.3]];
const labels = [1, 0, 4];

Deno.test("finetuneBatch() erases and mixes by what its seed and place say, pixels and labels alike", async () => {
  const runtime = await openRuntime({ backend: "cpu" });
  try {
    const erasing = { ...officialErasing, probability: 0.8 };
    const recipes: BatchRecipe[] = [
      { mean, std, erasing, mix: officialMix, seed: 3 },
      { mean, std, erasing: null, mix: { ...officialMix, mixup: 0, cutmix: 0 }, seed: 3 },
    ];
    const seen = new Set<string>();
    for (const recipe of recipes) {
      for (const place of [0, 7]) {
        const made = finetuneBatch({ pixels, labels, classes: 5, place }, recipe, sizes);
        const drawn = drawMix(recipe.mix, sizes.imageSize, mixStream(3, place));
        const erasures = recipe.erasing
          ? drawErasures(3, sizes.imageSize, recipe.erasing, 3, place)
          : [null, null, null];
        const wanted = mixedPatches(
          { pixels, shape: [3, 8, 12, 3], mean, std, erasures, mix: drawn },
          sizes.patchSize,
        );
        assertEquals(made.patches.shape, [3, 6, 48]);
        assertEquals(await made.patches.data(), await wanted.data());
        assertEquals(
          Float32Array.from(await made.labels.data()),
          softLabels(labels, 5, recipe.mix.labelSmoothing, drawn.share),
        );
        if (recipe.erasing === null) assertEquals(drawn, noMix);
        seen.add(String(await made.patches.data()));
      }
    }
    assert(seen.size === 3); // without drawing anything the place makes no difference
  } finally {
    await runtime.close();
  }
});
