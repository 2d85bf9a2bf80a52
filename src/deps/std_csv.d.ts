/** Records of comma-separated text (RFC 4180); throws `SyntaxError` where quotes do not match. */
export function parse(
  input: string,
  options?: { separator?: string; lazyQuotes?: boolean; skipFirstRow?: false },
): string[][];
