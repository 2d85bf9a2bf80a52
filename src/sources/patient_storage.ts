/** Reading over a network that says so when it has to wait. */
import { Storage, type StorageOptions } from "../storage/storage.ts";

/** Attempts that fail before anybody hears of it. */
const QUIET = 2;
/** Milliseconds between two messages: many reads wait for the same network. */
const PAUSE = 30_000;

/** Storage that tells when reads fail again and again, at most twice a minute. */
export function patientStorage(
  onNotice?: (message: string) => void,
  options: StorageOptions = {},
): Storage {
  let last = -Infinity;
  return new Storage({
    ...options,
    onRetry({ address, reason, attempt, wait }) {
      if (attempt <= QUIET || performance.now() < last + PAUSE) return;
      last = performance.now();
      onNotice?.(
        `"${address}" cannot be read for now: ${reason}; attempt ${attempt + 1} follows in ${
          Math.ceil(wait / 1000)
        } s`,
      );
    },
  });
}
