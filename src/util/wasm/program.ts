/** A module that runs: its functions by name, and its memory, which grows when asked to. */
import type { WasmModule } from "./module.ts";

const PAGE_BYTES = 2 ** 16;

/** An instance of a {@linkcode WasmModule}. */
export class WasmProgram {
  readonly #memory: WebAssembly.Memory;
  readonly #functions = new Map<string, (...values: number[]) => number>();

  /** Compiles and starts the module. */
  constructor(module: WasmModule) {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module.bytes(1)));
    const { memory, ...functions } = instance.exports;
    if (!(memory instanceof WebAssembly.Memory)) throw new Error("the module has no memory");
    this.#memory = memory;
    for (const [name, value] of Object.entries(functions)) {
      if (typeof value === "function") this.#functions.set(name, (...values) => Number(value(...values)));
    }
  }

  /** Makes the memory at least so long. Views of it that were taken before are empty afterwards. */
  reserve(bytes: number): void {
    const missing = Math.ceil((bytes - this.#memory.buffer.byteLength) / PAGE_BYTES);
    if (missing > 0) this.#memory.grow(missing);
  }

  /** The memory from `offset` on. */
  bytes(offset: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, offset, length);
  }

  /** All of the memory. */
  all(): Uint8Array {
    return new Uint8Array(this.#memory.buffer);
  }

  /** All of the memory, for numbers of several bytes. */
  view(): DataView {
    return new DataView(this.#memory.buffer);
  }

  /** The function of a name. */
  function(name: string): (...values: number[]) => number {
    const found = this.#functions.get(name);
    if (found === undefined) throw new Error(`the module has no function ${name}`);
    return found;
  }
}
