/**
 * The state of a pickle that is being read: bytes, stack, memo. Format: Python's `pickletools.py`. The machine builds plain
 * data only; what a class or function of the pickle means, its host says (`torch_globals.ts`).
 */

import type { TorchErrors } from "./torch_errors.ts";
import { TorchRecord, type TorchValue } from "./torch_value.ts";

/** Most instructions of one pickle; a training state of a thousand tensors has some 30,000. Sets hold no more than 2^24. */
export const MAX_INSTRUCTIONS = 16_000_000;
/** Most lists, tuples, dictionaries and objects of one pickle. */
export const MAX_CONTAINERS = 2_000_000;
/** Most bytes of an integer; the largest that PyTorch writes, its magic number, has 10. */
const MAX_INTEGER_BYTES = 1024;
/** Longest line: the name of a class, or a number in digits. */
const MAX_LINE = 1024;

/** A class or function that a pickle may name. */
export class PickleGlobal extends TorchRecord {
  /** With its module and name, and what calling it gives; without, it may be named but not called. */
  constructor(name: string, readonly call?: (args: TorchValue[], machine: PickleMachine) => TorchValue) {
    super(name);
  }
}

/** Gives a pickle's names their meaning. */
export interface PickleHost {
  /** Makes the errors. */
  readonly errors: TorchErrors;
  /** The class, function or constant; throws where it is none of the known ones. */
  global(module: string, name: string): TorchValue;
  /** What lies outside of the pickle under this name. */
  persistent(id: TorchValue): TorchValue;
  /** Gives an object its state, or throws where it takes none. */
  build(object: TorchValue, state: TorchValue, machine: PickleMachine): void;
}

/** The bytes end inside the pickle. The caller may have more of them. */
export class PickleCutShort extends Error {}

/** The state of one pickle. */
export class PickleMachine {
  /** Whether the pickle has ended. */
  stopped = false;
  /** Lists, which may grow; other arrays are tuples. */
  readonly lists = new WeakSet<TorchValue[]>();
  #stack: TorchValue[] = [];
  #marks: number[] = [];
  #memo: TorchValue[] = [];
  #instructions = 0;
  #containers = 0;
  #budget: number;
  readonly #view: DataView;

