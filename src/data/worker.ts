/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** A data worker: takes items of tasks, renders them into shared memory. Loads no tfjs and opens no device. */
import { messageOf } from "../util/errors.ts";
import type { CrashReport, Setup, Task, TaskReport } from "./protocol.ts";
import { type ItemFailure, renderItem, type RenderSettings } from "./render.ts";

let settings: RenderSettings | undefined;
let queue: Promise<void> = Promise.resolve();

async function work(task: Task): Promise<void> {
  if (settings === undefined) throw new Error("A task came before the settings");
  const pixels = new Uint8Array(task.pixels);
  const taken = new Int32Array(task.taken);
  const failures: ItemFailure[] = [];
  let count = 0;
  for (let i = Atomics.add(taken, 0, 1); i < task.items.length; i = Atomics.add(taken, 0, 1)) {
    const failure = await renderItem(settings, task.epoch, task.items[i], pixels);
    if (failure !== undefined) failures.push(failure);
    count++;
  }
  const report: TaskReport = { kind: "report", id: task.id, count, failures };
  self.postMessage(report);
}

self.onmessage = ({ data }: MessageEvent<Setup | Task>) => {
  if (data.kind === "setup") {
    settings = data.settings;
    return;
  }
  // One task after the other: tasks that ran side by side would delay the batch that is waited for.
  queue = queue.then(() => work(data)).catch((error) => {
    const report: CrashReport = { kind: "crash", message: messageOf(error) };
    self.postMessage(report);
  });
};
