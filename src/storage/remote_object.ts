/** One object behind the network: read by offset or from beginning to end, through cuts and stalls. */
import type { ByteSource } from "../formats/byte_source.ts";
import { InputError, RunError } from "../util/errors.ts";
import { Exchange } from "./exchange.ts";
import { PassingFailure, Retries, type RetryContext } from "./retry.ts";
import type { Route } from "./route.ts";

/** What tells one state of an object from another. */
interface Identity {
  /** Bytes of the whole object; undefined where the server does not say. */
  readonly size?: number;
  readonly etag?: string;
  readonly modified?: string;
}

/** Most bytes that are read and thrown away to go on where a server does not know ranges. */
const SKIPPED_BYTES = 64 * 2 ** 20;

/** `bytes 0-99/1234`: first byte, and the size of all where it is known. */
function contentRange(headers: Headers): { first: number; size?: number } | undefined {
  const [, first, size] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get("content-range") ?? "") ?? [];
  return first === undefined
    ? undefined
    : { first: Number(first), size: size === "*" ? undefined : Number(size) };
}

function identityOf({ status, headers }: Exchange): Identity {
  const length = headers.get("content-length");
  const size = status === 206 ? contentRange(headers)?.size : length === null ? undefined : Number(length);
  return {
    size,
    etag: headers.get("etag") ?? undefined,
    modified: headers.get("last-modified") ?? undefined,
  };
}

/** What differs between two states, for the message; undefined where nothing does. Dates matter only without ETags. */
function difference(before: Identity, now: Identity): string | undefined {
  const differ = (key: keyof Identity) =>
    before[key] !== undefined && now[key] !== undefined && before[key] !== now[key];
  const words = (what: string, key: keyof Identity) => `${what} ${before[key]} before, ${now[key]} now`;
  if (differ("size")) return words("size", "size");
  if (differ("etag")) return words("ETag", "etag");
  return before.etag === undefined && differ("modified") ? words("date", "modified") : undefined;
}

/** An object of which nothing is known but the way to it. */
export class RemoteObject {
  #identity: Identity | undefined;

  /** Asks for nothing yet. */
  constructor(private readonly route: Route, private readonly context: RetryContext) {}

  /** Number of bytes; undefined where the server has not said so far. */
  get size(): number | undefined {
    return this.#identity?.size;
  }

  /** What the server calls its state, by ETag or date; empty where it does not say. */
  get version(): string {
    return this.#identity?.etag ?? this.#identity?.modified ?? "";
  }

