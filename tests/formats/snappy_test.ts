import { decompressSnappy, SnappyError } from "../../src/formats/snappy.ts";
import { assertEquals, assertThrows } from "../deps.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("decompressSnappy() reads literals and copies of every form", () => {
  const long = new Uint8Array(70_000).map((_, i) => i * i);
  const literal = Uint8Array.of(0xf0 + 4 * 2, 0x6f, 0x11, 0x01, ...long); // three bytes of length
  assertEquals(decompressSnappy(Uint8Array.of(0xf0, 0xa2, 0x04, ...literal), 70_000), long);
  const cases: [string, number[]][] = [
    ["", [0]],
    ["abc", [3, 2 << 2, 97, 98, 99]],
    ["abcdabcdab", [10, 3 << 2, 97, 98, 99, 100, (2 << 2) + 1, 4]], // a copy of six bytes, which repeats itself
    ["abababab", [8, 1 << 2, 97, 98, (5 << 2) + 2, 2, 0]],
    ["aaaaa", [5, 0, 97, (3 << 2) + 3, 1, 0, 0, 0]],
    ["x".repeat(61), [61, 60 << 2, 60, ...bytes("x".repeat(61))]],
  ];
  for (const [text, input] of cases) {
    assertEquals(decompressSnappy(Uint8Array.from(input), text.length), bytes(text), text);
  }
});

Deno.test("decompressSnappy() refuses what is damaged", () => {
  const wrong: [number, number[]][] = [
    [1, []],
    [1, [0x80, 0x80, 0x80, 0x80, 0x80, 1]],
    [2, [3, 2 << 2, 97, 98, 99]],
    [3, [3, 2 << 2, 97, 98]],
    [3, [3, 3 << 2, 97, 98, 99, 100]],
    [8, [8, 0, 97, (3 << 2) + 1, 2]],
    [8, [8, 0, 97, (3 << 2) + 1, 0]],
    [4, [4, 0, 97, (3 << 2) + 2, 1]],
    [4, [4, 0, 97, (3 << 2) + 2, 1, 0]],
    [9, [9, 0, 97]],
    [70, [70, 61 << 2, 1]],
  ];
  for (const [length, input] of wrong) {
    assertThrows(
      () => decompressSnappy(Uint8Array.from(input), length),
      SnappyError,
      undefined,
      String(input),
    );
  }
});
