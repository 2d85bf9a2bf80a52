/** In which order the samples of a data set are drawn: a function of the seed, the epoch and the position, and nothing else. */
import type { ShuffleConfig } from "../config/types.ts";
import { hashKeys } from "../util/random.ts";
import { MixedOrder } from "./mixed_order.ts";
import { type DrawingOrder, epochOrder } from "./sampler.ts";
import { passKeys, ShardPass } from "./shard_order.ts";
import type { ImageSource, Shard } from "../sources/source.ts";

/** What of a source its order depends on. */
export type OrderedSource = Pick<ImageSource, "length" | "shards" | "parts">;

/** How samples of shards are mixed where nobody says. */
export const defaultShuffle: ShuffleConfig = { buffer: 10_000, shards: 16 };

/**
 * The order of a source, each sample `repeat` times an epoch: one permutation of them all, or, where there are shards, as many
 * passes over these. Where data sets are mixed an epoch has as many draws, and these are shared out by weights.
 */
export function orderOf(
  source: OrderedSource,
  seed: number,
  repeat: number,
  shuffle: ShuffleConfig = defaultShuffle,
): DrawingOrder {
  const { parts } = source;
  if (parts) {
    const orders = parts.map(({ samples, shards }, place) =>
      orderOf({ length: samples, shards }, hashKeys([seed, place]), 1, shuffle)
    );
    return new MixedOrder(seed, source.length * repeat, parts, orders);
  }
  return source.shards === undefined
    ? new PermutedOrder(seed, source.length, repeat)
    : new ShardedOrder(seed, source.length, source.shards, shuffle);
}

/** One permutation an epoch, kept while the epoch lasts. */
class PermutedOrder implements DrawingOrder {
  #epoch = -1;
  #order: Uint32Array = new Uint32Array(0);

  constructor(
    private readonly seed: number,
    private readonly samples: number,
    private readonly repeat: number,
  ) {}

  draw(epoch: number, first: number, count: number): Uint32Array {
    if (epoch !== this.#epoch) {
      this.#order = epochOrder(this.seed, epoch, this.samples, this.repeat);
      this.#epoch = epoch;
    }
    return this.#order.slice(first, first + count);
  }
}

/** Passes over shards, one after the other; a position before the last one drawn starts its pass anew. */
class ShardedOrder implements DrawingOrder {
  #epoch = -1;
  /** Position in the epoch of the next sample. */
  #position = 0;
  #pass: ShardPass | undefined;

  constructor(
    private readonly seed: number,
    private readonly samples: number,
    private readonly shards: readonly Shard[],
    private readonly shuffle: ShuffleConfig,
  ) {}

  draw(epoch: number, first: number, count: number): Uint32Array {
    this.#goTo(epoch, first);
    return Uint32Array.from({ length: count }, () => this.#next());
  }

  #goTo(epoch: number, position: number): void {
    const pass = Math.floor(position / this.samples);
    if (epoch !== this.#epoch || position < this.#position || pass * this.samples > this.#position) {
      this.#epoch = epoch;
      this.#position = pass * this.samples;
    }
    while (this.#position < position) this.#next();
  }

  #next(): number {
    if (this.#position % this.samples === 0 || this.#pass === undefined) {
      const keys = passKeys(this.seed, this.#epoch, Math.floor(this.#position / this.samples));
      this.#pass = new ShardPass(this.shards, this.shuffle, keys);
    }
    this.#position++;
    return this.#pass.next();
  }
}
