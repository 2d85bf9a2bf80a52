/** Many small reads, nearly in order, as few large ones: what makes a tar shard behind a network readable by sample. */
import type { ByteSource } from "../formats/byte_source.ts";

/** How much is read at a time, and kept. */
export interface BlockCacheOptions {
  /** Bytes of a block: what one request asks for. */
  readonly blockBytes?: number;
  /** Most bytes of all blocks together, those on their way included; at least one block. */
  readonly maxBytes?: number;
  /** Blocks that are asked for ahead of one that is read in order: so many requests more are under way side by side. */
  readonly ahead?: number;
}

interface Block {
  readonly bytes: Promise<Uint8Array>;
  readonly size: number;
  isHere: boolean;
}

/** Blocks of any number of sources within one bound, the least recently used ones dropped first. */
export class BlockCache {
  readonly #blockBytes: number;
  readonly #maxBytes: number;
  readonly #ahead: number;
  /** In the order of use, by number of the source and of the block. */
  readonly #blocks = new Map<string, Block>();
  #bytes = 0;
  #sources = 0;

  /** 4 MiB at a time, 64 MiB in all and two blocks ahead unless told otherwise. */
  constructor({ blockBytes = 4 * 2 ** 20, maxBytes = 64 * 2 ** 20, ahead = 2 }: BlockCacheOptions = {}) {
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
    let latest = -1; // so that a beginning at byte 0 counts as reading in order
    return {
      size: source.size,
      read: async (offset, length) => {
        const end = Math.min(source.size, offset + length);
        const result = new Uint8Array(Math.max(0, end - offset));
        for (let at = offset; at < end;) {
          const block = Math.floor(at / this.#blockBytes);
          const bytes = this.#demand(source, prefix, block);
          const inOrder = block === latest || block === latest + 1;
          latest = block;
          this.#readAhead(source, prefix, block, inOrder ? source.size : end);
          const piece = (await bytes).subarray(at - block * this.#blockBytes, end - block * this.#blockBytes);
          if (piece.length === 0) return result.slice(0, at - offset); // the source has become shorter
          result.set(piece, at - offset);
          at += piece.length;
        }
        return result;
      },
      [Symbol.dispose]: () => {
        for (const [key, block] of this.#blocks) if (key.startsWith(prefix)) this.#drop(key, block);
        source[Symbol.dispose]();
      },
    };
  }

  #readAhead(source: ByteSource, prefix: string, block: number, end: number): void {
    for (let next = block + 1; next <= block + this.#ahead && next * this.#blockBytes < end; next++) {
      if (this.#blocks.has(prefix + next)) continue;
      if (!this.#makeRoom(this.#sizeOf(source, next))) return;
      this.#fetch(source, prefix, next).catch(() => {}); // who reads it asks again, and hears of it
    }
  }

  #sizeOf(source: ByteSource, block: number): number {
    return Math.min(this.#blockBytes, source.size - block * this.#blockBytes);
  }

  async #demand(source: ByteSource, prefix: string, index: number): Promise<Uint8Array> {
    const key = prefix + index;
    for (;;) {
      const block = this.#blocks.get(key);
      if (block) {
        this.#blocks.delete(key);
        this.#blocks.set(key, block);
        return await block.bytes;
      }
      if (this.#makeRoom(this.#sizeOf(source, index))) return await this.#fetch(source, prefix, index);
      const onTheirWay = [...this.#blocks.values()].filter(({ isHere }) => !isHere).map(({ bytes }) => bytes);
      await Promise.race(onTheirWay).catch(() => {});
    }
  }

  /** Drops what was not used for longest; whether there is room then. Blocks on their way stay. */
  #makeRoom(size: number): boolean {
    for (const [key, block] of this.#blocks) {
      if (this.#bytes + size <= this.#maxBytes) break;
      if (block.isHere) this.#drop(key, block);
    }
    return this.#bytes + size <= this.#maxBytes;
  }

  #drop(key: string, block: Block): void {
    if (this.#blocks.get(key) !== block) return;
    this.#blocks.delete(key);
    this.#bytes -= block.size;
  }

  #fetch(source: ByteSource, prefix: string, index: number): Promise<Uint8Array> {
    const key = prefix + index;
    const size = this.#sizeOf(source, index);
    const bytes = source.read(index * this.#blockBytes, size);
    const block: Block = { bytes, size, isHere: false };
    this.#blocks.set(key, block);
    this.#bytes += size;
    bytes.then(() => block.isHere = true, () => this.#drop(key, block));
    return bytes;
  }
}
