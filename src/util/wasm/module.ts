/**
 * Writes small WebAssembly modules. A kernel is a TypeScript function that calls a {@linkcode WasmFunction} where it
 * would write statements; the bytes are made when the program starts (some milliseconds), so that there is neither a
 * build step nor a file that has to be found. Instruction codes: WebAssembly core specification 2.0, section 5.4.
 */
import { memoryOperands, simd, typeCodes, type TypeName, unsignedLeb } from "./encoding.ts";
import { I32, i32, type I32Like, I64, V128 } from "./values.ts";

/** A place to leave from by {@linkcode WasmFunction.leave}. */
export interface Label {
  /** How deep it is nested. */
  readonly depth: number;
}

/** A function that others may call. */
export interface Callee {
  /** Its number in the module. */
  readonly index: number;
}

/** The statements of one function. Parameters and results are 32-bit integers. */
export class WasmFunction {
  readonly #code: number[] = [];
  readonly #locals: TypeName[] = [];
  #depth = 0;

  /** `parameters` of them come first among the locals. */
  constructor(readonly parameters: number) {}

  #declare(type: TypeName): number {
    this.#locals.push(type);
    return this.parameters + this.#locals.length - 1;
  }
  /** A local of 32 bits with a first value. */
  i32(value: I32Like): I32 {
    const index = this.#declare("i32");
    return this.#set(new I32([0x20, ...unsignedLeb(index)], index), i32(value));
  }
  /** A local of 64 bits with a first value. */
  i64(value: I64): I64 {
    const index = this.#declare("i64");
    return this.#set(new I64([0x20, ...unsignedLeb(index)], index), value);
  }
  /** A local of 128 bits with a first value. */
  v128(value: V128): V128 {
    const index = this.#declare("v128");
    return this.#set(new V128([0x20, ...unsignedLeb(index)], index), value);
  }

  /** Assigns to a local of 32 bits. */
  set(target: I32, value: I32Like): void {
    this.#set(target, i32(value));
  }
  /** Assigns to a local of 64 bits. */
  set64(target: I64, value: I64): void {
    this.#set(target, value);
  }
  /** Assigns to a local of 128 bits. */
  set128(target: V128, value: V128): void {
    this.#set(target, value);
  }
  #set<T extends I32 | I64 | V128>(target: T, value: T): T {
    if (target.local === undefined) throw new Error("only a local can be assigned to");
    this.#code.push(...value.code, 0x21, ...unsignedLeb(target.local));
    return target;
  }

  #store(address: I32, value: readonly number[], instruction: readonly number[], offset: number): void {
    this.#code.push(...address.code, ...value, ...instruction, ...memoryOperands(offset));
  }
  /** Stores the lower 8 bits. */
  store8(address: I32, value: I32Like, offset = 0): void {
    this.#store(address, i32(value).code, [0x3a], offset);
  }
  /** Stores the lower 16 bits. */
  store16(address: I32, value: I32Like, offset = 0): void {
    this.#store(address, i32(value).code, [0x3b], offset);
  }
  /** Stores 32 bits. */
  store32(address: I32, value: I32Like, offset = 0): void {
    this.#store(address, i32(value).code, [0x36], offset);
  }
  /** Stores 128 bits. */
  store128(address: I32, value: V128, offset = 0): void {
    this.#store(address, value.code, simd(0x0b), offset);
  }
  /** Stores the lower 64 bits of 128. */
  storeLow64(address: I32, value: V128, offset = 0): void {
    this.#store(address, value.code, simd(0x5b), offset);
    this.#code.push(0);
  }

  /** Stores the upper 64 bits of 128. */
  storeHigh64(address: I32, value: V128, offset = 0): void {
    this.#store(address, value.code, simd(0x5b), offset);
    this.#code.push(1);
  }

  #nested(opening: readonly number[], body: () => void): void {
    this.#code.push(...opening);
    this.#depth++;
    body();
    this.#depth--;
    this.#code.push(0x0b);
  }
  /** Runs `yes` where the condition is not 0, else `no`. */
  if(condition: I32, yes: () => void, no?: () => void): void {
    this.#nested([...condition.code, 0x04, 0x40], () => {
      yes();
      if (no === undefined) return;
      this.#code.push(0x05);
      no();
    });
  }
  /** Repeats while the condition is not 0, which is looked at before each round. */
  while(condition: () => I32, body: (end: Label) => void): void {
    this.#nested([0x02, 0x40], () => {
      const end = { depth: this.#depth };
      this.#nested([0x03, 0x40], () => {
        this.#code.push(...condition().code, 0x45, 0x0d, 1);
        body(end);
        this.#code.push(0x0c, 0);
      });
    });
  }
  /** Counts from one number up to, and without, another. */
  for(from: I32Like, to: I32Like, body: (index: I32) => void, step: I32Like = 1): void {
    const index = this.i32(from);
    this.while(() => index.lt(to), () => {
      body(index);
      this.set(index, index.add(step));
    });
  }
  /** Goes on behind the loop that gave the label, where the condition is not 0. */
  leave(end: Label, condition: I32): void {
    this.#code.push(...condition.code, 0x0d, ...unsignedLeb(this.#depth - end.depth));
  }
  /** Ends the function with a result. */
  return(value: I32Like): void {
    this.#code.push(...i32(value).code, 0x0f);
  }
  /** The result of another function. */
  call(callee: Callee, ...given: readonly I32Like[]): I32 {
    return new I32([...given.flatMap((value) => i32(value).code), 0x10, ...unsignedLeb(callee.index)]);
  }

  /** The function's entry in the code section. It ends with the result 0 unless it has returned before. */
  body(): number[] {
    const locals = this.#locals.flatMap((type) => [1, typeCodes[type]]);
    const bytes = [...unsignedLeb(this.#locals.length), ...locals, ...this.#code, ...i32(0).code, 0x0b];
    return [...unsignedLeb(bytes.length), ...bytes];
  }
}

/** A module of functions over one memory, which it exports as `memory`. */
export class WasmModule {
  readonly #functions: { readonly name: string; readonly written: WasmFunction }[] = [];

  /** Adds a function of as many parameters as `write` takes behind its first; it is exported under the name. */
  add(name: string, write: (f: WasmFunction, ...parameters: I32[]) => void): Callee {
    const written = new WasmFunction(write.length - 1);
    const parameters = Array.from(
      { length: written.parameters },
      (_, i) => new I32([0x20, ...unsignedLeb(i)], i),
    );
    write(written, ...parameters);
    this.#functions.push({ name, written });
    return { index: this.#functions.length - 1 };
  }

  /** The module's bytes, with a memory of `pages` (64 KiB each) to begin with. */
  bytes(pages: number): Uint8Array<ArrayBuffer> {
    const all = this.#functions.map(({ written }) => written);
    const text = (name: string) => [...unsignedLeb(name.length), ...new TextEncoder().encode(name)];
    const types = all.map(({ parameters }) => [
      0x60,
      ...unsignedLeb(parameters),
      ...Array<number>(parameters).fill(typeCodes.i32),
      1,
      typeCodes.i32,
    ]);
    const names = this.#functions.map(({ name }, i) => [...text(name), 0, ...unsignedLeb(i)]);
    return new Uint8Array([
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, types),
      ...section(3, all.map((_, i) => unsignedLeb(i))),
      ...section(5, [[0, ...unsignedLeb(pages)]]),
      ...section(7, [[...text("memory"), 2, 0], ...names]),
      ...section(10, all.map((written) => written.body())),
    ]);
  }
}

function section(id: number, items: readonly (readonly number[])[]): number[] {
  const bytes = [...unsignedLeb(items.length), ...items.flat()];
  return [id, ...unsignedLeb(bytes.length), ...bytes];
}
