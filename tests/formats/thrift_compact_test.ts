import {
  countIn,
  readThrift,
  structIn,
  structsIn,
  textIn,
  textsIn,
  ThriftError,
} from "../../src/formats/thrift_compact.ts";
import { assertEquals, assertThrows } from "../deps.ts";

Deno.test("readThrift() reads every kind of field", () => {
  const bytes = Uint8Array.of(
    ...[0x15, 0x06], // field 1: 3
    ...[0x16, 0x05], // field 2: -3
    ...[0x18, 2, 104, 105], // field 3: "hi"
    ...[0x11], // field 4: true
    ...[0x19, 0x28, 1, 97, 1, 98], // field 5: ["a", "b"]
    ...[0x1c, 0x15, 2, 0], // field 6: {1: 1}
    ...[0x19, 0x1c, 0x15, 4, 0], // field 7: [{1: 2}]
    ...[0x05, 40, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40], // field 20: 2^40
    ...[0x17, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f], // field 21: 1.0
    ...[0x13, 0xff], // field 22: -1 in a byte
    ...[0x19, 0x21, 1, 2], // field 23: [true, false]
    0,
    99,
  );
  const { fields, end } = readThrift(bytes);
  assertEquals(end, bytes.length - 1);
  assertEquals([countIn(fields, 1), countIn(fields, 2), textIn(fields, 3), fields.get(4)], [
    3,
    undefined,
    "hi",
    true,
  ]);
  assertEquals([textsIn(fields, 5), countIn(structIn(fields, 6), 1)], [["a", "b"], 1]);
  assertEquals(structsIn(fields, 7).map((one) => countIn(one, 1)), [2]);
  assertEquals([fields.get(2), fields.get(20), fields.get(21), fields.get(22)], [-3, 2 ** 40, 1, -1]);
  assertEquals(fields.get(23), [true, false]);
  assertEquals([structIn(fields, 1).size, structsIn(fields, 1), textsIn(fields, 1), textIn(fields, 1)], [
    0,
    [],
    [],
    undefined,
  ]);
});

Deno.test("readThrift() refuses what is cut, endless or nested without end", () => {
  const wrong = [
    [],
    [0x15],
    [0x15, 0x80],
    [0x15, ...new Array(20).fill(0x80), 0],
    [0x18, 100, 1],
    [0x19, 0xf5, 0xff, 0xff, 0xff, 0xff, 0x0f],
    [0x1e, 0],
    new Array(1000).fill(0x1c),
    new Array(1000).fill(0x19),
  ];
  for (const bytes of wrong) assertThrows(() => readThrift(Uint8Array.from(bytes)), ThriftError);
});
