import { memoryBytes } from "../../src/formats/byte_source.ts";
import { eachCsvRow, eachJsonRow, tableFormatOf } from "../../src/formats/table_rows.ts";
import { eachLine } from "../../src/formats/text_lines.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertRejects } from "../deps.ts";

const bytesOf = (text: string) => memoryBytes(new TextEncoder().encode(text));

async function rowsOf(text: string, format: "csv" | "tsv" = "csv"): Promise<[number, ...string[]][]> {
  const rows: [number, ...string[]][] = [];
  await eachCsvRow(bytesOf(text), format, "t.csv", (cells, line) => rows.push([line, ...cells]));
  return rows;
}

Deno.test("tableFormatOf() goes by the ending", () => {
  const names = ["a.csv", "A.CSV", "b.tsv", "c.jsonl", "c.ndjson", "d.json", "csv", "e.csv.gz"];
  assertEquals(names.map(tableFormatOf), [
    "csv",
    "csv",
    "tsv",
    "jsonl",
    "jsonl",
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("eachLine() gives lines of either end, also across what is read at a time", async () => {
  const letters = "é".repeat(300_000); // 600,000 bytes each
  const text = `\ufeffone\r\n\n${letters}\n${letters}\nlast`;
  const lines: [string, number][] = [];
  await eachLine(bytesOf(text), "t", (line, number) => lines.push([line, number]));
  assertEquals(lines, [["one", 1], ["", 2], [letters, 3], [letters, 4], ["last", 5]]);
  const longest = bytesOf("x".repeat(3_000_000));
  await assertRejects(() => eachLine(longest, "t", () => {}), InputError, '"t" line 1 is longer than');
  const latin = memoryBytes(Uint8Array.of(0x61, 0xe9, 0x0a));
  await assertRejects(() => eachLine(latin, "t", () => {}), InputError, '"t" is no text in UTF-8');
});

Deno.test("eachCsvRow() reads quoted cells, over several lines, and tells the line of each row", async () => {
  assertEquals(await rowsOf('path,label\n\n"a, b.jpg",cat\r\n"two\nlines.jpg","say ""hi"""\nc.jpg,\n'), [
    [1, "path", "label"],
    [3, "a, b.jpg", "cat"],
    [4, "two\nlines.jpg", 'say "hi"'],
    [6, "c.jpg", ""],
  ]);
  assertEquals(await rowsOf("path;label\na,b.jpg;1"), [[1, "path", "label"], [2, "a,b.jpg", "1"]]);
  assertEquals(await rowsOf("path\tlabel\na.jpg\t1"), [[1, "path", "label"], [2, "a.jpg", "1"]]);
  assertEquals(await rowsOf("a,b\tc", "tsv"), [[1, "a,b", "c"]]);
});

Deno.test("eachCsvRow() names the line where quotes do not match", async () => {
  for (const text of ['a\nb\n"open\nand\nso on', 'a\nb\nx"y"z,1\n', 'a\nb\n"x"y,1']) {
    await assertRejects(() => rowsOf(text), InputError, '"t.csv" line 3 has quotes that do not match');
  }
});

Deno.test("eachJsonRow() gives objects, and names the line of what is none", async () => {
  const rows: unknown[] = [];
  await eachJsonRow(
    bytesOf('{"path": "a.jpg", "label": 3}\n \n{"path": "b"}'),
    "t",
    (row, line) => rows.push([row, line]),
  );
  assertEquals(rows, [[{ path: "a.jpg", label: 3 }, 1], [{ path: "b" }, 3]]);
  const refused = (text: string, sentence: string) =>
    assertRejects(() => eachJsonRow(bytesOf(text), "t", () => {}), InputError, sentence);
  await refused("{}\n[1]", '"t" line 2 is no JSON object such as');
  await refused("{}\n{", '"t" line 2 is no JSON: ');
});
