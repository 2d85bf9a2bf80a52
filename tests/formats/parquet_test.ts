import { writeParquet } from "../../src/formats/parquet.ts";
import { RunError } from "../../src/util/errors.ts";
import { assertEquals, assertRejects } from "../deps.ts";
import { inFolder } from "../support/folder.ts";
import { readParquet } from "../support/parquet.ts";

Deno.test("a Parquet file gives back text and vectors bit by bit, in as many groups as it takes", () =>
  inFolder(async (folder) => {
    const path = `${folder}/table.parquet`;
    for (const [rows, width, groups] of [[3, 4, 1], [5, 2 ** 19, 3]]) {
      const names = Array.from({ length: rows }, (_, i) => `classé/${i}\n"ü".png`);
      const values = Float32Array.from({ length: rows * width }, (_, i) => Math.fround(Math.sin(i) / 3));
      await writeParquet(path, [
        { kind: "text", name: "path", values: names },
        { kind: "vectors", name: "features", width, values },
      ], { encoder: "vit_tiny", empty: "" });
      const table = await readParquet(path);
      assertEquals([table.groups, table.metadata.encoder], [groups, "vit_tiny"]);
      assertEquals(table.rows.map(({ path }) => path), names);
      assertEquals(Float32Array.from(table.rows.flatMap(({ features }) => features as number[])), values);
    }
    const bytes = await Deno.readFile(path);
    assertEquals([...bytes.subarray(0, 4), ...bytes.subarray(-4)], [80, 65, 82, 49, 80, 65, 82, 49]);
    assertEquals(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["table.parquet"]);
  }));

Deno.test("a table that is none, and a folder that is not there, are refused", async () => {
  const text = { kind: "text", name: "path", values: ["a", "b"] } as const;
  const vectors = { kind: "vectors", name: "features", width: 2, values: new Float32Array(2) } as const;
  await assertRejects(
    () => writeParquet("/nowhere/x.parquet", [text, vectors]),
    RangeError,
    "number of rows",
  );
  await assertRejects(() => writeParquet("/nowhere/x.parquet", [text]), RunError, "cannot write");
});
