import { TextTable } from "../../src/util/text_table.ts";
import { assert, assertEquals } from "../deps.ts";

Deno.test("TextTable gives back what was put in, whatever the letters", () => {
  const texts = ["a/b.png", "", "é\u{1f600}", "x".repeat(5000), "", "last"];
  const table = TextTable.of(texts);
  assertEquals(table.length, 6);
  assertEquals(texts.map((_, i) => table.at(i)), texts);
  assertEquals([...table.bytesAt(2)], [0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80]);
});

Deno.test("TextTable takes little more memory than the bytes of its texts", () => {
  const table = new TextTable();
  for (let i = 0; i < 100_000; i++) table.add(`folder/of/images/${i}.jpg`);
  assertEquals([0, 77_777, 99_999].map((i) => table.at(i)), [
    "folder/of/images/0.jpg",
    "folder/of/images/77777.jpg",
    "folder/of/images/99999.jpg",
  ]);
  assert(table.byteLength < 6_000_000, `${table.byteLength} bytes`); // 2.6 MB of letters, growing by halves
});