  /**
   * Looks at the object by asking for its first byte, since HEAD is refused by some servers and by signed addresses.
   *
   * @returns whether the server knows ranges
   */
  async probe(): Promise<boolean> {
    return await this.#patiently(0, async () => {
      const exchange = await Exchange.open(this.route, "bytes=0-0", this.context, false);
      try {
        if (exchange.status === 416) { // there is no first byte
          this.#identity = { size: 0 };
          return true;
        }
        this.#recognise(exchange);
        while (exchange.status === 206 && await exchange.next()); // so that the connection can be used again
        return exchange.status === 206 && this.size !== undefined;
      } finally {
        exchange.close();
      }
    });
  }

  async #patiently<T>(offset: number, action: () => Promise<T>): Promise<T> {
    const retries = new Retries(this.context);
    for (;;) {
      try {
        return await action();
      } catch (error) {
        await retries.after(error, offset);
      }
    }
  }

  /** Throws where the object is not what it was. */
  #recognise(exchange: Exchange): void {
    const now = identityOf(exchange);
    const changed = this.#identity && difference(this.#identity, now);
    if (changed) throw new RunError(`"${this.route.shown}" has changed while it was read: ${changed}`);
    this.#identity = { ...now, ...this.#identity, size: this.#identity?.size ?? now.size };
  }

  /**
   * The bytes from `from` on, in pieces of the network's choice. A connection that is cut, or goes silent, is replaced by
   * one that begins where it stopped.
   *
   * @param to the byte to stop before; without it all are read
   * @throws {RunError} where patience ends, or the object changes
   */
  async *pieces(from: number, to?: number): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    const retries = new Retries(this.context);
    const isDone = (at: number) => at >= (to ?? this.size ?? Infinity);
    for (let at = from; !isDone(at);) {
      try {
        for await (const piece of this.#attempt(at, to)) {
          at += piece.length;
          retries.progress(piece.length);
          yield piece;
        }
        if (to === undefined && this.size === undefined) return; // the body's end is all there is to go by
        if (!isDone(at)) throw new PassingFailure("the answer ended early", true);
      } catch (error) {
        if (!isDone(at)) await retries.after(error, at);
      }
    }
  }

  /** One answer's bytes from `at` on, up to `to` or its end. */
  async *#attempt(
    at: number,
    to: number | undefined,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    const whole = at === 0 && (to === undefined || to === this.size);
    const range = whole ? undefined : `bytes=${at}-${to === undefined ? "" : to - 1}`;
    const exchange = await Exchange.open(this.route, range, this.context, this.#identity !== undefined);
    try {
      let skip = this.#begin(exchange, at);
      let left = to === undefined ? Infinity : to - at;
      // One look beyond the last byte finds the end of the body, so that the connection can be used again.
      for (let piece = await exchange.next(); piece && left > 0; piece = await exchange.next()) {
        const dropped = Math.min(skip, piece.length);
        skip -= dropped;
        const wanted = piece.subarray(dropped, Math.min(piece.length, dropped + left));
        left -= wanted.length;
        if (wanted.length > 0) yield wanted;
      }
    } finally {
      exchange.close();
    }
  }

  /** Checks an answer before its body is read. Returns how many bytes of it come before the one that was asked for. */
  #begin(exchange: Exchange, at: number): number {
    const { shown } = this.route;
    if (exchange.status === 416) {
      throw this.#identity
        ? new RunError(`"${shown}" has changed while it was read: it ends before byte ${at} now`)
        : new InputError(`"${shown}" has no byte ${at}`);
    }
    this.#recognise(exchange);
    if (exchange.status === 200) {
      if (at <= SKIPPED_BYTES) return at;
      throw new RunError(
        `cannot read "${shown}" from byte ${at} on: the server does not answer requests for a part`,
      );
    }
    const first = contentRange(exchange.headers)?.first;
    if (first === at) return 0;
    throw new RunError(
      `cannot read "${shown}": the server was asked for the part from byte ${at} on and sent ` +
        `"${exchange.headers.get("content-range")}"`,
    );
  }

  /**
   * All bytes.
   *
   * @throws {InputError} where there are more than `most`
   */
  async all(most: number): Promise<Uint8Array<ArrayBuffer>> {
    const pieces: Uint8Array[] = [];
    let length = 0;
    for await (const piece of this.pieces(0)) {
      length += piece.length;
      const size = Math.max(length, this.size ?? 0);
      if (size > most) {
        throw new InputError(
          `"${this.route.shown}" has ${this.size ?? "more"} bytes; at most ${most} are read`,
        );
      }
      pieces.push(piece);
    }
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }
}

/** Bytes at an address. */
export interface StoredBytes extends ByteSource {
  /** The address for messages, without credentials. */
  readonly shown: string;
  /** What changes when the bytes do: the ETag, else the date; empty where neither is known. */
  readonly version: string;
}

/** A remote object of a known size; reads may run side by side, and `end` ends those that are under way. */
export function remoteBytes(object: RemoteObject, size: number, shown: string, end: () => void): StoredBytes {
  return {
    size,
    shown,
    version: object.version,
    async read(offset, length) {
      const to = Math.min(size, offset + length);
      if (offset >= to) return new Uint8Array(0);
      const bytes = new Uint8Array(to - offset);
      let filled = 0;
      for await (const piece of object.pieces(offset, to)) {
        bytes.set(piece, filled);
        filled += piece.length;
      }
      return bytes;
    },
    [Symbol.dispose]: end,
  };
}
