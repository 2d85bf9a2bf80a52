/** Lets a bounded number of tasks run side by side. */
export class Limiter {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** At most so many at a time, in the order in which they came. */
  constructor(private readonly most: number) {}

  /** Runs a task as soon as there is room; settles as it does. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running >= this.most) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift(); // takes this one's place
      if (next) next();
      else this.#running--;
    }
  }
}

/** What a task makes of each item, in the items' order; so many run side by side, and none is begun after one has failed. */
export async function mapSideBySide<Item, Result>(
  items: readonly Item[],
  most: number,
  task: (item: Item, place: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = new Array(items.length);
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      const place = next++;
      try {
        results[place] = await task(items[place], place);
      } catch (error) {
        next = items.length;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, lane));
  return results;
}
