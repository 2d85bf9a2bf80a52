import { presetNameOf, presets } from "../../src/config/presets.ts";
import { assertEquals } from "../deps.ts";

Deno.test("presets have the published sizes", () => {
  const sizes = Object.entries(presets).map((
    [name, p],
  ) => [name, p.width, p.depth, p.heads, p.mlpRatio, p.patchSize]);
  assertEquals(sizes, [
    ["vit_tiny", 192, 12, 3, 4, 16],
    ["vit_small", 384, 12, 6, 4, 16],
    ["vit_base", 768, 12, 12, 4, 16],
    ["vit_large", 1024, 24, 16, 4, 16],
    ["vit_huge", 1280, 32, 16, 4, 14],
  ]);
});

Deno.test("presetNameOf() knows a preset by all of its sizes", () => {
  assertEquals(presetNameOf({ width: 768, depth: 12, heads: 12, mlpRatio: 4 }), "vit_base");
  assertEquals(presetNameOf({ width: 768, depth: 12, heads: 6, mlpRatio: 4 }), "custom");
});
