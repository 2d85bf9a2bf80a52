import { assertEquals } from "../deps.ts";
import { layerDecayGroups } from "../../src/optim/groups.ts";
import { assertClose } from "../support/compare.ts";
import { fixtureJson } from "../support/fixtures.ts";

interface OfficialGroup {
  lr_scale: number;
  weight_decay: number;
  params: string[];
}

Deno.test("layerDecayGroups() equals the official groups of ViT-B, names, scales and decay", async () => {
  const json = await fixtureJson("layer_decay.json");
  const cases = Object.entries(json).filter(([name]) => name.startsWith("vit_base"));
  assertEquals(cases.length, 4);
  for (const [name, entry] of cases) {
    const official = entry as OfficialGroup[];
    const layerDecay = Number(/decay([\d.]+)$/.exec(name)?.[1]);
    // Parameters that are not decayed are of one dimension, but for two.
    const shapes = new Map(official.flatMap(({ weight_decay, params }) =>
      params.map((one) => {
        const rank = one === "cls_token" || one === "pos_embed" ? 3 : weight_decay > 0 ? 2 : 1;
        return [one, { shape: Array<number>(rank).fill(2) }] as const;
      })
    ));
    const groups = layerDecayGroups(shapes, { weightDecay: 0.05, layerDecay, depth: 12 });
    assertEquals(
      groups.map(({ names, weightDecay }) => [names, weightDecay]),
      official.map(({ params, weight_decay }) => [params, weight_decay]),
      name,
    );
    groups.forEach(({ lrScale }, i) =>
      assertClose([lrScale], [official[i].lr_scale], 1e-15, `${name}, group ${i}`)
    );
  }
});

Deno.test("layerDecayGroups() of the last blocks alone keeps their scales, and 1 makes all equal", () => {
  const shapes = new Map(
    ["blocks.11.mlp.fc1.weight", "head.weight"].map((name) => [name, { shape: [2, 2] }]),
  );
  assertEquals(layerDecayGroups(shapes, { weightDecay: 0.1, layerDecay: 0.5, depth: 12 }), [
    { weightDecay: 0.1, lrScale: 0.5, names: ["blocks.11.mlp.fc1.weight"] },
    { weightDecay: 0.1, lrScale: 1, names: ["head.weight"] },
  ]);
  const equal = layerDecayGroups(shapes, { weightDecay: 0.1, layerDecay: 1, depth: 12 });
  assertEquals(equal.map(({ lrScale }) => lrScale), [1, 1]);
});
