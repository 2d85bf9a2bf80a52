/**
 * Seeded random numbers. A generator is made from a list of integers (seed, purpose, epoch, sample, …), so that every
 * draw of a run is a pure function of the run's seed and the position in it: nothing depends on the number of workers,
 * and resuming needs no saved generator state beyond the step.
 *
 * The generator is xoshiro128** (Blackman and Vigna 2018), keyed through the 32-bit finaliser of MurmurHash3.
 */

/** Purposes that keep the streams of one seed apart; the values are part of the checkpoint contract. */
export const Stream = {
  init: 1,
  order: 2,
  augment: 3,
  mask: 4,
  figure: 5,
  substitute: 6,
  mix: 7,
  erase: 8,
  split: 9,
  dropPath: 10,
} as const;

/** The 32-bit finaliser of MurmurHash3: spreads every bit of `h` over all bits of the result. */
export function mix32(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A 32-bit hash of a list of non-negative integers up to 2^53. */
export function hashKeys(keys: readonly number[], salt = 0): number {
  let h = mix32(0x9e3779b9 ^ salt);
  for (const key of keys) {
    h = mix32(h ^ (key >>> 0)) + 0x9e3779b9;
    h = mix32(h ^ Math.floor(key / 2 ** 32));
  }
  return mix32(h + keys.length);
}

/** A stream of random numbers. */
export class Random {
  #s0: number;
  #s1: number;
  #s2: number;
  #s3: number;
  #spare: number | undefined;

  /** The stream named by `keys`; equal keys give equal streams. */
  constructor(...keys: number[]) {
    this.#s0 = hashKeys(keys, 1);
    this.#s1 = hashKeys(keys, 2);
    this.#s2 = hashKeys(keys, 3);
    this.#s3 = hashKeys(keys, 4) | 1; // never the all-zero state
  }

  /** 32 random bits. */
  bits(): number {
    const rotated = Math.imul(this.#s1, 5);
    const result = Math.imul((rotated << 7) | (rotated >>> 25), 9) >>> 0;
    const t = this.#s1 << 9;
    this.#s2 ^= this.#s0;
    this.#s3 ^= this.#s1;
    this.#s1 ^= this.#s2;
    this.#s0 ^= this.#s3;
    this.#s2 ^= t;
    this.#s3 = (this.#s3 << 11) | (this.#s3 >>> 21);
    return result;
  }

  /** Uniform on [low, high) with 24 random bits, so that a draw from [0, 1) is exact in float32. */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * ((this.bits() >>> 8) / 2 ** 24);
  }

  /** Uniform integer on [0, limit), without bias, for `limit` from 1 to 2^32. */
  integer(limit: number): number {
    const acceptBelow = 2 ** 32 - (2 ** 32 % limit);
    let bits = this.bits();
    while (bits >= acceptBelow) bits = this.bits();
    return bits % limit;
  }

  /** Normal with the given mean and standard deviation (Box and Muller). */
  normal(mean = 0, deviation = 1): number {
    if (this.#spare !== undefined) {
      const value = this.#spare;
      this.#spare = undefined;
      return mean + deviation * value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return mean + deviation * radius * Math.cos(angle);
  }

  /** `count` draws from [0, 1) as float32. */
  uniformArray(count: number): Float32Array {
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) values[i] = this.uniform();
    return values;
  }

  /** A random permutation of 0 … count − 1 (Fisher and Yates). */
  permutation(count: number): Uint32Array {
    const order = new Uint32Array(count);
    for (let i = 0; i < count; i++) order[i] = i;
    for (let i = count - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const held = order[i];
      order[i] = order[j];
      order[j] = held;
    }
    return order;
  }
}
