import { assertThrows } from "../deps.ts";
import { sineCosinePositions } from "../../src/nn/position_embedding.ts";
import { assertClose } from "../support/compare.ts";
import { Fixture } from "../support/fixtures.ts";

Deno.test("sineCosinePositions() equals the official tables", async () => {
  const fixture = await Fixture.read("pos_embed.safetensors");
  const f64 = (key: string) => fixture.get(key).data as Float64Array;
  assertClose(sineCosinePositions(768, [14, 14], false), f64("grid14_dim768_f64"), 1e-14, "grid 14");
  assertClose(sineCosinePositions(64, [16, 16], true), f64("grid16_dim64_cls_f64"), 1e-14, "grid 16");
  for (const [width, side] of [[36, 3], [48, 4], [768, 14]]) {
    const key = `grid${side}_dim${width}_cls_f32`;
    assertClose(
      Float32Array.from(sineCosinePositions(width, [side, side], true)),
      fixture.values(key),
      6e-8,
      key,
    );
  }
});

Deno.test("sineCosinePositions() puts the column in the first half of a rectangle's rows", () => {
  const table = sineCosinePositions(4, [2, 3], false); // columns: sin x, cos x, sin y, cos y
  assertClose(
    table.subarray(4 * 5, 4 * 6),
    [Math.sin(2), Math.cos(2), Math.sin(1), Math.cos(1)],
    1e-15,
    "row 1, column 2",
  );
  assertThrows(() => sineCosinePositions(6, [2, 2], false), RangeError, "divisible by 4, not 6");
});
