/**
 * The order of a data set in shards: shards in random order, a few open at a time and read in turn, and a buffer from which
 * samples are drawn at random. It is found by playing the reading through on numbers alone, so that it is a function of the
 * seed, the epoch, the shards' sizes and the two settings, takes memory for the buffer and not for the data set, and can be
 * taken up at any position.
 */
import type { ShuffleConfig } from "../config/types.ts";
import { Random, Stream } from "../util/random.ts";
import type { Shard } from "../sources/source.ts";

/** A shard that is being read: samples `next` to `end` − 1 are left. */
interface OpenShard {
  next: number;
  end: number;
}

/** One pass over all samples of a data set in shards, each once. */
export class ShardPass {
  readonly #shards: readonly Shard[];
  /** The first sample of each shard. */
  readonly #firsts: Float64Array;
  /** The shards in the order in which they are opened. */
  readonly #sequence: Uint32Array;
  readonly #random: Random;
  readonly #buffer: Uint32Array;
  #buffered = 0;
  readonly #open: OpenShard[] = [];
  /** Shards opened so far. */
  #opened = 0;
  /** The open shard whose turn it is. */
  #turn = 0;

  /** The pass named by `keys`, among them the seed and the epoch. */
  constructor(shards: readonly Shard[], settings: ShuffleConfig, keys: readonly number[]) {
    this.#shards = shards;
    this.#firsts = new Float64Array(shards.length);
    for (let i = 1; i < shards.length; i++) this.#firsts[i] = this.#firsts[i - 1] + shards[i - 1].samples;
    this.#random = new Random(...keys);
    this.#sequence = this.#random.permutation(shards.length);
    const samples = shards.reduce((sum, { samples }) => sum + samples, 0);
    this.#buffer = new Uint32Array(Math.min(settings.buffer, samples));
    while (this.#open.length < settings.shards && this.#openNext(this.#open.length));
    while (this.#buffered < this.#buffer.length) this.#buffer[this.#buffered++] = this.#read();
  }

  /** The next sample; must not be asked for once all have been given. */
  next(): number {
    const place = this.#buffered === 1 ? 0 : this.#random.integer(this.#buffered);
    const sample = this.#buffer[place];
    this.#buffer[place] = this.#open.length > 0 ? this.#read() : this.#buffer[--this.#buffered];
    return sample;
  }

  /** Puts the next shard with a sample in it at a place among the open ones; whether there was one. */
  #openNext(place: number): boolean {
    while (this.#opened < this.#sequence.length) {
      const shard = this.#sequence[this.#opened++];
      const next = this.#firsts[shard];
      const end = next + this.#shards[shard].samples;
      if (next === end) continue;
      this.#open[place] = { next, end };
      return true;
    }
    return false;
  }

  /** The next sample of the open shard whose turn it is. */
  #read(): number {
    const shard = this.#open[this.#turn];
    const sample = shard.next++;
    if (shard.next < shard.end || this.#openNext(this.#turn)) this.#turn++;
    else this.#open.splice(this.#turn, 1);
    if (this.#turn >= this.#open.length) this.#turn = 0;
    return sample;
  }
}

/** The keys that name a pass over shards. */
export function passKeys(seed: number, epoch: number, pass: number): number[] {
  return [seed, Stream.order, epoch, pass];
}
