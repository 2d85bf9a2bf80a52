import { toFloat32 } from "../../src/formats/dtypes.ts";
import { inPrecision } from "../../src/formats/narrow.ts";
import { assertEquals, assertThrows } from "../deps.ts";

const f32 = (...values: number[]) =>
  ({ dtype: "F32", shape: [values.length], data: Float32Array.from(values) }) as const;

Deno.test("inPrecision() rounds to the nearest half or bfloat16, ties to even", () => {
  const values = [
    0,
    -0,
    1,
    -2.5,
    1 + 2 ** -9,
    1 + 3 * 2 ** -9,
    1 + 2 ** -8 + 2 ** -20,
    65504,
    -Infinity,
    NaN,
  ];
  assertEquals([...inPrecision(f32(...values), "BF16").data].map(Number), [
    0,
    0x8000,
    0x3f80,
    0xc020,
    0x3f80,
    0x3f81,
    0x3f81,
    0x4780,
    0xff80,
    0x7fc0,
  ]);
  const halves = inPrecision(f32(...values), "F16");
  assertEquals([...toFloat32(halves)], [
    0,
    -0,
    1,
    -2.5,
    1 + 2 ** -9,
    1 + 3 * 2 ** -9,
    1 + 2 ** -8,
    65504,
    -Infinity,
    NaN,
  ]);
  assertEquals(toFloat32(inPrecision(halves, "F32")), toFloat32(halves));
  const same = f32(1);
  assertEquals(inPrecision(same, "F32") === same, true);
});

Deno.test("inPrecision() refuses finite values that would become infinite", () => {
  assertThrows(() => inPrecision(f32(1, -65520), "F16"), RangeError, "-65520 is too large");
  assertThrows(() => inPrecision(f32(3.4e38), "BF16"), RangeError, "is too large");
});
