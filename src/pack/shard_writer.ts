/** Writing one WebDataset shard, and reading it back. */
import { createHash } from "../deps/node.ts";
import { openBytes } from "../formats/byte_source.ts";
import { TarReader } from "../formats/tar.ts";
import { encodeTarHeader, TAR_BLOCK, tarPadding } from "../formats/tar_header.ts";
import { messageOf, RunError } from "../util/errors.ts";
import { directoryOf, syncFolder, writeAll, writeFileAtomic } from "../util/files.ts";
import { quoted } from "../util/quoted.ts";
import { indexNameOf } from "../sources/shard_tables.ts";
import { buildTarIndex, encodeTarIndex } from "../sources/tar_index.ts";

/** A sample on its way into a shard. */
export interface PackedSample {
  /** Path without ending; its last part has no dot. */
  readonly key: string;
  /** Ending of the image, without the dot. */
  readonly ending: string;
  /** The image's file, as it is. */
  readonly bytes: Uint8Array;
  /** Number of its class, where it has one. */
  readonly label?: number;
}

/** A shard that was written. */
export interface WrittenShard {
  /** Name of its file. */
  readonly name: string;
  /** Length of the file. */
  readonly bytes: number;
  /** Images in it. */
  readonly samples: number;
  /** SHA-256 of the file, in hexadecimal digits. */
  readonly sha256: string;
}

/** Bytes gathered before they are handed to the system. */
const BUFFER = 4 * 2 ** 20;

/** Bytes of zeros that end a shard. */
export const END_BYTES = 2 * TAR_BLOCK;

/** What makes an entry the one that was meant. */
interface Expected {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
}

const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

function entriesOf({ key, ending, bytes, label }: PackedSample): { name: string; data: Uint8Array }[] {
  const image = { name: `${key}.${ending}`, data: bytes };
  return label === undefined
    ? [image]
    : [image, { name: `${key}.cls`, data: new TextEncoder().encode(String(label)) }];
}

/** Bytes that a sample takes in a shard, but for long names. */
export function bytesInShard({ bytes, label }: PackedSample): number {
  return TAR_BLOCK + bytes.length + tarPadding(bytes.length) + (label === undefined ? 0 : 2 * TAR_BLOCK);
}

/** A shard that is being written under a temporary name. Dispose of it: what was not finished is removed. */
export class ShardWriter implements AsyncDisposable {
  /** Bytes so far. */
  bytes = 0;
  /** Images so far. */
  samples = 0;
  readonly #path: string;
  readonly #name: string;
  readonly #expected: Expected[] = [];
  readonly #hash = createHash("sha256");
  readonly #buffer = new Uint8Array(BUFFER);
  #buffered = 0;
  #file: Deno.FsFile | undefined;

  private constructor(folder: string, name: string, file: Deno.FsFile) {
    this.#path = `${folder}/${name}`;
    this.#name = name;
    this.#file = file;
  }

  /** Starts a shard in a folder; a temporary file that an earlier attempt left is replaced. Throws `RunError`. */
  static async start(folder: string, name: string): Promise<ShardWriter> {
    const path = `${folder}/${name}.tmp`;
    try {
      const file = await Deno.open(path, { write: true, create: true, truncate: true });
      return new ShardWriter(folder, name, file);
    } catch (error) {
      throw new RunError(`cannot write "${path}": ${messageOf(error)}`, { cause: error });
    }
  }

  /** Adds a sample. Throws `RunError` where the file system fails. */
  async add(sample: PackedSample): Promise<void> {
    for (const { name, data } of entriesOf(sample)) {
      await this.#put(encodeTarHeader(name, data.length));
      await this.#put(data);
      await this.#put(new Uint8Array(tarPadding(data.length)));
      this.#expected.push({ name, size: data.length, sha256: hashOf(data) });
    }
    this.samples++;
  }

  /**
   * Ends the shard: writes it to the disk, reads every entry back and compares it, and gives the shard and its table their
   * names.
   * @throws {RunError} where the file system fails, or an entry is not what was written
   */
  async finish(): Promise<WrittenShard> {
    await this.#put(new Uint8Array(END_BYTES));
    const temporary = `${this.#path}.tmp`;
    try {
      await this.#flush();
      await this.#file?.sync();
      this.#file?.close();
      this.#file = undefined;
      const index = await this.#verify(temporary);
      await writeFileAtomic(`${directoryOf(this.#path)}/${indexNameOf(this.#name)}`, index);
      await Deno.rename(temporary, this.#path);
      await syncFolder(directoryOf(this.#path));
    } catch (error) {
      if (error instanceof RunError) throw error;
      throw new RunError(`cannot write "${this.#path}": ${messageOf(error)}`, { cause: error });
    }
    const { bytes, samples } = this;
    return { name: this.#name, bytes, samples, sha256: this.#hash.digest("hex") };
  }

  /** Removes what was not finished. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#file?.close();
    this.#file = undefined;
    await Deno.remove(`${this.#path}.tmp`).catch(() => {}); // after `finish` there is none
  }

  async #put(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    this.bytes += bytes.length;
    if (this.#buffered + bytes.length > BUFFER) await this.#flush();
    if (bytes.length > BUFFER) return await this.#write(bytes);
    this.#buffer.set(bytes, this.#buffered);
    this.#buffered += bytes.length;
  }

  async #flush(): Promise<void> {
    await this.#write(this.#buffer.subarray(0, this.#buffered));
    this.#buffered = 0;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      if (this.#file) await writeAll(this.#file, bytes);
    } catch (error) {
      throw new RunError(`cannot write "${this.#path}.tmp": ${messageOf(error)}`, { cause: error });
    }
  }

  /** Reads every entry back; the bytes of the shard's table. */
  async #verify(path: string): Promise<Uint8Array> {
    using source = await openBytes(path, { blocking: true });
    const reader = new TarReader(source, path);
    for (const expected of this.#expected) {
      const entry = await reader.next();
      const isRight = entry?.name === expected.name && entry.size === expected.size &&
        hashOf(await reader.read(entry)) === expected.sha256;
      if (!isRight) {
        throw new RunError(
          `"${this.#path}" was read back and is not what was written: entry ${
            quoted(expected.name)
          } differs; ` +
            "check the disk and the memory",
        );
      }
    }
    if (await reader.next()) throw new RunError(`"${this.#path}" was read back and has an entry too many`);
    return encodeTarIndex(await buildTarIndex(source, path, { windowBytes: 2048 }), source.size);
  }
}
