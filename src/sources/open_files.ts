/** Files of samples that are kept open between reads, a bounded number of them. */
import type { ByteSource } from "../formats/byte_source.ts";
import { RunError } from "../util/errors.ts";
import type { ShardFile } from "./shard_tables.ts";

/** Files open at a time, besides those that are being read. */
const OPEN_FILES = 64;

interface OpenFile {
  readonly source: Promise<ByteSource>;
  readers: number;
}

/** A list of files, opened when they are read. */
export class OpenFiles {
  readonly #files: readonly ShardFile[];
  readonly #wrap: (source: ByteSource) => ByteSource;
  /** The one used last at the end. */
  readonly #open = new Map<number, OpenFile>();

  /** `wrap` puts something between a file and its readers, such as a cache. */
  constructor(files: readonly ShardFile[], wrap: (source: ByteSource) => ByteSource = (source) => source) {
    this.#files = files;
    this.#wrap = wrap;
  }

  /**
   * Bytes of a file, all that are asked for.
   * @throws {RunError} where the file has changed or become shorter since the data set was opened; and what opening and reading
   * throw
   */
  async read(number: number, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const file = this.#use(number);
    file.readers++;
    try {
      const bytes = await (await file.source).read(offset, length);
      if (bytes.length === length) return bytes;
      throw new RunError(
        `"${this.#files[number].shown}" ends at byte ${
          offset + bytes.length
        }, where ${length} bytes from byte ${offset} on ` +
          "were to be read; it has become shorter since it was opened",
      );
    } finally {
      file.readers--;
      this.#closeSurplus();
    }
  }

  #use(number: number): OpenFile {
    const known = this.#open.get(number);
    const file = known ?? { source: this.#start(number), readers: 0 };
    this.#open.delete(number);
    this.#open.set(number, file);
    if (!known) {
      file.source.catch(() => {
        if (this.#open.get(number) === file) this.#open.delete(number); // the next reader tries again
      });
    }
    return file;
  }

  async #start(number: number): Promise<ByteSource> {
    const { shown, size, open } = this.#files[number];
    const source = await open();
    if (source.size === size) return this.#wrap(source);
    source[Symbol.dispose]();
    throw new RunError(
      `"${shown}" has changed since it was opened: it had ${size} bytes and has ${source.size}`,
    );
  }

  #closeSurplus(): void {
    for (const [number, { source, readers }] of this.#open) {
      if (this.#open.size <= OPEN_FILES) return;
      if (readers > 0) continue;
      this.#open.delete(number);
      source.then((source) => source[Symbol.dispose](), () => {});
    }
  }
}

/** Bytes of what was read ahead that are held at least, and where the system does not tell its memory. */
const LEAST_ROOM = 2 ** 30;

/**
 * Bytes that may be held of images between their reading and their turn: an eighth of the memory, at least 1 GiB. A shuffle
 * buffer of 10,000 images of 110 kB spans 1.2 GB.
 */
export function roomForImages(): number {
  if (Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" }).state !== "granted") {
    return LEAST_ROOM;
  }
  return Math.max(LEAST_ROOM, Math.floor(Deno.systemMemoryInfo().total / 8));
}

/** A copy in memory that workers share. */
export function sharedCopy(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}
