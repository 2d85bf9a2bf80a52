/** Parses one YAML document. Throws `SyntaxError` with line and column. */
export function parse(
  content: string,
  options?: { schema?: "core" | "json" | "failsafe" | "default" | "extended" },
): unknown;
/** Writes a plain object as YAML. */
export function stringify(
  data: unknown,
  options?: {
    indent?: number;
    flowLevel?: number;
    lineWidth?: number;
    useAnchors?: boolean;
    skipInvalid?: boolean;
  },
): string;
