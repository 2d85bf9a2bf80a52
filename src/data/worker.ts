/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** A data worker: takes items of tasks, puts what it makes of them into shared memory. Loads no tfjs and opens no device. */
import { messageOf } from "../util/errors.ts";
import type { CrashReport, Setup, Task, TaskReport } from "./protocol.ts";
import type { ItemFailure } from "./render.ts";
import { workOn, type WorkSettings } from "./work.ts";

let settings: WorkSettings | undefined;
let worker = 0;
let queue: Promise<void> = Promise.resolve();

async function work(task: Task): Promise<void> {
  if (settings === undefined) throw new Error("A task came before the settings");
  const takers = new Int32Array(task.takers);
  const failures: ItemFailure[] = [];
  let count = 0;
  for (let i = 0; i < task.items.length; i++) {
    if (Atomics.compareExchange(takers, i, 0, worker) !== 0) continue;
    const failure = await workOn(settings, task.epoch, task.items[i], task.pixels);
    if (failure !== undefined) failures.push(failure);
    count++;
  }
  const report: TaskReport = { kind: "report", id: task.id, count, failures };
  self.postMessage(report);
}

self.onmessage = ({ data }: MessageEvent<Setup | Task>) => {
  if (data.kind === "setup") {
    settings = data.settings;
    worker = data.worker;
    return;
  }
  // One task after the other: tasks that ran side by side would delay the batch that is waited for.
  queue = queue.then(() => work(data)).catch((error) => {
    const report: CrashReport = { kind: "crash", message: messageOf(error) };
    self.postMessage(report);
  });
};