  /** A machine that reads `bytes` from `position` on. */
  constructor(readonly bytes: Uint8Array, public position: number, readonly host: PickleHost) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#budget = 2 ** 26 + 16 * bytes.length;
  }

  /** The error that the pickle is not valid. */
  malformed(what: string): Error {
    return this.host.errors.malformed(`its pickle ${what} at byte ${this.position}`);
  }

  // bytes

  /** The next instruction. */
  instruction(): number {
    if (++this.#instructions > MAX_INSTRUCTIONS) {
      throw this.malformed(`has more than ${MAX_INSTRUCTIONS} instructions`);
    }
    return this.bytes[this.#advance(1)];
  }

  /** The next bytes, not copied. */
  take(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.bytes.subarray(start, start + length);
  }

  #advance(length: number): number {
    const start = this.position;
    if (length > this.bytes.length - start) throw new PickleCutShort();
    this.position += length;
    return start;
  }

  /** The next unsigned integer of 1, 2, 4 or 8 bytes. */
  unsigned(width: 1 | 2 | 4 | 8): number {
    const at = this.#advance(width);
    if (width === 1) return this.bytes[at];
    if (width === 2) return this.#view.getUint16(at, true);
    if (width === 4) return this.#view.getUint32(at, true);
    const value = this.#view.getBigUint64(at, true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.malformed(`has the impossible length ${value}`);
    return Number(value);
  }

  /** The next signed integer of 4 bytes. */
  signed(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }

  /** The next double, its most significant byte first. */
  double(): number {
    return this.#view.getFloat64(this.#advance(8), false);
  }

  /** The next integer of `length` bytes in two's complement. */
  integer(length: number): number | bigint {
    if (length > MAX_INTEGER_BYTES) throw this.malformed(`has an integer of ${length} bytes`);
    let value = 0n;
    const bytes = this.take(length);
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
    return smallest(length > 0 ? BigInt.asIntN(8 * length, value) : 0n);
  }

  /** The next bytes up to a line feed, as text. */
  line(): string {
    const end = this.bytes.indexOf(0x0a, this.position);
    if ((end < 0 ? this.bytes.length : end) - this.position > MAX_LINE) {
      throw this.malformed(`has a line of more than ${MAX_LINE} bytes`);
    }
    if (end < 0) throw new PickleCutShort();
    const text = this.text(end - this.position);
    this.position++;
    return text;
  }

  /** The next `length` bytes as UTF-8 text. */
  text(length: number): string {
    const bytes = this.take(length);
    const text = decodeText(bytes);
    if (text === null) throw this.malformed("has a string that is not UTF-8 text");
    return text;
  }

  // stack

  /** Puts a value on the stack. */
  push(value: TorchValue): void {
    this.#stack.push(value);
  }

  /** Puts a new container on the stack. */
  pushNew(value: TorchValue): void {
    if (++this.#containers > MAX_CONTAINERS) {
      throw this.malformed(`has more than ${MAX_CONTAINERS} containers`);
    }
    this.#stack.push(value);
  }

  /** Marks the place from which on values belong together. */
  mark(): void {
    this.#marks.push(this.#stack.length);
  }

  /** Takes the last value; not beyond a mark. */
  pop(): TorchValue {
    const value = this.top();
    this.#stack.pop();
    return value;
  }

  /** Drops the last value or mark. */
  drop(): void {
    if (this.#marks.at(-1) === this.#stack.length) this.#marks.pop();
    else this.pop();
  }

  /** The last value. */
  top(): TorchValue {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw this.malformed("takes from an empty stack");
    return this.#stack[this.#stack.length - 1];
  }

  /** Takes the values since the last mark. */
  popMarked(): TorchValue[] {
    const start = this.#marks.pop();
    if (start === undefined) throw this.malformed("has no mark");
    return this.#stack.splice(start);
  }

  /** The last value where nothing else is on the stack. */
  result(): TorchValue {
    const value = this.pop();
    if (this.#stack.length > 0 || this.#marks.length > 0) throw this.malformed("ends with values left over");
    return value;
  }

  // memo

  /** Remembers the last value under a number. */
  remember(index: number): void {
    if (index > MAX_INSTRUCTIONS) throw this.malformed(`remembers a value as number ${index}`);
    this.#memo[index] = this.top();
  }

  /** Remembers the last value under the next number. */
  rememberNext(): void {
    this.remember(this.#memo.length);
  }

  /** Puts a remembered value on the stack. */
  recall(index: number): void {
    const value = this.#memo[index];
    if (value === undefined) throw this.malformed(`recalls the unknown value ${index}`);
    this.push(value);
  }

  // values

  /** Pays for bytes that are not in the file, so that a small file cannot ask for large copies again and again. */
  charge(bytes: number): void {
    this.#budget -= bytes;
    if (this.#budget < 0) throw this.malformed("asks for far more memory than it has bytes");
  }

  /** A list with these elements. */
  list(elements: TorchValue[]): TorchValue[] {
    this.lists.add(elements);
    return elements;
  }

  /** Sets entries of a dictionary from keys and values in turn. */
  setItems(dictionary: Map<TorchValue, TorchValue>, flat: readonly TorchValue[]): void {
    if (flat.length % 2 !== 0) throw this.malformed("has a key without a value");
    for (let i = 0; i < flat.length; i += 2) {
      const key = flat[i];
      if (dictionary.has(key)) throw this.malformed(`has a dictionary with the same key twice`);
      if (!isHashable(key, this)) throw this.malformed("has a dictionary with a key that cannot be one");
      dictionary.set(key, flat[i + 1]);
    }
  }
}

function isHashable(key: TorchValue, { lists }: PickleMachine): boolean {
  if (Array.isArray(key)) return !lists.has(key);
  return !(key instanceof Map || key instanceof Set);
}

/** The text of UTF-8 bytes; null where they are none. */
export function decodeText(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The integer as a number where that is exact. */
export function smallest(value: bigint): number | bigint {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}
