/** One request and its answer: connecting, refusals, and a watch for connections that went silent. */
import { InputError } from "../util/errors.ts";
import { failureOf } from "./refusals.ts";
import { PassingFailure, reasonOf, type RetryContext } from "./retry.ts";
import type { Route } from "./route.ts";
import { parseS3Error } from "./s3_xml.ts";

/** Most bytes of a refusal's body that are looked at. */
const REFUSAL_BYTES = 65_536;
/** Most changes of a request that are tried at once: another region, new credentials, another place. */
const AMENDMENTS = 3;

/**
 * Connections are shared by all reads of a thread. HTTP/1.1, because parallel reads should not share one connection, and
 * because Deno's HTTP/2 hangs on reused connections (denoland/deno#21749).
 */
let sharedClient: Deno.HttpClient | undefined;

function client(): Deno.HttpClient {
  return sharedClient ??= Deno.createHttpClient({ http2: false });
}

/** Failures to connect that no patience mends, and what to do. */
const hopeless: readonly (readonly [words: RegExp, hint: string])[] = [
  [/certificate/i, "; DENO_CERT names a file with the certificate of an authority of your own"],
  [/corrupt message/i, "; the server may not know https://"],
  [/number of redirects/i, ""],
  [/requests to port \d+ are blocked/i, ""],
];

/** Aborts one exchange: from outside, or when it stalls. */
class Watch {
  readonly #controller = new AbortController();
  readonly #stop = () => this.#controller.abort(this.outer.reason);
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly outer: AbortSignal, private readonly stall: number) {
    outer.throwIfAborted();
    outer.addEventListener("abort", this.#stop, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Runs a step that must be done before the time is up; `answered` says whether the server has been heard of. */
  async step<T>(answered: boolean, action: () => Promise<T>): Promise<T> {
    const seconds = this.stall / 1000;
    this.#timer = setTimeout(
      () => this.#controller.abort(new PassingFailure(`no byte came for ${seconds} seconds`, answered)),
      this.stall,
    );
    try {
      return await action();
    } finally {
      clearTimeout(this.#timer);
    }
  }

  end(): void {
    clearTimeout(this.#timer);
    this.outer.removeEventListener("abort", this.#stop);
  }
}

/** The answer to a request, with its body in pieces. */
export class Exchange {
  private constructor(
    private readonly watch: Watch,
    private readonly response: Response,
    private readonly reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined,
  ) {}

  /**
   * Asks for a range of bytes, `"bytes=0-99"`, or for everything. Answers of status 200, 206 and 416 are returned.
   *
   * @throws {PassingFailure} where trying again may help
   * @throws {InputError} where the server refuses, or Deno; `RunError` where the object was readable before
   */
  static async open(
    route: Route,
    range: string | undefined,
    context: RetryContext,
    wasReadable: boolean,
  ): Promise<Exchange> {
    for (let amendments = 0;; amendments++) {
      const exchange = await Exchange.#send(route, range, context);
      const { status, headers } = exchange;
      if (status === 200 || status === 206 || status === 416) return exchange;
      const refusal = { status, headers, ...parseS3Error(await exchange.#text(REFUSAL_BYTES)) };
      if (amendments < AMENDMENTS && await route.amend(refusal)) continue;
      throw failureOf(refusal, { shown: route.shown, credentials: route.credentials?.(), wasReadable });
    }
  }

  static async #send(route: Route, range: string | undefined, context: RetryContext): Promise<Exchange> {
    const { url, headers } = await route.request();
    const watch = new Watch(context.signal, context.policy.stall);
    try {
      const response = await watch.step(false, () =>
        fetch(url, {
          // Bytes as they are stored: ranges of a compressed body would be ranges of something else.
          headers: { ...headers, "accept-encoding": "identity", ...(range && { range }) },
          redirect: route.redirect,
          signal: watch.signal,
          client: client(),
        }));
      context.onAnswer();
      if (response.redirected) route.ledTo(response.url);
      return new Exchange(watch, response, response.body?.getReader());
    } catch (error) {
      watch.end();
      throw Exchange.#sendFailure(error, context, url);
    }
  }

  static #sendFailure(error: unknown, { signal, shown }: RetryContext, url: string): unknown {
    if (signal.aborted) return signal.reason;
    if (error instanceof PassingFailure) return error;
    if (error instanceof Deno.errors.NotCapable) {
      return new InputError(`"${shown}" needs the network: run Deno with --allow-net=${new URL(url).host}`);
    }
    const reason = reasonOf(error);
    const hint = hopeless.find(([words]) => words.test(reason))?.[1];
    return hint === undefined
      ? new PassingFailure(reason, false)
      : new InputError(`cannot read "${shown}": ${reason}${hint}`);
  }

  /** The HTTP status: 200, 206 or 416. */
  get status(): number {
    return this.response.status;
  }

  /** The answer's headers. */
  get headers(): Headers {
    return this.response.headers;
  }

  /** The next piece of the body; undefined at its end. Throws {@linkcode PassingFailure} where it breaks off. */
  async next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      const reader = this.reader;
      return reader && (await this.watch.step(true, () => reader.read())).value;
    } catch (error) {
      this.watch.signal.throwIfAborted(); // the caller's end, or a stall
      throw new PassingFailure(`the connection was cut (${reasonOf(error)})`, true);
    }
  }

  async #text(most: number): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    try {
      for (let piece = await this.next(); piece && text.length < most; piece = await this.next()) {
        text += decoder.decode(piece, { stream: true });
      }
    } catch (error) {
      if (!(error instanceof PassingFailure)) throw error; // the status says enough
    } finally {
      this.close();
    }
    return text.slice(0, most);
  }

  /** Ends it; what has not been read of the body is given up. */
  close(): void {
    this.watch.end();
    this.reader?.cancel().catch(() => {});
  }
}
