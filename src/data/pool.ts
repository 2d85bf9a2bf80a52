/** The makers of examples: a pool of workers, or this thread. */
import { RunError } from "../util/errors.ts";
import type { CrashReport, Setup, Task, TaskReport } from "./protocol.ts";
import { type Item, type ItemFailure, pixelsIn, renderItem, type RenderSettings } from "./render.ts";
import type { WorkSettings } from "./work.ts";

/** Makes examples in shared memory. */
export interface Renderer {
  /**
   * Makes the items of an epoch in `pixels` [slots, height, width, channels]; resolves to those whose files are
   * broken. Rejects with `RunError` when a worker crashed or the renderer was closed.
   */
  render(pixels: SharedArrayBuffer, epoch: number, items: readonly Item[]): Promise<ItemFailure[]>;
  /** Ends it; calls under way reject. */
  close(): void;
}

/** Renders in this thread, when asked. */
export function inlineRenderer(settings: RenderSettings): Renderer {
  let closed = false;
  return {
    async render(pixels, epoch, items) {
      const values = pixelsIn(pixels, settings);
      const failures: ItemFailure[] = [];
      for (const item of items) {
        if (closed) throw new RunError("The data loader is closed");
        const failure = await renderItem(settings, epoch, item, values);
        if (failure !== undefined) failures.push(failure);
      }
      return failures;
    },
    close: () => closed = true,
  };
}

/** The worker's module: beside this one, which in a bundle is JavaScript. */
export function defaultWorkerUrl(): URL {
  return import.meta.url.endsWith(".js")
    ? new URL("./worker.js", import.meta.url)
    : new URL("./worker.ts", import.meta.url);
}

/** What a pool may be told besides. */
export interface PoolOptions {
  /** The worker's module, where it does not lie beside this one. */
  readonly workerUrl?: URL | string;
  /** Called when a worker was lost and another one took its place, with a sentence. */
  readonly onRestart?: (message: string) => void;
  /** Seconds after which a worker that gets nothing done is given up; {@linkcode STALL_SECONDS} by default. */
  readonly stallSeconds?: number;
}

/** Longer than any image takes to decode, and than a remote source is tried for. */
export const STALL_SECONDS = 600;

/** How often in that time workers are looked at. */
const LOOKS = 8;

/** A task whose reports are awaited. */
interface Pending {
  readonly task: Task;
  readonly takers: Int32Array;
  /** Numbers of the workers that have reported. */
  readonly reported: Set<number>;
  /** Items in whose making a worker was lost. */
  readonly fatal: Set<number>;
  left: number;
  readonly failures: ItemFailure[];
  readonly resolve: (failures: ItemFailure[]) => void;
  readonly reject: (error: Error) => void;
}

/** A worker at work. */
interface Member {
  readonly number: number;
  readonly worker: Worker;
  /** Whether it took the place of one that was lost before it had done anything. */
  readonly lastTry: boolean;
  /** Reports it has given. */
  reports: number;
  /** What it had done when it was looked at last, and how often that was the same. */
  seen: { done: number; looks: number };
}

/** Something in a pool has gone wrong for good. `slot` is the place in the batch of the item that was in hand, if one was. */
export class LostWorkerError extends RunError {
  /** The class's name, for error reports. */
  override name = "LostWorkerError";

  /** A sentence, and the item's place. */
  constructor(message: string, readonly slot?: number) {
    super(message);
  }
}

/**
 * Renders in workers, tasks in the order they were given. A worker that crashes or stalls is replaced, and what it had in hand is
 * made again by its successor: the pixels are a function of the item alone. An item that costs two workers ends the pool, and
 * so does a worker that is lost before it has done anything, as the one before it.
 */
export class WorkerPool implements Renderer {
  readonly #members: Member[] = [];
  readonly #pending = new Map<number, Pending>();
  readonly #settings: WorkSettings;
  readonly #options: PoolOptions;
  readonly #watch: ReturnType<typeof setInterval>;
  #nextTask = 0;
  #nextWorker = 1;
  #failure: RunError | undefined;

  /** Starts `count` workers. A module that cannot be loaded shows at the first `render`. */
  constructor(settings: WorkSettings, count: number, options: PoolOptions = {}) {
    this.#settings = settings;
    this.#options = options;
    for (let i = 0; i < count; i++) this.#start(false);
    const { stallSeconds = STALL_SECONDS } = options;
    this.#watch = setInterval(() => this.#look(stallSeconds), stallSeconds * 1000 / LOOKS);
    Deno.unrefTimer(this.#watch);
  }

  /** See {@linkcode Renderer.render}. */
  render(pixels: SharedArrayBuffer, epoch: number, items: readonly Item[]): Promise<ItemFailure[]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (items.length === 0) return Promise.resolve([]);
    const takers = new SharedArrayBuffer(4 * items.length);
    const task: Task = { kind: "task", id: this.#nextTask++, epoch, items, pixels, takers };
    return new Promise((resolve, reject) => {
      this.#pending.set(task.id, {
        task,
        takers: new Int32Array(takers),
        reported: new Set(),
        fatal: new Set(),
        left: items.length,
        failures: [],
        resolve,
        reject,
      });
      for (const { worker } of this.#members) worker.postMessage(task);
    });
  }

