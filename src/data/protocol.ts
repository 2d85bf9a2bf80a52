/** What the main thread and its data workers say to each other. */
import type { Item, ItemFailure } from "./render.ts";
import type { WorkSettings } from "./work.ts";

/** First message to a worker. */
export interface Setup {
  /** Tells the messages apart. */
  readonly kind: "setup";
  /** How examples are made, or that images are looked at instead. */
  readonly settings: WorkSettings;
  /** The worker's number, not 0: never given to another one. */
  readonly worker: number;
}

/**
 * Examples to be made, sent to every worker alike; each takes the next item that is free, so that a slow file holds up
 * nobody, and what a worker leaves behind can be given to another one.
 */
export interface Task {
  /** Tells the messages apart. */
  readonly kind: "task";
  /** Names the task in reports. */
  readonly id: number;
  /** Epoch of the items. */
  readonly epoch: number;
  /** The examples. */
  readonly items: readonly Item[];
  /** Pixels [slots, height, width, channels], or records of images, written in place. */
  readonly pixels: SharedArrayBuffer;
  /** An Int32 for each item: the worker that took it, or 0. */
  readonly takers: SharedArrayBuffer;
}

/** A worker's answer to a task once no item is left to take: each worker gives one to each task. */
export interface TaskReport {
  /** Tells the messages apart. */
  readonly kind: "report";
  /** The task. */
  readonly id: number;
  /** Items this worker took. */
  readonly count: number;
  /** Those of them whose files are broken. */
  readonly failures: readonly ItemFailure[];
}

/** A worker's last word: something other than a broken file went wrong. */
export interface CrashReport {
  /** Tells the messages apart. */
  readonly kind: "crash";
  /** What was thrown. */
  readonly message: string;
}
