import { ByteWriter, type ColumnSource, ParquetWriter, type SchemaElement } from "../../src/deps/parquet.ts";
import { memoryBytes } from "../../src/formats/byte_source.ts";
import { readParquetFooter } from "../../src/formats/parquet_footer.ts";
import { decodeByteColumn, decodeNumberColumn, ParquetPageError } from "../../src/formats/parquet_pages.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertMatch, assertRejects, assertThrows } from "../deps.ts";

const fixture = (name: string) =>
  Deno.readFile(new URL(`../fixtures/parquet/${name}.parquet`, import.meta.url));

/** Every value of every column of bytes and whole numbers. */
async function values(file: Uint8Array): Promise<Record<string, (Uint8Array | number | undefined)[]>> {
  const { columns, rowGroups } = await readParquetFooter(memoryBytes(file), "x.parquet");
  const all = columns.map((column, i) => {
    const found = rowGroups.flatMap(({ chunks }): (Uint8Array | number | undefined)[] => {
      const chunk = chunks[i];
      const bytes = file.subarray(chunk.offset, chunk.offset + chunk.length);
      return column.type === "BYTE_ARRAY"
        ? decodeByteColumn(bytes, chunk, column)
        : decodeNumberColumn(bytes, chunk, column);
    });
    return [column.path, found] as const;
  });
  return Object.fromEntries(all);
}

const rows = Array.from({ length: 10 }, (_, i) => i);
const image = (i: number) =>
  Uint8Array.from({ length: i % 3 === 0 ? 50 : i * 37 }, (_, k) => ((i % 3 === 0 ? 0 : i) + k * k) & 255);
const text = (word: string) => new TextEncoder().encode(word);

for (const name of ["snappy_dictionary", "plain", "zstd_v2", "gzip_v2_plain", "brotli"]) {
  Deno.test(`a Parquet file that parquet-rs wrote as ${name} gives its values`, async () => {
    const file = await fixture(name);
    const { rowGroups, metadata } = await readParquetFooter(memoryBytes(file), name);
    assertEquals(rowGroups.map(({ rows }) => rows), [4, 4, 2]);
    assertMatch(metadata.get("huggingface") ?? "", /"names":\["ant","bee","cow"\]/);
    assertEquals(await values(file), {
      "image.bytes": rows.map((i) => i === 4 ? undefined : image(i)),
      "image.path": rows.map((i) => text(i === 4 ? "missing.jpg" : `${i}.jpg`)),
      label: rows.map((i) => i % 3),
    });
  });
}

Deno.test("columns of words and of 32-bit numbers", async () => {
  assertEquals(await values(await fixture("words")), {
    jpg: rows.map(image),
    cls: rows.map((i) => text(["eel", "cat", "dog"][i % 3])),
    width: rows,
  });
});

Deno.test("what is stored in an unsupported way is refused with what to do", async () => {
  const refusals = [["delta", /encoded as DELTA_\w+, which is not supported; write it with PLAIN/], [
    "lz4",
    /compressed by LZ4, which is not supported; write it with Snappy or Zstandard/,
  ]] as const;
  for (const [name, sentence] of refusals) {
    const file = await fixture(name);
    const error = await assertRejects(() => values(file), ParquetPageError);
    assertMatch(error.message, sentence);
  }
});

/** A file of one column of bytes by another writer. */
function written(data: readonly (Uint8Array | null)[], codec: ColumnSource["codec"]): Uint8Array {
  const schema: SchemaElement[] = [
    { name: "root", num_children: 1 },
    { name: "image", type: "BYTE_ARRAY", repetition_type: "OPTIONAL" as "REQUIRED" },
  ];
  const writer = new ByteWriter();
  const file = new ParquetWriter({ writer, schema });
  file.write({ columnData: [{ name: "image", data, codec, statistics: false }], rowGroupSize: 300 });
  file.finish();
  return writer.getBytes();
}

Deno.test("random files of hyparquet's writer, with and without Snappy, give their values", async () => {
  let seed = 1;
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 20; round++) {
    const data = Array.from(
      { length: 1 + random(700) },
      () =>
        random(5) === 0
          ? null
          : Uint8Array.from({ length: random(400) }, () => random(round % 2 === 0 ? 256 : 4)),
    );
    const expected = data.map((bytes) => bytes ?? undefined);
    for (const codec of ["SNAPPY", "UNCOMPRESSED"] as const) {
      assertEquals((await values(written(data, codec))).image, expected, `round ${round} with ${codec}`);
    }
  }
});

Deno.test("cut and damaged files are refused in one sentence", async () => {
  const file = await fixture("snappy_dictionary");
  const refusal = async (bytes: Uint8Array) =>
    (await assertRejects(() => readParquetFooter(memoryBytes(bytes), "x.parquet"), InputError)).message;
  const start = '"x.parquet" is not a sound Parquet file: ';
  const footer = new DataView(file.buffer).getUint32(file.length - 8, true);
  assertEquals(await refusal(file.subarray(0, -1)), `${start}it does not end with PAR1; it may be cut short`);
  assertEquals(await refusal(new Uint8Array(5)), `${start}it has 5 bytes`);
  assertMatch(
    await refusal(file.subarray(-footer - 12)),
    /a chunk of its column ".+" lies at bytes \d+ to \d+, but the file has|disagree/,
  );
  const changed = (at: number, bytes: readonly number[]) => {
    const copy = file.slice();
    copy.set(bytes, copy.length + at);
    return refusal(copy);
  };
  assertEquals(
    await changed(-8, [255, 255, 255, 127]),
    `${start}its footer has 2147483647 bytes, more than the file`,
  );
  assertEquals(await changed(-8, [20, 0, 0, 0]), `${start}its footer is damaged`);
  assertEquals(await changed(-1, [0x45]), `${start}it is encrypted`);

  const { columns: [column], rowGroups: [{ chunks: [chunk] }] } = await readParquetFooter(
    memoryBytes(file),
    "x",
  );
  const bytes = file.slice(chunk.offset, chunk.offset + chunk.length);
  const decode = (part: Uint8Array) => decodeByteColumn(part, chunk, column);
  for (let length = 0; length < bytes.length; length += 7) {
    assertThrows(() => decode(bytes.subarray(0, length)), ParquetPageError);
  }
  assertThrows(
    () => decodeNumberColumn(bytes, chunk, column),
    ParquetPageError,
    "BYTE_ARRAY and no whole numbers",
  );
  assertThrows(
    () => decodeByteColumn(bytes, { ...chunk, values: 5e9 }, column),
    ParquetPageError,
    "it has 5000000000 rows, and 10000000 are the most",
  );
});
