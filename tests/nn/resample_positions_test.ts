import { assertEquals, assertThrows } from "../deps.ts";
import type { Size } from "../../src/config/types.ts";
import { resamplePositions } from "../../src/nn/resample_positions.ts";
import { assertClose } from "../support/compare.ts";
import { Fixture } from "../support/fixtures.ts";

Deno.test("resamplePositions() equals the official resampling to larger and smaller grids", async () => {
  const fixture = await Fixture.read("pos_resampled.safetensors");
  const stored = fixture.values("rand14_dim16");
  for (const side of [24, 16, 10, 7, 14]) {
    const resampled = resamplePositions(stored, 16, [14, 14], [side, side]);
    const official = fixture.values(`rand14to${side}_dim16`);
    if (side === 14) assertEquals(resampled, official);
    else assertClose(resampled, official, 4e-6, `to ${side}`); // PyTorch's weights are in single precision
    assertEquals(resampled.subarray(0, 16), stored.subarray(0, 16));
  }
});

Deno.test("resamplePositions() equals the official resampling of ViT-B's positions to 384 pixels", async () => {
  const sines = (await Fixture.read("pos_embed.safetensors")).values("grid14_dim768_cls_f32");
  const resampled = resamplePositions(sines, 768, [14, 14], [24, 24]);
  const official = (await Fixture.read("pos_resampled.safetensors")).values("interp14to24_every48th");
  assertClose(resampled.filter((_, i) => i % 48 === 0), official, 2e-6, "every 48th value");
});

Deno.test("resamplePositions() treats rows and columns of a rectangle on their own", () => {
  const width = 1;
  const grid = (rows: number, columns: number, value: (y: number, x: number) => number) =>
    Float32Array.from([
      9,
      ...Array.from({ length: rows * columns }, (_, i) => value(Math.floor(i / columns), i % columns)),
    ]);
  const columnsOnly = grid(3, 4, (_, x) => x * x);
  const taller = resamplePositions(columnsOnly, width, [3, 4], [6, 4] as Size);
  assertClose(taller, grid(6, 4, (_, x) => x * x), 1e-6, "more rows of the same");
  const rowsOnly = grid(3, 4, (y) => y * y);
  const wider = resamplePositions(rowsOnly, width, [3, 4], [3, 5] as Size);
  assertClose(wider, grid(3, 5, (y) => y * y), 1e-6, "more columns of the same");
  assertThrows(
    () => resamplePositions(rowsOnly, width, [4, 4], [2, 2]),
    RangeError,
    "13 values are no position embedding of width 1 for a grid of 4x4",
  );
});
