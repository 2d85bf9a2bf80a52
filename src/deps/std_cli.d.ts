/** Splits command-line arguments into flags and positionals. */
export function parseArgs(
  args: readonly string[],
  options?: {
    boolean?: readonly string[];
    string?: readonly string[];
    collect?: readonly string[];
    alias?: Record<string, string>;
    default?: Record<string, unknown>;
    negatable?: readonly string[];
    stopEarly?: boolean;
    "--"?: boolean;
    unknown?: (arg: string, key?: string, value?: unknown) => unknown;
  },
): { _: (string | number)[]; [flag: string]: unknown };
