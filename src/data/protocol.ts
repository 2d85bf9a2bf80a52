/** What the main thread and its data workers say to each other. */
import type { Item, ItemFailure, RenderSettings } from "./render.ts";

/** First message to a worker. */
export interface Setup {
  readonly kind: "setup";
  readonly settings: RenderSettings;
}

/**
 * Examples to be made, sent to every worker alike; each takes the next item by raising the shared counter, so that a
 * slow file holds up nobody.
 */
export interface Task {
  readonly kind: "task";
  readonly id: number;
  readonly epoch: number;
  readonly items: readonly Item[];
  /** Pixels [slots, height, width, channels], written in place. */
  readonly pixels: SharedArrayBuffer;
  /** One Int32: items taken so far. */
  readonly taken: SharedArrayBuffer;
}

/** A worker's answer to a task once no item is left to take. */
export interface TaskReport {
  readonly kind: "report";
  readonly id: number;
  /** Items this worker took. */
  readonly count: number;
  readonly failures: readonly ItemFailure[];
}

/** A worker's last word: something other than a broken file went wrong. */
export interface CrashReport {
  readonly kind: "crash";
  readonly message: string;
}
