/** The order of several data sets that are mixed by weights. */
import { Random, Stream } from "../util/random.ts";
import type { DrawingOrder } from "./sampler.ts";
import type { SourcePart } from "../sources/source.ts";

/**
 * How many of an epoch's draws each data set gets: the nearest whole numbers to its share, whose sum is `draws`, by the
 * largest remainders.
 */
export function sharesOf(weights: readonly number[], draws: number): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const exact = weights.map((weight) => draws * (weight / total));
  const shares = exact.map(Math.floor);
  const left = draws - shares.reduce((sum, share) => sum + share, 0);
  const byRemainder = exact.map((share, place) => ({ place, remainder: share - shares[place] }))
    .sort((a, b) => b.remainder - a.remainder || a.place - b.place);
  for (let i = 0; i < left; i++) shares[byRemainder[i % byRemainder.length].place]++;
  return shares;
}

/**
 * Each epoch draws from every data set as often as its share says, in a random sequence. A data set goes through its own images in
 * its own order, on and on: what an epoch leaves out of a large one the next epochs come to, and a small one begins again within
 * an epoch.
 */
export class MixedOrder implements DrawingOrder {
  readonly #shares: readonly number[];
  readonly #firsts: readonly number[];
  #epoch = -1;
  #position = 0;
  #random = new Random(0);
  /** Draws of the epoch that each data set has still to give. */
  #left: number[] = [];

  /**
   * Mixes data sets.
   * @param draws images of an epoch
   * @param orders the order of each part, on its own
   */
  constructor(
    private readonly seed: number,
    private readonly draws: number,
    private readonly parts: readonly SourcePart[],
    private readonly orders: readonly DrawingOrder[],
  ) {
    this.#shares = sharesOf(parts.map(({ weight }) => weight), draws);
    let first = 0;
    this.#firsts = parts.map(({ samples }) => (first += samples) - samples);
  }

  /** See {@linkcode DrawingOrder.draw}. */
  draw(epoch: number, first: number, count: number): Uint32Array {
    if (epoch !== this.#epoch || first < this.#position) {
      this.#epoch = epoch;
      this.#position = 0;
      this.#random = new Random(this.seed, Stream.order, epoch);
      this.#left = [...this.#shares];
    }
    while (this.#position < first) this.#choose();
    return Uint32Array.from({ length: count }, () => {
      const part = this.#choose();
      return this.#firsts[part] + this.#drawOf(part);
    });
  }

  /** The part whose turn it is: each of the draws that are left is as likely as any other. */
  #choose(): number {
    let place = this.#random.integer(this.draws - this.#position++);
    let part = 0;
    while (place >= this.#left[part]) place -= this.#left[part++];
    this.#left[part]--;
    return part;
  }

  /** The next sample of a part, counted from the part's first. */
  #drawOf(part: number): number {
    const { samples } = this.parts[part];
    const share = this.#shares[part];
    const position = this.#epoch * share + share - this.#left[part] - 1;
    return this.orders[part].draw(Math.floor(position / samples), position % samples, 1)[0];
  }
}
