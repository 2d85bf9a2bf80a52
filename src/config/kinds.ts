/** The kinds of value a configuration key can have: what is accepted, how it is read, and how it is written back. */

import { isMapping } from "./layers.ts";
import type { DataEntry, DataSource, Interval, Size } from "./types.ts";

/** A kind of value. */
export interface Kind<T> {
  /** What is accepted, to stand after "must be". */
  readonly allowed: string;
  /** The words among which a misspelt value has its nearest neighbour; empty when there are none. */
  readonly words: readonly string[];
  /** The value read from YAML, or undefined when it is not of this kind. */
  parse(value: unknown): T | undefined;
  /** The value as it is written to YAML; `parse` gives it back. */
  write(value: T): unknown;
}

function kind<T>(
  allowed: string,
  parse: (value: unknown) => T | undefined,
  options: { words?: readonly string[]; write?: (value: T) => unknown } = {},
): Kind<T> {
  return { allowed, parse, words: options.words ?? [], write: options.write ?? ((value) => value) };
}

/** The ends of a range of numbers. */
export interface Range {
  /** The least number in it. */
  readonly from?: number;
  /** Its lower end, which does not belong to it. */
  readonly above?: number;
  /** The greatest number in it. */
  readonly to?: number;
  /** Its upper end, which does not belong to it. */
  readonly below?: number;
}

function contains(range: Range, value: number): boolean {
  return value >= (range.from ?? -Infinity) && value <= (range.to ?? Infinity) &&
    value > (range.above ?? -Infinity) && value < (range.below ?? Infinity);
}

function rangeWords({ from, above, to, below }: Range): string {
  const low = from !== undefined ? `from ${from}` : above !== undefined ? `above ${above}` : "";
  const high = to !== undefined ? `to ${to}` : below !== undefined ? `below ${below}` : "";
  if (low === "" || high === "") return low + high;
  return above === undefined && to !== undefined
    ? `${low} ${high}`
    : `${low} and ${high.replace(/^to/, "up to")}`;
}

/** A finite number in a range. Adding 0 turns −0, which YAML can write, into 0. */
export function number(range: Range = {}): Kind<number> {
  return kind(
    `a number ${rangeWords(range)}`.trim(),
    (value) =>
      typeof value === "number" && Number.isFinite(value) && contains(range, value) ? value + 0 : undefined,
  );
}

/** A whole number from `from` to `to`. */
export function whole(from: number, to: number): Kind<number> {
  const words = to === Number.MAX_SAFE_INTEGER ? `a whole number from ${from} to 2^53 - 1` : undefined;
  return kind(
    words ?? `a whole number from ${from} to ${to}`,
    (value) => Number.isInteger(value) ? number({ from, to }).parse(value) : undefined,
  );
}

/** Text that is not empty; `what` says what it stands for. */
export function text(what: string): Kind<string> {
  return kind(
    what,
    (value) => typeof value === "string" && value.trim() !== "" && !value.includes("\0") ? value : undefined,
  );
}

/** `true` or `false`. */
export function truth(): Kind<boolean> {
  return kind("true or false", (value) => typeof value === "boolean" ? value : undefined);
}

function listed(options: readonly unknown[]): string {
  const shown = options.map((option) => JSON.stringify(option));
  return shown.length === 1 ? shown[0] : `${shown.slice(0, -1).join(", ")} or ${shown.at(-1)}`;
}

/** One of the given words or numbers. */
export function oneOf<const T extends string | number | null>(...options: readonly T[]): Kind<T> {
  return kind(listed(options), (value) => options.find((option) => option === value), {
    words: options.filter((option) => typeof option === "string"),
  });
}

/** A value of either kind; the first that accepts it reads it. */
export function either<A, B>(first: Kind<A>, second: Kind<B>): Kind<A | B> {
  return kind<A | B>(`${first.allowed} or ${second.allowed}`, (value) => {
    const read = first.parse(value);
    return read !== undefined ? read : second.parse(value);
  }, { words: [...first.words, ...second.words] });
}

