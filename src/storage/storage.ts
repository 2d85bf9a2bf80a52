/** The one door to bytes at an address: local paths, HTTP and S3 alike. */
import { memoryBytes, openBytes } from "../formats/byte_source.ts";
import { sortByBytes } from "../util/byte_order.ts";
import { InputError } from "../util/errors.ts";
import { pathExists } from "../util/files.ts";
import { type Address, type HttpAddress, parseAddress, type S3Address } from "./address.ts";
import { expandLocal, matcherOf, starlessPrefix } from "./globs.ts";
import { expandPattern, MOST_ADDRESSES } from "./pattern.ts";
import { RefusedError } from "./refusals.ts";
import { remoteBytes, RemoteObject, type StoredBytes } from "./remote_object.ts";
import { defaultRetryPolicy, type RetryContext, type RetryEvent, type RetryPolicy } from "./retry.ts";
import { httpRoute, type Route } from "./route.ts";
import { S3Account } from "./s3_account.ts";
import { readS3Settings, type S3Settings } from "./s3_settings.ts";
import { parseS3Page, type S3Page } from "./s3_xml.ts";

/** Largest file that is kept in memory where a server does not know ranges. */
const WHOLE_BYTES = 64 * 2 ** 20;
/** Most bytes of one page of a listing, which names 1,000 keys of up to 1,024 bytes, each of them percent-encoded. */
const PAGE_BYTES = 16 * 2 ** 20;
/** Bytes of a piece that a local file is streamed in. */
const LOCAL_PIECE = 2 ** 20;

/** What may be settled; all of it can be left out. */
export interface StorageOptions {
  /** How patient to be; what is not given is {@linkcode defaultRetryPolicy}. */
  readonly retry?: Partial<RetryPolicy>;
  /** How S3 is asked; without it the environment's settings are read when the first address of S3 is. */
  readonly s3?: S3Settings;
  /** Whether files of this machine are read at once, which suits threads that have nothing else to do. */
  readonly blocking?: boolean;
  /** Ends every read. */
  readonly signal?: AbortSignal;
  /** Is told of every failure that is tried again, to warn of a network that is away. */
  readonly onRetry?: (event: RetryEvent) => void;
}

/** An object of a listing. */
export interface ListedObject {
  /** Its address, `s3://bucket/key`. */
  readonly address: string;
  /** Number of bytes. */
  readonly size: number;
}

/** A signal that follows another one and can be aborted by itself. */
function followed(outer: AbortSignal): { signal: AbortSignal; end: () => void } {
  const controller = new AbortController();
  const follow = () => controller.abort(outer.reason);
  if (outer.aborted) follow();
  outer.addEventListener("abort", follow, { once: true });
  const end = () => {
    outer.removeEventListener("abort", follow);
    controller.abort(new DOMException("it was closed", "AbortError"));
  };
  return { signal: controller.signal, end };
}

/**
 * Reads bytes at addresses: paths, `http(s)://` and `s3://`. Holds what reads have in common: patience, credentials, and
 * which hosts have answered. Reads over the network are tried again when connections fail, break off or go silent and
 * when servers are busy, and go on from the byte where they stopped. Disposing of it ends whatever is under way.
 */
export class Storage implements Disposable {
  readonly #policy: RetryPolicy;
  readonly #account: S3Account;
  readonly #answered = new Set<string>();
  readonly #whole: { signal: AbortSignal; end: () => void };
  readonly #blocking: boolean;
  readonly #onRetry?: (event: RetryEvent) => void;

  /** Opens nothing and reads nothing yet. */
  constructor({ retry, s3, blocking = false, signal, onRetry }: StorageOptions = {}) {
    this.#policy = { ...defaultRetryPolicy, ...retry };
    this.#account = new S3Account(() => s3 ? Promise.resolve(s3) : readS3Settings());
    this.#whole = followed(signal ?? new AbortController().signal);
    this.#blocking = blocking;
    this.#onRetry = onRetry;
  }

