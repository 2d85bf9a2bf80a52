/** A WebAssembly decoder that is started when first needed and started afresh when a file upset it. */
import type { DecodedPixels, Decoder, DecoderOptions } from "../deps/images.ts";
import { messageOf, RunError } from "../util/errors.ts";

/** A heap that one large image has grown beyond this is given back. */
const KEPT_HEAP_BYTES = 256 * 2 ** 20;

/** How decoding went. */
export interface DecoderAnswer {
  /** The image as RGBA, or null when the C library refused the bytes. */
  readonly image: DecodedPixels | null;
  /** Lines of warnings and errors. */
  readonly lines: readonly string[];
}

/** Whether WebAssembly gave up on the bytes, by exit(), by a trap or for want of memory. */
export function isRefusal(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError || error instanceof RangeError ||
    (typeof error === "object" && error !== null && "name" in error && error.name === "ExitStatus");
}

/** One decoder of a thread. */
export class WasmDecoder {
  readonly #name: string;
  readonly #start: (options: DecoderOptions) => Promise<Decoder>;
  readonly #wasm: () => Promise<Uint8Array | undefined>;
  readonly #settings: readonly (boolean | number)[];
  #running: Promise<Decoder> | undefined;
  #lines: string[] = [];

  /**
   * `start` makes an instance, `wasm` gives its embedded WebAssembly if there is any, `settings` follow the bytes in
   * each call. Nothing happens before the first `decode`.
   */
  constructor(
    name: string,
    start: (options: DecoderOptions) => Promise<Decoder>,
    wasm: () => Promise<Uint8Array | undefined>,
    settings: readonly (boolean | number)[] = [],
  ) {
    this.#name = name;
    this.#start = start;
    this.#wasm = wasm;
    this.#settings = settings;
  }

  /** Decodes a file. Throws `RunError` when the decoder itself cannot be loaded. */
  async decode(bytes: Uint8Array): Promise<DecoderAnswer> {
    this.#running ??= this.#load();
    const decoder = await this.#running;
    this.#lines = [];
    let image: DecodedPixels | null = null;
    try {
      image = decoder.decode(bytes, ...this.#settings);
      if (decoder.HEAP8.byteLength > KEPT_HEAP_BYTES) this.#running = undefined;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#running = undefined; // its heap is in no state to go on with
    }
    return { image, lines: this.#lines };
  }

  async #load(): Promise<Decoder> {
    try {
      return await this.#start({
        wasmBinary: await this.#wasm(),
        printErr: (line) => this.#lines.push(line),
      });
    } catch (error) {
      this.#running = undefined;
      const needs = "it must be readable in Deno's cache (--allow-read) or bundled";
      throw new RunError(`Cannot load the ${this.#name} decoder (${messageOf(error)}); ${needs}`);
    }
  }
}
