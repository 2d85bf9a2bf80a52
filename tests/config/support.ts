/** Dotted names of all values of a nested mapping. */
export function leaves(value: unknown, path: string[] = []): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [path.join(".")];
  return Object.entries(value).flatMap(([name, inner]) => leaves(inner, [...path, name]));
}
