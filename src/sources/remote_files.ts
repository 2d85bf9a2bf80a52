/**
 * Images behind the network, each a file of its own. They are fetched in the thread that asks for them, many at a time, since
 * a data worker would wait for one after the other, and handed to the workers in shared memory.
 */
import type { Storage } from "../storage/storage.ts";
import { InputError } from "../util/errors.ts";
import { Limiter } from "../util/limiter.ts";
import { BrokenImageError } from "../images/image.ts";
import { MAX_FILE_BYTES } from "./sample_bytes.ts";
import type { SampleLocation } from "./source.ts";

/** Images that are fetched side by side. */
const AT_ONCE = 32;

/** Whether a path is an address behind the network. */
export function isRemote(path: string): boolean {
  return /^(https?|s3):\/\//i.test(path);
}

/** Fetches images. */
export class RemoteFiles {
  readonly #limiter: Limiter;

  /** Fetches nothing yet; later at most `atOnce` images side by side. */
  constructor(private readonly storage: Storage, atOnce: number = AT_ONCE) {
    this.#limiter = new Limiter(atOnce);
  }

  /**
   * An image's bytes in memory that workers share.
   *
   * @throws {BrokenImageError} where the server refuses this image, or cannot be reached at all
   * @throws {RunError} where a network that was there stays away
   */
  async fetch(address: string): Promise<SampleLocation> {
    try {
      const bytes = await this.#limiter.run(() => this.storage.read(address, MAX_FILE_BYTES));
      const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
      shared.set(bytes);
      return { kind: "bytes", bytes: shared };
    } catch (error) {
      throw error instanceof InputError ? new BrokenImageError(error.message) : error;
    }
  }
}