/** Two numbers of one range, `[low, high]`, where `ordered` asks for low ≤ high. */
export function pair(range: Range, ordered: boolean): Kind<readonly [number, number]> {
  const one = number(range);
  const allowed = `two numbers ${rangeWords(range)}${ordered ? ", the lower first" : ""}`;
  return kind(allowed, (value) => {
    if (!Array.isArray(value) || value.length !== 2) return undefined;
    const [low, high] = value.map(one.parse);
    if (low === undefined || high === undefined || (ordered && low > high)) return undefined;
    return [low, high] as const;
  });
}

/** A number for each channel. */
export function numbers(range: Range): Kind<readonly number[]> {
  const one = number(range);
  return kind(`a list of numbers ${rangeWords(range)}`.trim(), (value) => {
    if (!Array.isArray(value) || value.length === 0) return undefined;
    const read = value.map(one.parse).filter((item) => item !== undefined);
    return read.length === value.length ? read : undefined;
  });
}

/** Some whole numbers. */
export function wholes(from: number, to: number): Kind<readonly number[]> {
  const list = numbers({ from, to });
  return kind(
    `a list like [${from},${from + 1}] of whole numbers from ${from} to ${to}`,
    (value) => list.parse(value)?.every(Number.isInteger) ? list.parse(value) : undefined,
  );
}

/** A length in pixels, or `[height, width]`; always read as the pair, and written as one number when both are equal. */
export function size(from: number, to: number): Kind<Size> {
  const side = whole(from, to);
  return kind<Size>(`${side.allowed}, or two as [height, width]`, (value) => {
    const sides = Array.isArray(value) ? value : [value, value];
    const [height, width] = sides.map(side.parse);
    if (sides.length !== 2 || height === undefined || width === undefined) return undefined;
    return [height, width] as const;
  }, { write: ([height, width]) => height === width ? height : [height, width] });
}

/** A count and a unit: `1 epoch`, `500 steps`, `10 minutes`. */
export function interval(): Kind<Interval> {
  return kind<Interval>("a whole number and a unit, such as 1 epoch, 500 steps or 10 minutes", (value) => {
    const match = /^\s*([1-9]\d{0,8})\s+(step|epoch|minute)s?\s*$/.exec(
      typeof value === "string" ? value : "",
    );
    if (!match) return undefined;
    const unit = oneOf("step", "epoch", "minute").parse(match[2]);
    return unit && { every: Number(match[1]), unit };
  }, { write: ({ every, unit }) => `${every} ${unit}${every === 1 ? "" : "s"}` });
}

/** One of a list of data sets: its path, or a mapping of `source` and `weight`. */
function dataEntry(value: unknown): DataEntry | undefined {
  const path = text("").parse;
  if (typeof value === "string") {
    const source = path(value);
    return source === undefined ? undefined : { source, weight: null };
  }
  if (!isMapping(value) || Object.keys(value).some((key) => key !== "source" && key !== "weight")) {
    return undefined;
  }
  const source = path(value.source);
  const weight = value.weight === undefined ? null : number({ above: 0 }).parse(value.weight);
  return source === undefined || weight === undefined ? undefined : { source, weight };
}

/** A data set by its path or address, or a list of several; `what` says what may be one. */
export function dataSource(what: string): Kind<DataSource> {
  return kind<DataSource>(
    `${what}, or a list of these, each perhaps as {source: ..., weight: ...}`,
    (value) => {
      if (!Array.isArray(value)) return text("").parse(value);
      const entries = value.map(dataEntry).filter((entry) => entry !== undefined);
      return entries.length > 0 && entries.length === value.length ? entries : undefined;
    },
    {
      write: (value) =>
        typeof value === "string"
          ? value
          : value.map(({ source, weight }) => weight === null ? source : { source, weight }),
    },
  );
}
