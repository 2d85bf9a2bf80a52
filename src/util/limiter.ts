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
