/** Where the program prints. The rest of the command line sees only this interface, so that tests can listen. */

/** A pair of output streams. */
export interface Terminal {
  /** Whether standard output is a terminal that a line can be redrawn on. */
  readonly interactive: boolean;
  /** Whether colours are welcome. */
  readonly color: boolean;
  /** Characters on a line. */
  columns(): number;
  /** Prints lines to standard output. */
  print(text: string): void;
  /** Prints lines to standard error. */
  printError(text: string): void;
  /** Shows one line that the next output replaces; an empty one removes it. Only where `interactive`. */
  showStatus(line: string): void;
}

/** An output stream of the process. */
export type OutputStream = Pick<typeof Deno.stdout, "writeSync" | "isTerminal">;

/** The terminal of this process. */
export function systemTerminal(out: OutputStream = Deno.stdout, err: OutputStream = Deno.stderr): Terminal {
  const encoder = new TextEncoder();
  let statusShown = false;
  const write = (stream: OutputStream, text: string) => {
    const bytes = encoder.encode(text);
    try {
      for (let offset = 0; offset < bytes.length;) offset += stream.writeSync(bytes.subarray(offset));
    } catch (error) {
      // The reader has gone ("mae … | head"): a long run should go on, unheard.
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    }
  };
  const clearStatus = () => {
    if (statusShown) write(out, "\r\x1b[K");
    statusShown = false;
  };
  return {
    interactive: out.isTerminal(),
    color: out.isTerminal() && !Deno.noColor,
    columns: () => {
      try {
        return Deno.consoleSize().columns || 80; // 0 on a pseudo-terminal that was never told its size
      } catch {
        return 80; // no console, or one that does not know its size
      }
    },
    print: (text) => {
      clearStatus();
      write(out, `${text}\n`);
    },
    printError: (text) => {
      clearStatus();
      write(err, `${text}\n`);
    },
    showStatus: (line) => {
      clearStatus();
      if (line === "") return;
      write(out, line);
      statusShown = true;
    },
  };
}

/** Text from elsewhere with nothing in it that would steer the terminal. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what it looks for
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}

/** Rows as columns of equal width, two spaces apart and indented by two. */
export function columnsOf(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => widths[i] = Math.max(widths[i] ?? 0, cell.length));
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i])).join("  ")}`.trimEnd()).join(
    "\n",
  );
}
