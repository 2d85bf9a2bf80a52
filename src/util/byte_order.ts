/** The order of texts by their UTF-8 bytes, which is the same on every system. */

/** Sorts by the bytes of the UTF-8 form, whatever the system's locale. */
export function sortByBytes(paths: string[]): string[] {
  // The default order, by UTF-16 units, is the same unless characters beyond U+FFFF take part.
  if (!paths.some((path) => /[\ud800-\udfff]/.test(path))) return paths.sort();
  const encoder = new TextEncoder();
  return paths.map((path) => ({ path, bytes: encoder.encode(path) }))
    .sort((a, b) => compareBytes(a.bytes, b.bytes))
    .map(({ path }) => path);
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}
