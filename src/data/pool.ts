/** The makers of examples: a pool of workers, or this thread. */
import { RunError } from "../util/errors.ts";
import type { CrashReport, Setup, Task, TaskReport } from "./protocol.ts";
import { type Item, type ItemFailure, renderItem, type RenderSettings } from "./render.ts";

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
      const bytes = new Uint8Array(pixels);
      const failures: ItemFailure[] = [];
      for (const item of items) {
        if (closed) throw new RunError("The data loader is closed");
        const failure = await renderItem(settings, epoch, item, bytes);
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

/** A task whose reports are awaited. */
interface Pending {
  left: number;
  readonly failures: ItemFailure[];
  readonly resolve: (failures: ItemFailure[]) => void;
  readonly reject: (error: Error) => void;
}

/** Renders in workers, tasks in the order they were given. */
export class WorkerPool implements Renderer {
  readonly #workers: Worker[] = [];
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  #failure: RunError | undefined;

  /** Starts `count` workers. A module that cannot be loaded shows at the first `render`. */
  constructor(settings: RenderSettings, count: number, workerUrl: URL | string = defaultWorkerUrl()) {
    const setup: Setup = { kind: "setup", settings };
    for (let i = 0; i < count; i++) {
      const worker = new Worker(workerUrl, { type: "module", name: `mae data ${i}` });
      worker.onmessage = ({ data }: MessageEvent<TaskReport | CrashReport>) => this.#receive(data);
      worker.onerror = (event) => {
        event.preventDefault(); // or it would end the program without a word from us
        this.#fail(new RunError(`A data worker crashed: ${event.message}`));
      };
      worker.onmessageerror = () => this.#fail(new RunError("A message from a data worker was unreadable"));
      worker.postMessage(setup);
      this.#workers.push(worker);
    }
  }

  /** See {@linkcode Renderer.render}. */
  render(pixels: SharedArrayBuffer, epoch: number, items: readonly Item[]): Promise<ItemFailure[]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (items.length === 0) return Promise.resolve([]);
    const id = this.#nextId++;
    const task: Task = { kind: "task", id, epoch, items, pixels, taken: new SharedArrayBuffer(4) };
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { left: items.length, failures: [], resolve, reject });
      for (const worker of this.#workers) worker.postMessage(task);
    });
  }

  /** See {@linkcode Renderer.close}. */
  close(): void {
    this.#fail(new RunError("The data loader is closed"));
  }

  #receive(message: TaskReport | CrashReport): void {
    if (message.kind === "crash") {
      return this.#fail(new RunError(`A data worker crashed: ${message.message}`));
    }
    const pending = this.#pending.get(message.id);
    if (pending === undefined) return; // the report of a worker that came to the task when nothing was left
    pending.failures.push(...message.failures);
    pending.left -= message.count;
    if (pending.left > 0) return;
    this.#pending.delete(message.id);
    pending.resolve(pending.failures);
  }

  #fail(error: RunError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    for (const worker of this.#workers) worker.terminate();
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}
