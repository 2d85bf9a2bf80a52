/** Counting, and remembering what stands out, in bounded memory. */
import type { Distribution } from "./check_report.ts";

/** How often words occur. */
export class Tally {
  readonly #counts = new Map<string, number>();

  /** Counts a word once more. */
  add(word: string): void {
    this.#counts.set(word, (this.#counts.get(word) ?? 0) + 1);
  }

  /** Words with their numbers, the most frequent first, equal ones by their letters. */
  get entries(): [word: string, count: number][] {
    return [...this.#counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  }

  /** The same as an object. */
  get counts(): Record<string, number> {
    return Object.fromEntries(this.entries);
  }
}

/** The items with the largest scores. */
export class Top {
  readonly #kept: { readonly item: number; readonly score: number }[] = [];

  /** Keeps so many. */
  constructor(private readonly most: number) {}

  /** Takes in an item; of equal scores the first ones stay. */
  add(item: number, score: number): void {
    const kept = this.#kept;
    if (kept.length === this.most && score <= kept[kept.length - 1].score) return;
    const place = kept.findIndex((other) => other.score < score);
    kept.splice(place < 0 ? kept.length : place, 0, { item, score });
    if (kept.length > this.most) kept.pop();
  }

  /** The items, those of the largest score first. */
  get items(): number[] {
    return this.#kept.map(({ item }) => item);
  }
}

/** The first items of many, and how many there are. */
export class Firsts {
  readonly #items: number[] = [];
  #count = 0;

  /** Keeps so many. */
  constructor(private readonly most: number) {}

  /** Takes in an item. */
  add(item: number): void {
    this.#count++;
    if (this.#items.length < this.most) this.#items.push(item);
  }

  /** How many there were. */
  get count(): number {
    return this.#count;
  }

  /** The first of them. */
  get items(): readonly number[] {
    return this.#items;
  }
}

/** How numbers are spread, to four digits after the point or two that count; they are sorted in place. */
export function distributionOf(values: Float64Array): Distribution {
  values.sort();
  const at = (share: number) => {
    const value = values[Math.round(share * (values.length - 1))];
    return value < 0.01 ? +value.toPrecision(2) : +value.toFixed(4);
  };
  return { min: at(0), p5: at(0.05), median: at(0.5), p95: at(0.95), max: at(1) };
}
