/** The candidate nearest to the given word by edit distance. Throws `TypeError` on an empty list. */
export function closestString(
  givenWord: string,
  possibleWords: readonly string[],
  options?: { caseSensitive?: boolean; compareFn?: (a: string, b: string) => number },
): string;
