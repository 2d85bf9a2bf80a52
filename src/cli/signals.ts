/** Being asked to stop by the terminal or the system. */

/** A signal that ends a run in good order. */
export type StopSignal = "SIGINT" | "SIGTERM" | "SIGBREAK";

/** 128 and the signal's number, as shells expect. */
const exitCodes: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143, SIGBREAK: 149 };

/** The exit code of a program that a signal ended. */
export function exitCodeOf(signal: StopSignal): number {
  return exitCodes[signal];
}

/**
 * Calls `onFirst` at the first signal to stop; a second one ends the process at once. Listening ends when the result is
 * disposed.
 */
export function listenForStop(onFirst: (signal: StopSignal) => void): Disposable {
  const signals: StopSignal[] = Deno.build.os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM"];
  let asked = false;
  const listeners = signals.map((signal) => ({
    signal,
    listener: () => {
      if (asked) Deno.exit(exitCodeOf(signal));
      asked = true;
      onFirst(signal);
    },
  }));
  for (const { signal, listener } of listeners) Deno.addSignalListener(signal, listener);
  return {
    [Symbol.dispose]: () => {
      for (const { signal, listener } of listeners) Deno.removeSignalListener(signal, listener);
    },
  };
}