  /** See {@linkcode Renderer.close}. */
  close(): void {
    this.#fail(new RunError("The data loader is closed"));
  }

  #start(lastTry: boolean): void {
    const number = this.#nextWorker++;
    const url = this.#options.workerUrl ?? defaultWorkerUrl();
    const worker = new Worker(url, { type: "module", name: `mae data ${number}` });
    const member: Member = { number, worker, lastTry, reports: 0, seen: { done: 0, looks: 0 } };
    worker.onmessage = ({ data }: MessageEvent<TaskReport | CrashReport>) => this.#receive(member, data);
    worker.onerror = (event) => {
      event.preventDefault(); // or it would end the program without a word from us
      this.#lose(member, `crashed: ${event.message}`);
    };
    worker.onmessageerror = () => this.#lose(member, "sent a message that is unreadable");
    const setup: Setup = { kind: "setup", settings: this.#settings, worker: number };
    worker.postMessage(setup);
    for (const { task } of this.#pending.values()) worker.postMessage(task);
    this.#members.push(member);
  }

  #receive(member: Member, message: TaskReport | CrashReport): void {
    if (!this.#members.includes(member)) return; // the last words of one that was given up
    if (message.kind === "crash") return this.#lose(member, `crashed: ${message.message}`);
    member.reports++;
    const pending = this.#pending.get(message.id);
    if (pending === undefined) return; // the report of a worker that came to the task when nothing was left
    pending.reported.add(member.number);
    pending.failures.push(...message.failures);
    pending.left -= message.count;
    if (pending.left > 0) return;
    this.#pending.delete(message.id);
    pending.resolve(pending.failures);
  }

  /** Gives a worker's place to another one, with all that it has not reported. */
  #lose(member: Member, what: string): void {
    const place = this.#members.indexOf(member);
    if (place < 0) return;
    this.#members.splice(place, 1);
    member.worker.terminate();
    const inHand = this.#release(member);
    const idle = inHand === undefined && member.reports === 0;
    if (inHand?.again || (idle && member.lastTry)) {
      const whose = inHand ? "Two data workers were lost over the same image; the second" : "A data worker";
      return this.#fail(new LostWorkerError(`${whose} ${what}`, inHand?.slot));
    }
    this.#options.onRestart?.(`A data worker ${what}; another one takes its place`);
    this.#start(idle);
  }

  /** Frees the items that a worker took and did not report; gives the one it was at, and whether that one is known for it. */
  #release({ number }: Member): { slot: number; again: boolean } | undefined {
    let last: { pending: Pending; item: number } | undefined;
    for (const pending of this.#pending.values()) {
      if (pending.reported.has(number)) continue;
      for (let item = 0; item < pending.takers.length; item++) {
        if (Atomics.load(pending.takers, item) !== number) continue;
        Atomics.store(pending.takers, item, 0);
        last = { pending, item }; // items and tasks are taken in their order
      }
    }
    if (last === undefined) return undefined;
    const { pending, item } = last;
    const again = pending.fatal.has(item);
    pending.fatal.add(item);
    return { slot: pending.task.items[item].slot, again };
  }

  /** Loses the workers that owe reports and have got nothing done for the whole time. */
  #look(stallSeconds: number): void {
    for (const member of [...this.#members]) {
      let owed = 0, taken = 0;
      for (const { takers, reported } of this.#pending.values()) {
        if (reported.has(member.number)) continue;
        owed++;
        for (let item = 0; item < takers.length; item++) {
          if (Atomics.load(takers, item) === member.number) taken++;
        }
      }
      const done = member.reports * 2 ** 20 + taken;
      const idle = owed > 0 && done === member.seen.done;
      // Looks are counted, not seconds: a machine that slept must not lose its workers.
      member.seen = { done, looks: idle ? member.seen.looks + 1 : 0 };
      if (member.seen.looks >= LOOKS) this.#lose(member, `got nothing done in ${stallSeconds} seconds`);
    }
  }

  #fail(error: RunError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    clearInterval(this.#watch);
    for (const { worker } of this.#members) worker.terminate();
    for (const { reject } of this.#pending.values()) reject(error);
    this.#members.length = 0;
    this.#pending.clear();
  }
}
