/** How fast a run is, and how much of its time it waits for data. */

/** Rates over a stretch of steps. */
export interface Rates {
  /** Its length. */
  readonly seconds: number;
  /** Mean time of a step, pauses left out. */
  readonly secondsPerStep: number;
  /** The same with pauses. */
  readonly wholePerStep: number;
  /** Share of the time without pauses spent waiting for data, 0 to 1. */
  readonly dataWait: number;
}

/** A moment of a run to measure from. */
export class Stretch {
  readonly #start: number;
  #paused = 0;

  /**
   * Begins a stretch now.
   * @param step steps made
   * @param waited seconds that the run has waited for data, since whenever
   */
  constructor(
    private readonly step: number,
    private readonly waited: number,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#start = now();
  }

  /** Leaves so many seconds out of the time of a step: something else was done in them. */
  pause(seconds: number): void {
    this.#paused += seconds;
  }

  /** Rates from the beginning of the stretch up to now. */
  rates(step: number, waited: number): Rates {
    const seconds = Math.max((this.now() - this.#start) / 1000, 1e-6); // clocks can be coarse
    const training = Math.max(seconds - this.#paused, 1e-6);
    const steps = Math.max(step - this.step, 1);
    return {
      seconds,
      secondsPerStep: training / steps,
      wholePerStep: seconds / steps,
      dataWait: Math.min(1, Math.max(0, (waited - this.waited) / training)),
    };
  }
}