  /** The way to the object itself. */
  #route(address: HttpAddress | S3Address): Route {
    if (address.kind === "http") return httpRoute(address);
    if (address.key === "" || address.key.endsWith("/")) {
      throw new InputError(`"${address.shown}" is no object but a prefix: name one, or list it with a star`);
    }
    return this.#account.route(address.bucket, address.key, {}, address.shown);
  }

  #object(route: Route, host: string, signal: AbortSignal): RemoteObject {
    const context: RetryContext = {
      shown: route.shown,
      policy: this.#policy,
      signal,
      answered: () => this.#answered.has(host),
      onAnswer: () => this.#answered.add(host),
      onRetry: this.#onRetry,
    };
    return new RemoteObject(route, context);
  }

  /** The object at a remote address. */
  #remote(address: HttpAddress | S3Address, signal = this.#whole.signal): RemoteObject {
    return this.#object(this.#route(address), hostOf(address), signal);
  }

  /**
   * Opens what is at an address for reading by offset. Reads may run side by side.
   *
   * @throws {InputError} where there is nothing, it may not be read, or the server does not know ranges and the file is
   *   too large to be kept in memory
   * @throws {RunError} where patience ends; reads throw it too, and where the file has changed since
   */
  async open(text: string): Promise<StoredBytes> {
    const address = parseAddress(text);
    if (address.kind === "local") return await this.#openLocal(address.path);
    const { signal, end } = followed(this.#whole.signal);
    try {
      const object = this.#remote(address, signal);
      const knowsRanges = await object.probe();
      if (knowsRanges) return remoteBytes(object, object.size ?? 0, address.shown, end);
      if ((object.size ?? 0) > WHOLE_BYTES) {
        throw new InputError(
          `"${address.shown}" cannot be read in parts: its server answers with all of its ${object.size} bytes; copy it ` +
            "to a disk or to a server that knows ranges",
        );
      }
      const bytes = await object.all(WHOLE_BYTES);
      end();
      return { ...memoryBytes(bytes), shown: address.shown, version: object.version };
    } catch (error) {
      end();
      throw error;
    }
  }

  async #openLocal(path: string): Promise<StoredBytes> {
    const source = await openBytes(path, { blocking: this.#blocking });
    const version = String((await Deno.stat(path)).mtime?.getTime() ?? "");
    return {
      size: source.size,
      shown: path,
      version,
      read: (offset, length) => source.read(offset, length),
      [Symbol.dispose]: () => source[Symbol.dispose](),
    };
  }

  /**
   * All bytes of what is at an address, by a single request.
   *
   * @param most how many bytes are read at most
   * @throws {InputError} where there are more, and as {@linkcode Storage.open}
   */
  async read(text: string, most: number): Promise<Uint8Array<ArrayBuffer>> {
    const address = parseAddress(text);
    if (address.kind !== "local") return await this.#remote(address).all(most);
    using source = await openBytes(address.path);
    if (source.size > most) {
      throw new InputError(`"${text}" has ${source.size} bytes; at most ${most} are read`);
    }
    return await source.read(0, source.size);
  }

  /** As {@linkcode Storage.read}, but undefined where there is nothing or it may not be read: for what may be missing. */
  async readIfThere(text: string, most: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const address = parseAddress(text);
    if (address.kind === "local" && !await pathExists(address.path)) return undefined;
    try {
      return await this.read(text, most);
    } catch (error) {
      // S3 says 403 of what is not there to those who may not list.
      if (error instanceof RefusedError && [403, 404, 410].includes(error.status)) return undefined;
      throw error;
    }
  }

  /**
   * The bytes of what is at an address from a byte on, in pieces, read once from there to the end.
   *
   * @throws {InputError} and `RunError` as {@linkcode Storage.open}
   */
  async *stream(text: string, from = 0): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    const address = parseAddress(text);
    if (address.kind !== "local") return yield* this.#remote(address).pieces(from);
    using source = await openBytes(address.path);
    for (let at = from; at < source.size; at += LOCAL_PIECE) {
      this.#whole.signal.throwIfAborted();
      yield await source.read(at, LOCAL_PIECE);
    }
  }

  /**
   * The objects whose addresses begin with `s3://bucket/prefix`, in the order of their keys. Those that stand for folders
   * (keys that end in a slash) are left out.
   *
   * @throws {InputError} for other addresses and buckets that may not be listed; `RunError` where patience ends
   */
  async *list(prefix: string): AsyncGenerator<ListedObject, void, undefined> {
    const address = parseAddress(prefix);
    if (address.kind !== "s3") {
      throw new InputError(`"${address.shown}" cannot be listed: only addresses that begin with s3:// can`);
    }
    for (let next: string | undefined = "";;) {
      const page: S3Page = await this.#page(address, next);
      for (const { key, size } of page.objects) {
        if (!key.endsWith("/")) yield { address: `s3://${address.bucket}/${key}`, size };
      }
      if (page.next === undefined || page.next === next) return;
      next = page.next;
    }
  }

  async #page(address: S3Address, next: string): Promise<S3Page> {
    const query: Record<string, string> = { "list-type": "2", "encoding-type": "url", prefix: address.key };
    if (next !== "") query["continuation-token"] = next;
    const route = this.#account.route(address.bucket, "", query, address.shown);
    const bytes = await this.#object(route, hostOf(address), this.#whole.signal).all(PAGE_BYTES);
    const page = parseS3Page(new TextDecoder().decode(bytes));
    if (page === undefined) {
      throw new InputError(
        `"${address.shown}" cannot be listed: the server's answer is no listing; check the endpoint`,
      );
    }
    return page;
  }

  /**
   * All addresses that a pattern stands for: braces as {@linkcode expandPattern} reads them, then stars, which stand for
   * any characters but slashes, in paths and in addresses of S3; what they find is in the order of its bytes. A path that
   * exists is taken as it is.
   *
   * @throws {InputError} for wrong patterns, stars in HTTP addresses, and stars that find nothing
   */
  async expand(pattern: string): Promise<string[]> {
    const isThere = parseOrNull(pattern)?.kind === "local" &&
      await Deno.lstat(pattern).then(() => true, () => false);
    if (isThere) return [pattern];
    const found: string[] = [];
    for (const text of expandPattern(pattern)) {
      if (text.includes("*")) { for (const address of await this.#matches(text)) found.push(address); }
      else found.push(text);
    }
    return found;
  }

  async #matches(text: string): Promise<string[]> {
    const address = parseAddress(text);
    if (address.kind === "http") {
      if (!new URL(address.url).pathname.includes("*")) return [text];
      throw new InputError(
        `"${address.shown}" has a star, but files behind HTTP cannot be listed: name them, with braces like {000..146}`,
      );
    }
    const found = address.kind === "local"
      ? await expandLocal(address.path)
      : await this.#matchingKeys(address);
    if (found.length === 0) throw new InputError(`there is nothing like "${address.shown}"`);
    return found;
  }

  async #matchingKeys(address: S3Address): Promise<string[]> {
    const start = `s3://${address.bucket}/`;
    const matches = matcherOf(address.key);
    const found: string[] = [];
    for await (const object of this.list(start + starlessPrefix(address.key))) {
      if (matches(object.address.slice(start.length))) found.push(object.address);
      if (found.length > MOST_ADDRESSES) {
        throw new InputError(
          `"${address.shown}" stands for more than ${MOST_ADDRESSES.toLocaleString("en")} objects`,
        );
      }
    }
    return sortByBytes(found);
  }

  /** Ends whatever is under way and all sources that were opened. */
  [Symbol.dispose](): void {
    this.#whole.end();
  }
}

function hostOf(address: HttpAddress | S3Address): string {
  return address.kind === "http" ? new URL(address.url).host : `s3:${address.bucket}`;
}

function parseOrNull(text: string): Address | null {
  try {
    return parseAddress(text);
  } catch {
    return null; // its braces first: what is wrong is said of what they stand for
  }
}
