/** Many small reads, nearly in order, as few large ones: what makes a tar shard behind a network readable by sample. */
import type { ByteSource } from "../formats/byte_source.ts";
import { Limiter } from "../util/limiter.ts";
import { Block } from "./block.ts";

/** How much is read at a time, and kept. */
export interface BlockCacheOptions {
  /** Bytes of a block: what one request asks for. */
  readonly blockBytes?: number;
  /** Most bytes of all blocks together, those on their way included; at least one block. */
  readonly maxBytes?: number;
  /** Blocks that are asked for ahead of one that is read in order. */
  readonly ahead?: number;
  /** Most requests under way side by side. */
  readonly atOnce?: number;
}

/** Bytes that may be passed over by who reads in order: headers, labels and padding between samples. */
const GAP = 65_536;
/** Share of a block that may be left without counting: what lies between samples is never asked for. */
const LITTLE = 0.1;

/**
 * Blocks of any number of sources within one bound. Where room is wanted, what was read of blocks is given up first, since a
 * sample is asked for once an epoch, then the least recently used ones are dropped. What is asked for later of either is read
 * by itself: where reads are so far from any order that blocks do not stay long enough, no byte is fetched more than about
 * twice.
 */
export class BlockCache {
  readonly #blockBytes: number;
  readonly #maxBytes: number;
  readonly #ahead: number;
  readonly #limiter: Limiter;
  /** In the order of use, by number of the source and of the block. */
  readonly #blocks = new Map<string, Block>();
  /** Bytes not read yet of blocks that were dropped. */
  readonly #remains = new Map<string, number>();
  #bytes = 0;
  #sources = 0;

  /** 1 MiB at a time, 64 MiB in all, eight blocks ahead and 16 requests at once unless told otherwise. */
  constructor(
    { blockBytes = 2 ** 20, maxBytes = 64 * 2 ** 20, ahead = 8, atOnce = 16 }: BlockCacheOptions = {},
  ) {
    this.#limiter = new Limiter(atOnce);
    this.#blockBytes = blockBytes;
    this.#maxBytes = Math.max(maxBytes, blockBytes);
    this.#ahead = ahead;
  }

  /** Bytes that are held or on their way. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The same bytes through the cache. Disposing of it disposes of the source. */
  open(source: ByteSource): ByteSource {
    const prefix = `${this.#sources++}:`;
    let expected = 0; // a beginning at byte 0 counts as reading in order
    return {
      size: source.size,
      read: async (offset, length) => {
        const end = Math.min(source.size, offset + length);
        const result = new Uint8Array(Math.max(0, end - offset));
        const inOrder = offset >= expected && offset <= expected + Math.min(GAP, this.#blockBytes / 4);
        expected = end;
        for (let at = offset; at < end;) {
          const block = Math.floor(at / this.#blockBytes);
          const bytes = this.#piece(source, prefix, block, at, Math.min(end, (block + 1) * this.#blockBytes));
          this.#readAhead(source, prefix, block, inOrder ? source.size : end);
          const piece = await bytes;
          if (piece.length === 0) return result.slice(0, at - offset); // the source has become shorter
          result.set(piece, at - offset);
          at += piece.length;
        }
        return result;
      },
      [Symbol.dispose]: () => {
        for (const [key, block] of this.#blocks) if (key.startsWith(prefix)) this.#drop(key, block);
        for (const key of this.#remains.keys()) if (key.startsWith(prefix)) this.#remains.delete(key);
        source[Symbol.dispose]();
      },
    };
  }

  #readAhead(source: ByteSource, prefix: string, block: number, end: number): void {
    for (let next = block + 1; next <= block + this.#ahead && next * this.#blockBytes < end; next++) {
      if (this.#blocks.has(prefix + next) || this.#remains.has(prefix + next)) continue;
      if (!this.#makeRoom(this.#sizeOf(source, next))) return;
      this.#fetch(source, prefix, next);
    }
  }

  #sizeOf(source: ByteSource, block: number): number {
    return Math.min(this.#blockBytes, source.size - block * this.#blockBytes);
  }

  /** The bytes from `at` to `to`, all in one block. */
  async #piece(
    source: ByteSource,
    prefix: string,
    index: number,
    at: number,
    to: number,
  ): Promise<Uint8Array> {
    const key = prefix + index;
    const remains = this.#remains.get(key);
    if (remains !== undefined && !this.#blocks.has(key)) {
      const left = remains - (to - at);
      if (left > LITTLE * this.#sizeOf(source, index)) this.#remains.set(key, left);
      else this.#remains.delete(key);
      return await this.#limiter.run(() => source.read(at, to - at));
    }
    const block = await this.#demand(source, prefix, index);
    const start = index * this.#blockBytes;
    return await block.read(at - start, to - start) ??
      await this.#limiter.run(() => source.read(at, to - at));
  }

  async #demand(source: ByteSource, prefix: string, index: number): Promise<Block> {
    const key = prefix + index;
    for (;;) {
      const block = this.#blocks.get(key);
      if (block) {
        this.#blocks.delete(key);
        this.#blocks.set(key, block);
        return block;
      }
      if (this.#makeRoom(this.#sizeOf(source, index))) return this.#fetch(source, prefix, index);
      const onTheirWay = [...this.#blocks.values()].filter(({ isHere }) => !isHere).map(({ arrival }) =>
        arrival
      );
      await Promise.race(onTheirWay).catch(() => {});
    }
  }

  /** Gives up what was read, then what was not used for longest; whether there is room then. Blocks on their way stay. */
  #makeRoom(size: number): boolean {
    const isEnough = () => this.#bytes + size <= this.#maxBytes;
    for (const [key, block] of this.#blocks) {
      if (isEnough()) return true;
      const { unread, isHere, held, length } = block;
      if (!isHere || unread > held / 2) continue;
      if (unread > LITTLE * length) this.#bytes -= block.shrink();
      else this.#drop(key, block);
    }
    for (const [key, block] of this.#blocks) {
      if (isEnough()) return true;
      if (!block.isHere) continue;
      this.#drop(key, block);
      const { unread, length } = block;
      if (unread < length) this.#remains.set(key, unread);
    }
    return isEnough();
  }

  #drop(key: string, block: Block): void {
    if (this.#blocks.get(key) !== block) return;
    this.#blocks.delete(key);
    this.#bytes -= block.held;
  }

  #fetch(source: ByteSource, prefix: string, index: number): Block {
    const key = prefix + index;
    const size = this.#sizeOf(source, index);
    const arrival = this.#limiter.run(() => source.read(index * this.#blockBytes, size));
    const block = new Block(arrival, size);
    this.#blocks.set(key, block);
    this.#bytes += size;
    block.arrival.catch(() => this.#drop(key, block)); // who reads it hears of a failure
    return block;
  }
}
