import type { DataBenchOptions, DataReport } from "../../src/bench/data_path.ts";
import { benchCommand } from "../../src/cli/bench.ts";
import { dataTables } from "../../src/cli/bench_data.ts";
import { parseArguments } from "../../src/cli/command.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertRejects } from "../deps.ts";
import { inFolder } from "../support/folder.ts";
import { assertSnapshot } from "../support/snapshot.ts";
import { RecordingTerminal } from "../support/terminal.ts";

const report: DataReport = {
  version: 1,
  date: "2026-11-23T18:00:00.000Z",
  seconds: 5,
  machine: { mae: "0.1.0", deno: "2.9.6", system: "linux x86_64", cores: 2 },
  data: { name: "my\u001b[1mphotos", images: 48, fileBytes: 38_912 },
  reading: { images: 48, bytesPerSecond: 1.01e9, fastest: 1.14e9, imagesPerSecond: 25_900 },
  shards: {
    rates: [
      { by: "ours", stage: "tar", bytesPerSecond: 1.81e9, fastest: 2.55e9 },
      { by: "ours", stage: "parquet plain", bytesPerSecond: 1.47e9, fastest: 2.56e9 },
      { by: "Python 3.11 tarfile", stage: "tar", bytesPerSecond: 0.408e9, fastest: 0.546e9 },
    ],
    notes: ["no pyarrow"],
  },
  stages: [
    { by: "ours", stage: "decode", imagesPerSecond: 637, fastest: 835 },
    { by: "ours", stage: "crop", imagesPerSecond: 621, fastest: 848 },
    { by: "libjpeg", stage: "decode", imagesPerSecond: 236, fastest: 343 },
    { by: "pillow", stage: "decode", imagesPerSecond: 743, fastest: 1253 },
    { by: "pillow", stage: "crop", imagesPerSecond: 293, fastest: 401 },
  ],
  pillow: { note: "Pillow 12.3", sameBits: true },
  loader: [{ workers: 1, imagesPerSecond: 590 }, { workers: 2, imagesPerSecond: 1090 }],
  bottleneck: { stage: "workers", allows: 1242, reached: 0.8776 },
};

Deno.test("mae bench data prints tables, or JSON", async () => {
  const alone: DataReport = {
    ...report,
    shards: { rates: report.shards.rates.slice(0, 2), notes: [] },
    stages: report.stages.slice(0, 2),
    pillow: null,
    bottleneck: { stage: "handing over", allows: 1242, reached: 0.28 },
  };
  const differing: DataReport = { ...report, pillow: { note: "Pillow 12.3", sameBits: false } };
  await assertSnapshot("cli", "bench_data_tables", [report, alone, differing].map(dataTables).join("\n\n"));

  const asked: DataBenchOptions[] = [];
  const command = benchCommand(() => Promise.reject(new Error("not asked for")), (options, onProgress) => {
    asked.push(options);
    onProgress("reading");
    return Promise.resolve(report);
  });
  const run = async (...args: string[]) => {
    const terminal = new RecordingTerminal();
    assertEquals(await command.run(parseArguments(command, args), terminal), 0);
    return terminal;
  };
  assertEquals((await run("data")).output, [dataTables(report)]);
  await inFolder(async (folder) => {
    const out = `${folder}/data.json`;
    const json = await run("data", "--json", "--peers", "--seconds", "2", "--data", "photos", "--out", out);
    assertEquals(JSON.parse(json.text), report);
    assertEquals(JSON.parse(await Deno.readTextFile(out)), report);
    assertEquals(json.errors, ["0 s: reading"]);
  });
  assertEquals(asked, [
    { source: undefined, seconds: 5, peers: false, version: "0.1.0" },
    { source: "photos", seconds: 2, peers: true, version: "0.1.0" },
  ]);
  await assertRejects(
    () => run("data", "--config", "tiny"),
    InputError,
    "--config is of no use to bench data",
  );
  await assertRejects(() => run("data", "--remat"), InputError, "--remat is of no use to bench data");
  await assertRejects(() => run("steps", "--data", "photos"), InputError, "--data goes with bench data only");
});
