/** Levenshtein edit distance of two strings. */
export function levenshteinDistance(a: string, b: string): number;
