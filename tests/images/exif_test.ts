import { readOrientation } from "../../src/images/exif.ts";
import { assertEquals } from "../deps.ts";

/** EXIF data of one entry. */
function block(little: boolean, tag: number, type: number, value: number): Uint8Array {
  const bytes = new Uint8Array(26);
  const view = new DataView(bytes.buffer);
  bytes.set(little ? [0x49, 0x49] : [0x4d, 0x4d]);
  view.setUint16(2, 42, little);
  view.setUint32(4, 8, little);
  view.setUint16(8, 1, little);
  view.setUint16(10, tag, little);
  view.setUint16(12, type, little);
  view.setUint32(14, 1, little);
  if (type === 3) view.setUint16(18, value, little);
  else view.setUint32(18, value, little);
  return bytes;
}

Deno.test("readOrientation() reads both byte orders, short and long values, with and without the name", () => {
  for (const little of [true, false]) {
    for (const type of [3, 4]) {
      for (let orientation = 1; orientation <= 8; orientation++) {
        const bytes = block(little, 0x0112, type, orientation);
        assertEquals(readOrientation(bytes), orientation);
        assertEquals(readOrientation(new Uint8Array([0x45, 0x78, 0x69, 0x66, 0, 0, ...bytes])), orientation);
      }
    }
  }
});

Deno.test("readOrientation() takes missing, impossible and damaged tags for upright", () => {
  assertEquals(readOrientation(block(true, 0x0110, 3, 6)), 1);
  assertEquals(readOrientation(block(true, 0x0112, 3, 0)), 1);
  assertEquals(readOrientation(block(true, 0x0112, 3, 9)), 1);
  assertEquals(readOrientation(block(true, 0x0112, 3, 6).fill(0x20, 0, 2)), 1);
  assertEquals(readOrientation(block(true, 0x0112, 3, 6).fill(0xff, 4, 8)), 1);
  for (let length = 0; length < 19; length++) {
    assertEquals(readOrientation(block(true, 0x0112, 3, 6).subarray(0, length)), 1);
  }
});
