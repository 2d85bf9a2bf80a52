import { closestString, levenshteinDistance } from "../deps/std.ts";

/** The user's input is wrong: a key, a flag, a file. The program ends with one sentence and exit code 2. */
export class InputError extends Error {
  /** The class's name, for printing. */
  override name = "InputError";
}

/** Something failed while running: device, disk, data. The program ends with a sentence, a way out, and exit code 1. */
export class RunError extends Error {
  /** The class's name, for printing. */
  override name = "RunError";
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * `; did you mean "x"?` with the nearest of `candidates`, or an empty string when none is near; `shown` says what stands
 * for it in the sentence.
 */
export function didYouMean(
  given: string,
  candidates: readonly string[],
  shown: (nearest: string) => string = (nearest) => nearest,
): string {
  if (candidates.length === 0) return "";
  const nearest = closestString(given, candidates);
  const limit = Math.max(2, Math.ceil(Math.max(given.length, nearest.length) * 0.4));
  return levenshteinDistance(given.toLowerCase(), nearest.toLowerCase()) <= limit
    ? `; did you mean "${shown(nearest)}"?`
    : "";
}
