/** An HTTP server on loopback that serves one file, and misbehaves as it is told. */

/** What the server does with one request instead of serving it well. */
export interface Fault {
  /** Answers with this status and no file. */
  readonly status?: number;
  /** Further headers. */
  readonly headers?: Record<string, string>;
  /** Body of an answer with a status. */
  readonly body?: string;
  /** Cuts the connection after so many bytes of the body. */
  readonly cutAfter?: number;
  /** Sends so many bytes of the body and then nothing, until the client leaves. */
  readonly stallAfter?: number;
  /** Answers with the whole file, whatever part was asked for. */
  readonly ignoreRange?: boolean;
  /** Sends the body without its length. */
  readonly chunked?: boolean;
  /** Answers with the part of this beginning instead of the one that was asked for. */
  readonly shift?: number;
}

/** A request as it came. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly range: string | null;
  readonly headers: Headers;
}

/** The server. */
export class TestServer implements AsyncDisposable {
  /** The file. */
  bytes: Uint8Array<ArrayBuffer>;
  /** Its ETag; none when null. */
  etag: string | null = '"1"';
  /** Its date; none when null. */
  modified: string | null = null;
  /** What to do with the next requests, one after the other; then `always`. */
  readonly faults: Fault[] = [];
  /** What to do with all requests for which there is no fault. */
  always: Fault = {};
  /** All requests so far. */
  readonly seen: SeenRequest[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(bytes: Uint8Array<ArrayBuffer>, port = 0) {
    this.bytes = bytes;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port, onListen() {}, onError },
      (request) => this.#answer(request),
    );
  }

  /** `http://127.0.0.1:1234`. */
  get origin(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Address of the file. */
  get url(): string {
    return `${this.origin}/file.bin`;
  }

  #answer(request: Request): Response {
    const range = request.headers.get("range");
    const { method, headers, url } = request;
    this.seen.push({ method, path: new URL(url).pathname, range, headers });
    if (method !== "GET") return new Response(null, { status: 405 });
    const fault = this.faults.shift() ?? this.always;
    if (fault.status) {
      return new Response(fault.body ?? null, { status: fault.status, headers: fault.headers });
    }
    return this.#serve(range, fault);
  }

  #serve(range: string | null, fault: Fault): Response {
    const { bytes } = this;
    const headers = new Headers(fault.headers);
    if (this.etag !== null) headers.set("etag", this.etag);
    if (this.modified !== null) headers.set("last-modified", this.modified);
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(fault.ignoreRange ? "" : range ?? "") ?? [];
    if (first === undefined) return this.#body(bytes, 200, headers, fault);
    const start = Number(first) + (fault.shift ?? 0);
    const end = last === "" ? bytes.length : Math.min(bytes.length, Number(last) + 1);
    if (start >= bytes.length) {
      return new Response(null, { status: 416, headers: { "content-range": `bytes */${bytes.length}` } });
    }
    headers.set("content-range", `bytes ${start}-${end - 1}/${bytes.length}`);
    return this.#body(bytes.slice(start, end), 206, headers, fault);
  }

  #body(bytes: Uint8Array<ArrayBuffer>, status: number, headers: Headers, fault: Fault): Response {
    if (!fault.chunked) headers.set("content-length", `${bytes.length}`);
    const most = fault.cutAfter ?? fault.stallAfter ?? bytes.length;
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      type: "bytes",
      async pull(controller) {
        if (sent < most) {
          const piece = bytes.slice(sent, Math.min(most, sent + 65_536));
          sent += piece.length;
          controller.enqueue(piece);
        } else if (fault.cutAfter !== undefined) {
          // What was sent should arrive before the connection is reset.
          await new Promise((resolve) => setTimeout(resolve, 5));
          controller.error(new Error("cut, as told"));
        } else if (fault.stallAfter === undefined) {
          controller.close();
        } else await new Promise(() => {});
      },
    });
    return new Response(body, { status, headers });
  }

  /** Stops at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

function onError(): Response {
  return new Response(null, { status: 500 });
}

/** Bytes that differ from place to place. */
export function someBytes(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255);
}
