/** Files that are written piece by piece: a log that grows, and a large file that replaces another one whole. */

import { messageOf, RunError } from "../util/errors.ts";
import { directoryOf, syncFolder, writeAll } from "../util/files.ts";

function cannotWrite(path: string, error: unknown): RunError {
  return new RunError(`cannot write "${path}": ${messageOf(error)}`, { cause: error });
}

/**
 * A file that only grows. Writes are done in the order of the calls, also when they are not awaited; once one has failed
 * all later ones fail, so that nothing is ever written after a broken piece.
 */
export class AppendFile {
  #last: Promise<void> = Promise.resolve();

  private constructor(readonly path: string, private readonly file: Deno.FsFile) {}

  /**
   * Opens a file for appending; with `isNew` it must not exist yet.
   *
   * @throws {Deno.errors.AlreadyExists} with `isNew`, where there is one
   * @throws {RunError} where the file cannot be opened
   */
  static async open(path: string, { isNew = false } = {}): Promise<AppendFile> {
    try {
      return new AppendFile(path, await Deno.open(path, { append: true, create: !isNew, createNew: isNew }));
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) throw error;
      throw cannotWrite(path, error);
    }
  }

  #then(action: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(action).catch((error) => {
      throw error instanceof RunError ? error : cannotWrite(this.path, error);
    });
    this.#last.catch(() => {}); // whoever holds the promise that is returned, or closes the file, sees the failure
    return this.#last;
  }

  /** Hands the bytes to the system; when it resolves they survive the end of this process, however sudden. */
  write(bytes: Uint8Array): Promise<void> {
    return this.#then(() => writeAll(this.file, bytes));
  }

  /** Flushes what was written to the disk, so that it survives a power cut. */
  sync(): Promise<void> {
    return this.#then(() => this.file.syncData());
  }

  /** Ends the pending writes and closes the file. Throws what the first failed write threw. */
  async close(): Promise<void> {
    try {
      await this.#last;
    } finally {
      this.file.close();
    }
  }
}

/**
 * Replaces a file atomically by what `write` puts into it: a temporary file in the same folder, synced, renamed. When
 * anything fails the old file is untouched and the temporary one is removed.
 *
 * @throws {RunError} where the file system fails; and whatever `write` throws
 */
export async function replaceFile(
  path: string,
  write: (put: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  const saying = async <T>(action: Promise<T>): Promise<T> => {
    try {
      return await action;
    } catch (error) {
      throw cannotWrite(path, error);
    }
  };
  try {
    {
      using file = await saying(Deno.open(temporary, { write: true, createNew: true }));
      await write((bytes) => saying(writeAll(file, bytes)));
      await saying(file.sync());
    }
    await saying(Deno.rename(temporary, path));
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
  await saying(syncFolder(directoryOf(path)));
}
