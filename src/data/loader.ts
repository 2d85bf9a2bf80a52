/**
 * The stream of training batches: decoded, cropped and flipped images in the order of the sampler, made ahead of time
 * in workers.
 */
import type { PixelValues, ShuffleConfig } from "../config/types.ts";
import { RunError } from "../util/errors.ts";
import { type BrokenFile, type BrokenPolicy, BrokenSamples } from "./broken_samples.ts";
import { checkDecoder } from "../images/native_jpeg.ts";
import { orderOf } from "./order.ts";
import { inlineRenderer, type Renderer, WorkerPool } from "./pool.ts";
import { imageBytes, imageSettings, pixelsIn, type RenderSettings } from "./render.ts";
import { renderSamples } from "./render_samples.ts";
import {
  type DrawingOrder,
  type EpochPlan,
  type Part,
  placeOf,
  planEpoch,
  substituteSample,
} from "./sampler.ts";
import type { ImageSource } from "../sources/source.ts";

/** What a loader needs to know. */
export interface LoaderOptions extends RenderSettings, BrokenPolicy {
  /** The images. */
  readonly source: ImageSource;
  /** Images of a micro-batch. */
  readonly batchSize: number;
  /** Micro-batches of an optimizer step. */
  readonly accumulate: number;
  /** How often each image is drawn per epoch; `auto` is the least that fills one step. */
  readonly repeat: number | "auto";
  /** How samples of shards are mixed; a buffer of 10,000 and 16 shards at a time by default. */
  readonly shuffle?: ShuffleConfig;
  /**
   * Which of several processes this is, by default the only one. Each makes its own `batchSize` images of every micro-batch;
   * together they make the batches that one process would with so many times the size.
   */
  readonly part?: Part;
  /** Data workers; `auto` is the number of cores, at most 8; 0 works in this thread when a batch is asked for. */
  readonly workers: number | "auto";
  /** Optimizer step to begin with, for resuming. */
  readonly startStep?: number;
  /** The worker's module, where it does not lie beside the loader's. */
  readonly workerUrl?: URL | string;
  /** Called once for each broken file, when it is met. */
  readonly onBroken?: (file: BrokenFile) => void;
  /** Called with a sentence when a data worker was lost and another one took its place. */
  readonly onRestart?: (message: string) => void;
}

/** One micro-batch. */
export interface ImageBatch {
  /**
   * Pixels [batchSize, height, width, channels] in shared memory. Valid until `next` is called for the second time
   * after the call that gave this batch; then the memory is written anew.
   */
  readonly pixels: PixelValues;
  /** The sample that each image was made of, after broken ones were replaced. */
  readonly indices: Uint32Array;
  /** The epoch it belongs to, counted from 0. */
  readonly epoch: number;
  /** The optimizer step it belongs to, counted from the start of the run. */
  readonly step: number;
}

/** A source of batches without end; who asks decides when it is enough. */
export interface Loader {
  /** Images in the data set. */
  readonly samples: number;
  /** How often each is drawn per epoch. */
  readonly repeat: number;
  /** Optimizer steps of an epoch; what fills no step is left out. */
  readonly stepsPerEpoch: number;
  /** Broken files met so far, each once, in the order they were met. */
  readonly broken: readonly BrokenFile[];
  /** Seconds that calls of `next` have waited, all together. */
  readonly waitSeconds: number;
  /** Places in the batches given out so far that another sample took, as theirs was broken. */
  readonly substituted: number;
  /**
   * The next micro-batch. Throws `RunError` when every file is broken or more than may be, a worker crashed, or the loader is
   * closed.
   */
  next(): Promise<ImageBatch>;
  /** Ends the workers. A call of `next` under way rejects. */
  close(): Promise<void>;
}

/** Batches lent out at a time: the newest and the one before it. */
const LENT = 2;

/** Most bytes of batches made ahead, as long as two fit. */
const AHEAD_BYTES = 2 ** 28;

/** The number of workers that `auto` stands for. */
export function automaticWorkers(): number {
  return Math.max(1, Math.min(8, navigator.hardwareConcurrency));
}

/** How many batches are made ahead: enough to keep all workers busy, and to bridge a slow step. */
function batchesAhead(batchSize: number, batchBytes: number, workers: number): number {
  const wanted = Math.max(4, Math.ceil(4 * workers / batchSize));
  return Math.max(2, Math.min(wanted, Math.floor(AHEAD_BYTES / batchBytes)));
}

/** What workers are told; only this may be sent to another thread. */
function renderSettings(options: LoaderOptions): RenderSettings {
  return { ...imageSettings(options), augment: options.augment, seed: options.seed };
}

/** A batch with the memory it lies in. */
interface FilledBuffer {
  readonly batch: ImageBatch;
  readonly buffer: SharedArrayBuffer;
  /** Places that another sample took. */
  readonly substituted: number;
}

