import { measureShardReading, writeShardWork } from "../../src/bench/shard_reading.ts";
import { listTar } from "../../src/formats/tar.ts";
import { openBytes } from "../../src/formats/byte_source.ts";
import { assert, assertEquals } from "../deps.ts";
import { inFolder } from "../support/folder.ts";
import { readParquet } from "../support/parquet.ts";

Deno.test("shards of noise are written in three forms, and read by every stage", () =>
  inFolder(async (folder) => {
    const work = await writeShardWork(folder, 1_500_000);
    assertEquals(work.samples, 14);
    using source = await openBytes(work.paths.tar);
    const images = (await listTar(source, "x")).filter(({ name }) => name.endsWith(".jpg"));
    assertEquals(images.reduce((sum, { size }) => sum + size, 0), work.bytes);
    assertEquals((await readParquet(work.paths.snappy)).rows.length, 14);
    const rates = await measureShardReading(work, 0);
    assertEquals(rates.map(({ stage }) => stage), ["tar", "tar samples", "parquet plain", "parquet snappy"]);
    for (const { by, bytesPerSecond, fastest } of rates) {
      assert(by === "ours" && bytesPerSecond > 1e6 && fastest >= bytesPerSecond);
    }
  }));
