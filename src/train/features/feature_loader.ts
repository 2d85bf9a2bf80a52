/** Batches of images whose features are known: only which images they are, in the order that training draws them. */
import type { ShuffleConfig } from "../../config/types.ts";
import type { BrokenFile } from "../../data/broken_samples.ts";
import type { ImageBatch, Loader } from "../../data/loader.ts";
import { type OrderedSource, orderOf } from "../../data/order.ts";
import { type DrawingOrder, type EpochPlan, placeOf, planEpoch } from "../../data/sampler.ts";
import { RunError } from "../../util/errors.ts";

/** What decides which image stands where. */
export interface FeatureLoaderOptions {
  /** The data set. */
  readonly source: OrderedSource;
  /** How samples of shards are mixed. */
  readonly shuffle: ShuffleConfig;
  /** Images of a micro-batch. */
  readonly batchSize: number;
  /** Micro-batches of an optimizer step. */
  readonly accumulate: number;
  /** How often each image is drawn per epoch; `auto` is the least that fills one step. */
  readonly repeat: number | "auto";
  /** The run's seed. */
  readonly seed: number;
  /** Optimizer step to begin with. */
  readonly startStep: number;
}

/** The order of the loader of images, without images: `pixels` are empty, and nothing is ever waited for. */
export class FeatureLoader implements Loader {
  /** None: who computes the features tells of them. */
  readonly broken: readonly BrokenFile[] = [];
  /** None likewise. */
  readonly substituted = 0;
  /** Nothing is waited for. */
  readonly waitSeconds = 0;
  readonly #plan: EpochPlan;
  readonly #order: DrawingOrder;
  #next: number;
  #closed = false;

  /** Throws `InputError` when the data set, repeated as told, does not fill one step. */
  constructor(
    { source, shuffle, batchSize, accumulate, repeat, seed, startStep }: FeatureLoaderOptions,
  ) {
    this.#plan = planEpoch(source.length, repeat, batchSize, accumulate);
    this.#order = orderOf(source, seed, this.#plan.repeat, shuffle);
    this.#next = startStep * accumulate;
  }

  /** Images in the data set. */
  get samples(): number {
    return this.#plan.samples;
  }

  /** How often each is drawn per epoch. */
  get repeat(): number {
    return this.#plan.repeat;
  }

  /** Optimizer steps of an epoch. */
  get stepsPerEpoch(): number {
    return this.#plan.stepsPerEpoch;
  }

  /** The next micro-batch. Throws `RunError` once it is closed. */
  next(): Promise<ImageBatch> {
    if (this.#closed) return Promise.reject(new RunError("The data loader is closed"));
    const { epoch, step, firstPosition } = placeOf(this.#next++, this.#plan);
    const indices = this.#order.draw(epoch, firstPosition, this.#plan.batchSize);
    return Promise.resolve({ pixels: new Uint8Array(0), indices, epoch, step });
  }

  /** Ends it. */
  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }
}