class ShuffledLoader implements Loader {
  waitSeconds = 0;
  substituted = 0;
  readonly #options: LoaderOptions;
  readonly #plan: EpochPlan;
  readonly #order: DrawingOrder;
  readonly #renderer: Renderer;
  /** Batches made before they are asked for. */
  readonly #ahead: number;
  readonly #free: SharedArrayBuffer[] = [];
  /** Batches under way or done, oldest first. */
  readonly #queue: Promise<FilledBuffer>[] = [];
  readonly #lent: SharedArrayBuffer[] = [];
  readonly #broken: BrokenSamples;
  #nextMicroBatch: number;
  #failure: Error | undefined;

  constructor(options: LoaderOptions, plan: EpochPlan) {
    const { batchSize, startStep = 0 } = options;
    const workers = options.workers === "auto" ? automaticWorkers() : options.workers;
    const bytes = batchSize * imageBytes(options);
    this.#options = options;
    this.#plan = plan;
    this.#broken = new BrokenSamples(options.source, options, options.onBroken);
    this.#order = orderOf(options.source, options.seed, plan.repeat, options.shuffle);
    this.#nextMicroBatch = startStep * options.accumulate;
    this.#renderer = workers === 0
      ? inlineRenderer(renderSettings(options))
      : new WorkerPool(renderSettings(options), workers, options);
    this.#ahead = workers === 0 ? 0 : batchesAhead(batchSize, bytes, workers);
    for (let i = 0; i < this.#ahead + LENT; i++) this.#free.push(new SharedArrayBuffer(bytes));
    this.#startBatches(this.#ahead);
  }

  get samples(): number {
    return this.#plan.samples;
  }

  get broken(): readonly BrokenFile[] {
    return this.#broken.files;
  }

  get repeat(): number {
    return this.#plan.repeat;
  }

  get stepsPerEpoch(): number {
    return this.#plan.stepsPerEpoch;
  }

  async next(): Promise<ImageBatch> {
    if (this.#failure !== undefined) throw this.#failure;
    const started = performance.now();
    if (this.#lent.length === LENT) this.#free.push(...this.#lent.splice(0, 1));
    this.#startBatches(this.#ahead + 1);
    const [filled] = this.#queue.splice(0, 1);
    try {
      const { batch, buffer, substituted } = await filled;
      this.#lent.push(buffer);
      this.substituted += substituted;
      return batch;
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new RunError(String(error));
      throw error;
    } finally {
      this.waitSeconds += (performance.now() - started) / 1000;
    }
  }

  close(): Promise<void> {
    this.#failure ??= new RunError("The data loader is closed");
    this.#renderer.close();
    return Promise.resolve();
  }

  /** Starts batches until `count` are under way or done. */
  #startBatches(count: number): void {
    while (this.#queue.length < count) {
      const buffer = this.#free.pop();
      if (buffer === undefined) {
        throw new RunError("The data loader's next() was called again before it answered");
      }
      const filled = this.#fill(this.#nextMicroBatch++, buffer);
      filled.catch(() => {}); // the `next` that comes to it throws it
      this.#queue.push(filled);
    }
  }

  /** Makes a micro-batch; files that turn out broken are replaced until every slot is filled. */
  async #fill(microBatch: number, buffer: SharedArrayBuffer): Promise<FilledBuffer> {
    const { batchSize } = this.#options;
    const { epoch, step, firstPosition } = placeOf(microBatch, this.#plan);
    const indices = this.#order.draw(epoch, firstPosition, batchSize);
    const attempts = new Uint32Array(batchSize);
    let slots = Array.from(indices.keys());
    while (slots.length > 0) {
      for (const slot of slots) this.#replaceBroken(epoch, firstPosition + slot, slot, indices, attempts);
      const places = slots.map((slot) => ({ slot, position: firstPosition + slot, sample: indices[slot] }));
      const failures = await renderSamples(this.#renderer, this.#options.source, buffer, epoch, places);
      this.#broken.note(
        slots.length,
        failures.map(({ slot, reason }) => ({ sample: indices[slot], reason })),
      );
      slots = failures.map(({ slot }) => slot);
    }
    const substituted = attempts.filter((count) => count > 0).length;
    return { batch: { pixels: pixelsIn(buffer, this.#options), indices, epoch, step }, buffer, substituted };
  }

  /**
   * While a slot's sample is known to be broken, puts the next substitute in its place. Which files were known before
   * does not matter: the chain of substitutes of a position is always the same, and so is the first sound one in it.
   */
  #replaceBroken(
    epoch: number,
    position: number,
    slot: number,
    indices: Uint32Array,
    attempts: Uint32Array,
  ): void {
    const { samples } = this.#plan;
    while (this.#broken.has(indices[slot])) {
      if (this.#broken.isAll) throw this.#broken.nothingReadable();
      attempts[slot]++;
      indices[slot] = substituteSample(this.#options.seed, epoch, position, attempts[slot], samples);
    }
  }
}

/**
 * Opens a stream of training batches. Throws `InputError` when the data set, repeated as told, does not fill one
 * optimizer step.
 */
export function openLoader(options: LoaderOptions): Promise<Loader> {
  const { source, repeat, batchSize, accumulate, part } = options;
  // a promise, so that whatever goes wrong comes the same way
  return Promise.resolve().then(() => {
    checkDecoder(options.decoder);
    return new ShuffledLoader(options, planEpoch(source.length, repeat, batchSize, accumulate, part));
  });
}
