import { assertEquals, assertRejects } from "../deps.ts";
import { MetricsLog, type MetricsRecord, readMetrics } from "../../src/report/metrics.ts";
import { InputError, RunError } from "../../src/util/errors.ts";
import { inFolder } from "../support/folder.ts";

const withPath = (test: (path: string) => Promise<void>) =>
  inFolder((folder) => test(`${folder}/metrics.jsonl`));

function record(step: number, more: Partial<MetricsRecord> = {}): MetricsRecord {
  return {
    step,
    epoch: step / 10,
    loss: 1 / step,
    lr: 1e-4,
    grad_norm: 0.5,
    images_per_second: 100,
    data_wait: 0.01,
    skipped_steps: 0,
    seconds: step,
    ...more,
  };
}

async function write(path: string, steps: number[]): Promise<void> {
  await using log = await MetricsLog.open(path);
  for (const step of steps) await log.append(record(step));
}

const stepsIn = async (path: string) => (await readMetrics(path)).map(({ step }) => step);

Deno.test("MetricsLog.append() writes one JSON object per line, which readMetrics() reads", () =>
  withPath(async (path) => {
    const log = await MetricsLog.open(path);
    const records = [
      record(1),
      record(2, { loss: null, grad_norm: null }),
      record(3, { knn_accuracy: 0.4, other: null }),
    ];
    for (const one of records) await log.append(one);
    assertEquals(await readMetrics(path), records); // readable while it is open
    await log.sync();
    await log.close();
    const lines = (await Deno.readTextFile(path)).split("\n");
    assertEquals(lines.length, 4);
    assertEquals(JSON.parse(lines[0]), records[0]);
  }));

Deno.test("MetricsLog.append() makes NaN null where a field may be null, and refuses it elsewhere", () =>
  withPath(async (path) => {
    await using log = await MetricsLog.open(path);
    await log.append(record(1, { loss: NaN, grad_norm: Infinity }));
    await assertRejects(
      () => log.append(record(2, { images_per_second: Infinity })),
      RangeError,
      "Metric images_per_second is Infinity",
    );
    assertEquals(await readMetrics(path), [record(1, { loss: null, grad_norm: null })]);
  }));

Deno.test("MetricsLog.open() resuming keeps records up to the step and goes on behind them", () =>
  withPath(async (path) => {
    await write(path, [10, 20, 30, 40]);
    const before = await Deno.readTextFile(path);
    {
      await using log = await MetricsLog.open(path, { resumeAtStep: 25 });
      assertEquals(await stepsIn(path), [10, 20]);
      await log.append(record(30));
      await log.append(record(40));
    }
    assertEquals(await Deno.readTextFile(path), before);
  }));

Deno.test("MetricsLog.open() resuming drops lines that a crash has damaged", () =>
  withPath(async (path) => {
    await write(path, [1, 2, 3]);
    const whole = await Deno.readTextFile(path);
    const firstTwo = whole.split("\n").slice(0, 2).join("\n") + "\n";
    for (let length = firstTwo.length; length < whole.length; length++) { // cut anywhere in the third line
      await Deno.writeTextFile(path, whole.slice(0, length));
      assertEquals(await stepsIn(path), [1, 2]);
      await using _log = await MetricsLog.open(path, { resumeAtStep: 9 });
      assertEquals(await Deno.readTextFile(path), firstTwo);
    }
    await Deno.writeTextFile(path, `${firstTwo}\0\0\0\n${whole}`);
    await using _log = await MetricsLog.open(path, { resumeAtStep: 9 });
    assertEquals(await stepsIn(path), [1, 2, 1, 2, 3]);
  }));

Deno.test("MetricsLog.open() resuming leaves a file that needs no change as it is, and makes a missing one", () =>
  withPath(async (path) => {
    await write(path, [1, 2]);
    const before = await Deno.stat(path);
    await (await MetricsLog.open(path, { resumeAtStep: 2 })).close();
    assertEquals((await Deno.stat(path)).ino, before.ino);
    await Deno.remove(path);
    await (await MetricsLog.open(path, { resumeAtStep: 2 })).close();
    assertEquals(await readMetrics(path), []);
  }));

Deno.test("MetricsLog.open() does not mix a new run into the records of another", () =>
  withPath(async (path) => {
    await (await MetricsLog.open(path)).close();
    await write(path, [1]); // an empty file is taken
    await assertRejects(
      () => MetricsLog.open(path),
      InputError,
      `"${path}" holds the metrics of another run`,
    );
    assertEquals(await stepsIn(path), [1]);
  }));

Deno.test("MetricsLog.open() names a folder that does not exist", () =>
  withPath(async (path) => {
    const missing = `${path.replace("metrics.jsonl", "none")}/metrics.jsonl`;
    await assertRejects(() => MetricsLog.open(missing), RunError, `cannot write "${missing}"`);
  }));

Deno.test("readMetrics() names the file and line of what is no record", () =>
  withPath(async (path) => {
    await assertRejects(() => readMetrics(path), InputError, `there is no file "${path}"`);
    const good = JSON.stringify(record(1));
    const missing = JSON.stringify({ ...record(1), lr: undefined });
    for (
      const bad of [
        "{",
        "[]",
        "null",
        "3",
        '{"step":1}',
        missing,
        JSON.stringify({ ...record(1), note: "text" }),
      ]
    ) {
      await Deno.writeTextFile(path, `${good}\n${bad}\n${good}\n`);
      await assertRejects(() => readMetrics(path), InputError, `"${path}" has no metrics record in line 2`);
    }
  }));
