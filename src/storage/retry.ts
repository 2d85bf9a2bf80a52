/** When a read is tried again, and how long to wait before it. */
import { InputError, messageOf, RunError } from "../util/errors.ts";

/** How patient reads over the network are. */
export interface RetryPolicy {
  /** Most attempts in a row that bring nothing. */
  readonly attempts: number;
  /** Most attempts to reach a host that has not answered yet: its name may be misspelt. */
  readonly attemptsUnanswered: number;
  /** Milliseconds before the second attempt, doubled for each further one; half of it is left to chance. */
  readonly firstDelay: number;
  /** Most milliseconds between two attempts, unless the server asks for more. */
  readonly longestDelay: number;
  /** Milliseconds without a byte after which a connection counts as dead. */
  readonly stall: number;
  /** Most milliseconds from the first failure in a row to the last attempt. */
  readonly total: number;
}

/** Rides out some three minutes without network. */
export const defaultRetryPolicy: RetryPolicy = {
  attempts: 12,
  attemptsUnanswered: 4,
  firstDelay: 500,
  longestDelay: 30_000,
  stall: 30_000,
  total: 300_000,
};

/** A failed attempt that is followed by another one. */
export interface RetryEvent {
  /** The address, without credentials. */
  readonly address: string;
  /** What happened. */
  readonly reason: string;
  /** How many attempts in a row have failed. */
  readonly attempt: number;
  /** Milliseconds until the next one. */
  readonly wait: number;
  /** The byte at which reading goes on. */
  readonly offset: number;
}

/** A failure that may pass: the network, a busy server. */
export class PassingFailure extends Error {
  /** The class's name, for printing. */
  override name = "PassingFailure";

  /**
   * A failure with its reason.
   *
   * @param reason a clause for the message, "the connection was cut"
   * @param answered whether the server itself answered
   * @param wait milliseconds for which it asked to be left alone
   */
  constructor(reason: string, readonly answered: boolean, readonly wait = 0) {
    super(reason);
  }
}

/** Waits. Rejects with the signal's reason once it is aborted, and leaves no timer behind. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** What the attempts of one read have in common with those of others. */
export interface RetryContext {
  /** The address, without credentials. */
  readonly shown: string;
  /** How patient to be. */
  readonly policy: RetryPolicy;
  /** Ends everything. */
  readonly signal: AbortSignal;
  /** Whether the host has answered before. */
  readonly answered: () => boolean;
  /** Is told that it has. */
  readonly onAnswer: () => void;
  /** Is told of every attempt that is followed by another one. */
  readonly onRetry?: (event: RetryEvent) => void;
}

/** Bytes after which a read counts as getting on, so that its failures are counted anew. */
const PROGRESS = 65_536;

/** Counts the failures of one read, and waits between them. */
export class Retries {
  #failures = 0;
  #firstFailure = 0;
  #bytes = 0;

  /** Nothing has failed yet. */
  constructor(private readonly context: RetryContext) {}

  /** Notes bytes that have come. */
  progress(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes >= PROGRESS) this.#failures = 0;
  }

  /**
   * Waits before the next attempt. Throws what was thrown where it will not pass.
   *
   * @param offset the byte to go on from
   * @throws {RunError} once patience is at its end
   */
  async after(error: unknown, offset: number): Promise<void> {
    const { policy, signal, shown } = this.context;
    signal.throwIfAborted();
    if (!(error instanceof PassingFailure)) throw error;
    this.#bytes = 0;
    if (this.#failures++ === 0) this.#firstFailure = Date.now();
    const known = error.answered || this.context.answered();
    const most = known ? policy.attempts : Math.min(policy.attempts, policy.attemptsUnanswered);
    const delay = Math.min(policy.longestDelay, policy.firstDelay * 2 ** (this.#failures - 1));
    const wait = Math.max(error.wait, delay * (0.5 + Math.random() / 2));
    if (this.#failures >= most || Date.now() + wait > this.#firstFailure + policy.total) {
      throw this.#exhausted(error, offset, known);
    }
    const reason = error.message;
    this.context.onRetry?.({ address: shown, reason, attempt: this.#failures, wait, offset });
    await sleep(wait, signal);
  }

  #exhausted(error: PassingFailure, offset: number, known: boolean): Error {
    const { shown, policy } = this.context;
    const tried = `after ${this.#failures} attempt${this.#failures === 1 ? "" : "s"}`;
    const asked = error.wait > policy.total
      ? `; it asks to be left alone for ${Math.round(error.wait / 1000)} seconds`
      : "";
    return known
      ? new RunError(`cannot read "${shown}" from byte ${offset} on: ${error.message}, ${tried}${asked}`)
      : new InputError(
        `cannot reach "${shown}": ${error.message}, ${tried}; check the address and the network`,
      );
  }
}

/** The reason of a failed `fetch` or of a body that broke off, without URLs, which may hold a signature. */
export function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return messageOf(cause)
    .replace(/^error sending request for url \(.*?\): /, "")
    .replace(/\bhttps?:\/\/\S*/g, "…")
    .replace(/\s+/g, " ")
    .slice(0, 200);
}
