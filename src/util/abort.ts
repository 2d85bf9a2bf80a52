/** Giving up waiting for what may never come. */

/**
 * What the work gives or throws, or a rejection with the signal's reason as soon as it comes. A signal that was given
 * before does not count. The work itself goes on; what becomes of it then is nobody's concern.
 */
export function unlessAborted<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined || signal.aborted) return work;
  return new Promise<T>((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** Whether this was thrown because of the signal. */
export function isAbort(error: unknown, signal?: AbortSignal): boolean {
  return signal !== undefined && signal.aborted && error === signal.reason;
}
