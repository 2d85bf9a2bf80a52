/** Patterns of shards, as WebDataset and the shell write them: `shard-{000000..000146}.tar`, `{train,val}/{0..9}.tar`. */
import { InputError } from "../util/errors.ts";

/** Most addresses that one pattern may stand for. */
export const MOST_ADDRESSES = 1_000_000;

/** Whether a text holds what makes it a pattern. */
export function isPattern(text: string): boolean {
  return /[{}*]/.test(text);
}

/** Texts that stand for themselves, numbers or letters in a row, alternatives, and what follows one another. */
type Part =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "range"; readonly first: number; readonly step: number; readonly count: number } & {
    readonly show: (value: number) => string;
  }
  | { readonly kind: "choice"; readonly of: readonly (readonly Part[])[] };

function wrong(pattern: string, what: string): InputError {
  return new InputError(
    `the pattern "${pattern}" ${what}; braces hold a range like {000..146} or a list like {train,val}`,
  );
}

/** `3..1`, `000..146`, `0..10..2`, `a..f`; undefined for what is no range. */
function parseRange(inner: string, pattern: string): Part | undefined {
  const dots = /^(-?\d+|[A-Za-z])\.\.(-?\d+|[A-Za-z])(?:\.\.(-?\d+))?$/.exec(inner);
  if (!dots) return undefined;
  const [, from, to, by] = dots;
  const letters = [from, to].filter((end) => /[A-Za-z]/.test(end)).length;
  if (letters === 1) throw wrong(pattern, `mixes a letter and a number in {${inner}}`);
  const [first, last] = [from, to].map((end) => letters ? end.charCodeAt(0) : Number(end));
  const step = Math.abs(Number(by ?? 1));
  if (step === 0) throw wrong(pattern, `has a step of 0 in {${inner}}`);
  if (![first, last, step].every(Number.isSafeInteger)) {
    throw wrong(pattern, `has too large a number in {${inner}}`);
  }
  const padded = [from, to].some((end) => /^-?0\d/.test(end));
  const width = padded ? Math.max(from.length, to.length) : 0;
  const show = (value: number): string =>
    letters
      ? String.fromCharCode(value)
      : (value < 0 ? "-" : "") + String(Math.abs(value)).padStart(width - (value < 0 ? 1 : 0), "0");
  const count = Math.floor(Math.abs(last - first) / step) + 1;
  return { kind: "range", first, step: last < first ? -step : step, count, show };
}

/** Reads a pattern from the left; `at` moves on. */
class Parser {
  #at = 0;
  constructor(private readonly pattern: string) {}

  all(): Part[] {
    const parts = this.#sequence(false);
    if (this.#at < this.pattern.length) throw wrong(this.pattern, "closes a brace that was not opened");
    return parts;
  }

  /** Parts up to the end, or within braces up to the next comma or closing brace. */
  #sequence(inBraces: boolean): Part[] {
    const parts: Part[] = [];
    while (this.#at < this.pattern.length) {
      const next = this.pattern[this.#at];
      if (next === "}" || (next === "," && inBraces)) break;
      if (next === "{") parts.push(this.#braces());
      else parts.push({ kind: "text", text: this.#text(inBraces) });
    }
    return parts;
  }

  #text(inBraces: boolean): string {
    const start = this.#at;
    const stops = inBraces ? "{}," : "{}";
    while (this.#at < this.pattern.length && !stops.includes(this.pattern[this.#at])) this.#at++;
    return this.pattern.slice(start, this.#at);
  }

  #braces(): Part {
    const start = ++this.#at;
    const choices: Part[][] = [];
    do choices.push(this.#sequence(true)); while (this.pattern[this.#at++] === ",");
    if (this.pattern[this.#at - 1] !== "}") throw wrong(this.pattern, "opens a brace that is not closed");
    if (choices.length > 1) return { kind: "choice", of: choices };
    const inner = this.pattern.slice(start, this.#at - 1);
    const range = parseRange(inner, this.pattern);
    if (!range) throw wrong(this.pattern, `has {${inner}}, which is neither a range nor a list`);
    return range;
  }
}

function countParts(parts: readonly Part[]): number {
  return parts.reduce((product, part) => {
    if (part.kind === "text") return product;
    if (part.kind === "range") return product * part.count;
    return product * part.of.reduce((sum, choice) => sum + countParts(choice), 0);
  }, 1);
}

function textsOf(part: Part): string[] {
  if (part.kind === "text") return [part.text];
  if (part.kind === "choice") return part.of.flatMap((parts) => expandParts(parts));
  return Array.from({ length: part.count }, (_, i) => part.show(part.first + i * part.step));
}

function expandParts(parts: readonly Part[]): string[] {
  return parts.reduce<string[]>(
    (before, part) => {
      const texts = textsOf(part);
      return before.flatMap((start) => texts.map((text) => start + text));
    },
    [""],
  );
}

/**
 * All that a pattern stands for, the last brace running fastest. Ranges of numbers keep leading zeros, may fall, and may
 * have a step, `{0..10..2}`; lists may be nested. A text without braces stands for itself. Stars are left as they are.
 *
 * @throws {InputError} for braces that are neither, for unmatched ones, and for more than {@linkcode MOST_ADDRESSES}
 */
export function expandPattern(pattern: string): string[] {
  const parts = new Parser(pattern).all();
  const count = countParts(parts);
  if (count > MOST_ADDRESSES) {
    throw new InputError(
      `the pattern "${pattern}" stands for ${count.toLocaleString("en")} addresses; ` +
        `${MOST_ADDRESSES.toLocaleString("en")} are allowed`,
    );
  }
  return expandParts(parts);
}
