import { architectureOf, type Shapes } from "../../src/nn/architecture.ts";
import { assertEquals } from "../deps.ts";

/** Shapes of the parameters that tell the architecture, under the official names. */
function shapesOf(
  width: number,
  depth: number,
  hidden: number,
  patch: [number, number],
  positions: number,
): Map<string, number[]> {
  const shapes = new Map([
    ["cls_token", [1, 1, width]],
    ["pos_embed", [1, positions, width]],
    ["patch_embed.proj.weight", [width, 3, ...patch]],
  ]);
  for (let i = 0; i < depth; i++) shapes.set(`blocks.${i}.mlp.fc1.weight`, [hidden, width]);
  return shapes;
}

Deno.test("architectureOf() reads a published encoder by its name", () => {
  assertEquals(architectureOf(shapesOf(1024, 24, 4096, [16, 16], 197)), {
    encoder: { width: 1024, depth: 24, hidden: 4096 },
    encoderName: "vit_large",
    decoder: null,
    patchSize: [16, 16],
    channels: 3,
    patches: 196,
    grid: [14, 14],
  });
});

Deno.test("architectureOf() reads a decoder, odd sizes and a grid that is not square", () => {
  const shapes = shapesOf(48, 2, 120, [8, 4], 1 + 6);
  shapes.set("decoder_blocks.0.mlp.fc1.weight", [64, 32]);
  const found = architectureOf(shapes);
  assertEquals(found?.encoderName, "custom");
  assertEquals(found?.encoder, { width: 48, depth: 2, hidden: 120 });
  assertEquals(found?.decoder, { width: 32, depth: 1, hidden: 64 });
  assertEquals([found?.patchSize, found?.patches, found?.grid], [[8, 4], 6, null]);
});

Deno.test("architectureOf() does without a position embedding", () => {
  const shapes = shapesOf(48, 2, 192, [8, 8], 17);
  shapes.delete("pos_embed");
  const found = architectureOf(shapes);
  assertEquals([found?.patches, found?.grid], [null, null]);
});

Deno.test("architectureOf() is null for other models", () => {
  const withoutBlocks: Shapes = shapesOf(48, 0, 192, [8, 8], 17);
  const flat = shapesOf(48, 1, 192, [8, 8], 17).set("patch_embed.proj.weight", [48, 192]);
  const mixed = shapesOf(48, 1, 192, [8, 8], 17).set("patch_embed.proj.weight", [64, 3, 8, 8]);
  for (const shapes of [new Map(), withoutBlocks, flat, mixed]) assertEquals(architectureOf(shapes), null);
});
