/** Samples that cannot be read: each is told of once, and too many end the run. */
import { RunError } from "../util/errors.ts";
import type { ImageSource } from "../sources/source.ts";

/** A sample that could not be read as an image. */
export interface BrokenFile {
  /** The file, or what else the source calls the sample. */
  readonly path: string;
  /** Words that follow the path and a colon. */
  readonly reason: string;
}

/** What becomes of samples that cannot be read. */
export interface BrokenPolicy {
  /** Whether another sample takes the place of a broken one (default), or the first of them ends the run. */
  readonly onError?: "skip" | "stop";
  /**
   * The share of the samples looked at that may be broken, 0 to 1; as long as fewer than {@linkcode FEWEST_LOOKED_AT} were, of so
   * many. {@linkcode MAX_BAD_SHARE} by default.
   */
  readonly maxBadShare?: number;
}

/** The share of broken samples that is put up with where nobody says. */
export const MAX_BAD_SHARE = 0.05;

/** Samples of which a share says something: of fewer, a handful of broken ones may be any share. */
export const FEWEST_LOOKED_AT = 1000;

/** The error that ends a run at the first sample that cannot be read. */
export function stoppedBy({ path, reason }: BrokenFile): RunError {
  return new RunError(
    `${path}: ${reason}; data.on_error stop ends the run, skip goes on without such images`,
  );
}

/** The broken samples of a data set that were met so far. */
export class BrokenSamples {
  /** In the order in which they were met. */
  readonly files: BrokenFile[] = [];
  readonly #numbers = new Set<number>();
  /** Samples that were looked at, those that were drawn again included. */
  #lookedAt = 0;

  /**
   * None yet.
   * @param onBroken called once for each
   */
  constructor(
    private readonly source: ImageSource,
    private readonly policy: BrokenPolicy,
    private readonly onBroken: (file: BrokenFile) => void = () => {},
  ) {}

  /** Whether a sample is known to be broken. */
  has(sample: number): boolean {
    return this.#numbers.has(sample);
  }

  /** Whether every sample is. */
  get isAll(): boolean {
    return this.#numbers.size === this.source.length;
  }

  /**
   * Takes note of samples that were looked at, and of those of them that turned out broken.
   * @throws {RunError} where the policy ends the run
   */
  note(lookedAt: number, broken: readonly { readonly sample: number; readonly reason: string }[]): void {
    this.#lookedAt += lookedAt;
    for (const { sample, reason } of broken) this.#noteOne(sample, reason);
    const { maxBadShare = MAX_BAD_SHARE } = this.policy;
    const all = Math.min(this.#lookedAt, this.source.length);
    if (broken.length === 0 || this.files.length <= maxBadShare * Math.max(all, FEWEST_LOOKED_AT)) return;
    if (this.isAll) return; // there are better words for that
    throw new RunError(
      `${this.files.length} of ${all} images that were looked at under "${this.source.root}" cannot be read, more than ` +
        `data.max_bad_share ${maxBadShare} allows (${this.#first()})`,
    );
  }

  #noteOne(sample: number, reason: string): void {
    if (this.#numbers.has(sample)) return;
    this.#numbers.add(sample);
    const file = { path: this.source.path(sample), reason };
    this.files.push(file);
    if (this.policy.onError === "stop") throw stoppedBy(file);
    this.onBroken(file);
  }

  /** The error where no sample is left. */
  nothingReadable(): RunError {
    const { root, length } = this.source;
    const files = length === 1 ? "The only image file" : `None of the ${length} image files`;
    return new RunError(
      `${files} under "${root}" can${length === 1 ? "not" : ""} be read (${this.#first()})`,
    );
  }

  #first(): string {
    return this.files.slice(0, 3).map(({ path, reason }) => `${path}: ${reason}`).join("; ");
  }
}
