/** Bytes that are read by offset, from a file that may be far larger than the memory, or from memory. */

import { InputError, messageOf } from "../util/errors.ts";

/** Something with bytes in it. */
export interface ByteSource extends Disposable {
  /** Number of bytes. */
  readonly size: number;
  /** The bytes from `offset` on, fewer than `length` only where they end before; they belong to the caller. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** The bytes from `offset` on, all of them. Throws `Error` where there are fewer than `length`. */
export async function readExactly(
  source: ByteSource,
  offset: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await source.read(offset, length);
  if (bytes.length < length) throw new Error("it has become shorter since it was opened");
  return bytes;
}

/** A file's bytes. One read at a time is under way: seeking and reading share the file's position. */
class FileBytes implements ByteSource {
  #last: Promise<unknown> = Promise.resolve();

  constructor(private readonly file: Deno.FsFile, readonly size: number) {}

  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const result = this.#last.then(() => this.#read(offset, length));
    this.#last = result.catch(() => {});
    return result;
  }

  async #read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    await this.file.seek(offset, Deno.SeekMode.Start);
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const count = await this.file.read(bytes.subarray(filled));
      if (count === null) return bytes.slice(0, filled);
      filled += count;
    }
    return bytes;
  }

  [Symbol.dispose](): void {
    this.file.close();
  }
}

/**
 * A file's bytes, read while everything else in this thread waits: from the system's cache some 50 times as fast for small
 * pieces as handing each read to another thread.
 */
class BlockingFileBytes implements ByteSource {
  constructor(private readonly file: Deno.FsFile, readonly size: number) {}

  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    try {
      return Promise.resolve(this.#read(offset, length));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    this.file.seekSync(offset, Deno.SeekMode.Start);
    const bytes = new Uint8Array(Math.min(length, Math.max(0, this.size - offset)));
    let filled = 0;
    while (filled < bytes.length) {
      const count = this.file.readSync(bytes.subarray(filled));
      if (count === null) return bytes.slice(0, filled);
      filled += count;
    }
    return bytes;
  }

  [Symbol.dispose](): void {
    this.file.close();
  }
}

/** Bytes in memory, which must not change while they are read. */
export function memoryBytes(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read: (offset, length) => Promise.resolve(new Uint8Array(bytes.subarray(offset, offset + length))),
    [Symbol.dispose]: () => {},
  };
}

/**
 * Opens a regular file.
 *
 * @param options with `blocking`, reads are done at once: for threads that have nothing else to do
 * @throws {InputError} where there is none, it may not be read, or it is a folder or a pipe, which would block
 */
export async function openBytes(path: string, { blocking = false } = {}): Promise<ByteSource> {
  try {
    const { isFile, isDirectory } = await Deno.stat(path);
    if (!isFile) throw new InputError(`"${path}" is ${isDirectory ? "a folder" : "not a regular file"}`);
    const file = await Deno.open(path, { read: true });
    const { size } = await file.stat();
    return blocking ? new BlockingFileBytes(file, size) : new FileBytes(file, size);
  } catch (error) {
    if (error instanceof InputError) throw error;
    if (error instanceof Deno.errors.NotFound) throw new InputError(`there is no file "${path}"`);
    throw new InputError(`cannot read "${path}": ${messageOf(error)}`);
  }
}
