/** A terminal that remembers what is printed on it. */
import type { Terminal } from "../../src/cli/terminal.ts";

/** What was printed, and the terminal to print on. */
export class RecordingTerminal implements Terminal {
  readonly output: string[] = [];
  readonly errors: string[] = [];
  readonly statuses: string[] = [];

  constructor(readonly interactive = false, readonly color = false, readonly width = 80) {}

  columns(): number {
    return this.width;
  }

  print(text: string): void {
    this.output.push(text);
  }

  printError(text: string): void {
    this.errors.push(text);
  }

  showStatus(line: string): void {
    this.statuses.push(line);
  }

  /** Everything on standard output. */
  get text(): string {
    return this.output.join("\n");
  }
}
