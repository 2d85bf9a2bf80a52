/**
 * Typed expressions of WebAssembly: what stands on the right of an assignment in a function that
 * {@linkcode WasmFunction} writes. An expression is the code that leaves its value on the stack; using it twice
 * computes it twice, so what is needed twice belongs into a local.
 */
import { memoryOperands, signedLeb, simd } from "./encoding.ts";

/** A 32-bit integer, or a number that is written as one. */
export type I32Like = I32 | number;

/** Makes a constant of a number. */
export function i32(value: I32Like): I32 {
  return typeof value === "number" ? new I32([0x41, ...signedLeb(BigInt(value | 0))]) : value;
}

/** A 32-bit integer; comparisons give 0 or 1. The names are WebAssembly's, signed where nothing is said. */
export class I32 {
  /** The type. */
  readonly type = "i32";
  /** `code` leaves the value on the stack; `local` is the index of the local that this is, if it is one. */
  constructor(readonly code: readonly number[], readonly local?: number) {}

  #with(other: I32Like, instruction: number): I32 {
    return new I32([...this.code, ...i32(other).code, instruction]);
  }
  /** This + other. */
  add(other: I32Like): I32 {
    return this.#with(other, 0x6a);
  }
  /** This − other. */
  sub(other: I32Like): I32 {
    return this.#with(other, 0x6b);
  }
  /** This × other. */
  mul(other: I32Like): I32 {
    return this.#with(other, 0x6c);
  }
  /** Bits of both. */
  and(other: I32Like): I32 {
    return this.#with(other, 0x71);
  }
  /** Bits of either. */
  or(other: I32Like): I32 {
    return this.#with(other, 0x72);
  }
  /** Shifted to the left. */
  shl(bits: I32Like): I32 {
    return this.#with(bits, 0x74);
  }
  /** Shifted to the right, the sign kept. */
  shr(bits: I32Like): I32 {
    return this.#with(bits, 0x75);
  }
  /** Shifted to the right, filled with zeros. */
  shrU(bits: I32Like): I32 {
    return this.#with(bits, 0x76);
  }
  /** This = other. */
  eq(other: I32Like): I32 {
    return this.#with(other, 0x46);
  }
  /** This ≠ other. */
  ne(other: I32Like): I32 {
    return this.#with(other, 0x47);
  }
  /** This < other. */
  lt(other: I32Like): I32 {
    return this.#with(other, 0x48);
  }
  /** This > other. */
  gt(other: I32Like): I32 {
    return this.#with(other, 0x4a);
  }
  /** This ≤ other. */
  le(other: I32Like): I32 {
    return this.#with(other, 0x4c);
  }
  /** This ≥ other. */
  ge(other: I32Like): I32 {
    return this.#with(other, 0x4e);
  }
  /** 1 where this is 0, else 0. */
  not(): I32 {
    return new I32([...this.code, 0x45]);
  }
  /** `yes` where this is not 0, else `no`; both are computed. */
  select(yes: I32Like, no: I32Like): I32 {
    return new I32([...i32(yes).code, ...i32(no).code, ...this.code, 0x1b]);
  }
  /** As 64 bits, filled with zeros. */
  toI64U(): I64 {
    return new I64([...this.code, 0xad]);
  }

  #load(code: readonly number[], offset: number): number[] {
    return [...this.code, ...code, ...memoryOperands(offset)];
  }
  /** The byte at this address. */
  loadU8(offset = 0): I32 {
    return new I32(this.#load([0x2d], offset));
  }
  /** The signed 16 bits at this address. */
  load16(offset = 0): I32 {
    return new I32(this.#load([0x2e], offset));
  }
  /** The 32 bits at this address. */
  load32(offset = 0): I32 {
    return new I32(this.#load([0x28], offset));
  }
  /** The 16 bytes at this address. */
  load128(offset = 0): V128 {
    return new V128(this.#load(simd(0x00), offset));
  }
  /** The 8 bytes at this address, each widened to 16 bits by zeros. */
  load8x8U(offset = 0): V128 {
    return new V128(this.#load(simd(0x02), offset));
  }
  /** The 8 bytes at this address, and 8 zeros. */
  load64Zero(offset = 0): V128 {
    return new V128(this.#load(simd(0x5d), offset));
  }
  /** The 32 bits at this address, in all four lanes. */
  load32Splat(offset = 0): V128 {
    return new V128(this.#load(simd(0x09), offset));
  }
  /** The value in four lanes of 32 bits. */
  splat32(): V128 {
    return new V128([...this.code, ...simd(0x11)]);
  }
  /** The value in eight lanes of 16 bits. */
  splat16(): V128 {
    return new V128([...this.code, ...simd(0x10)]);
  }
}

/** A 64-bit integer: the few operations that a bit buffer needs. */
export class I64 {
  /** The type. */
  readonly type = "i64";
  /** As of {@linkcode I32}. */
  constructor(readonly code: readonly number[], readonly local?: number) {}

  /** Bits of either. */
  or(other: I64): I64 {
    return new I64([...this.code, ...other.code, 0x84]);
  }
  /** Shifted to the left. */
  shl(bits: I64): I64 {
    return new I64([...this.code, ...bits.code, 0x86]);
  }
  /** Shifted to the right, filled with zeros. */
  shrU(bits: I64): I64 {
    return new I64([...this.code, ...bits.code, 0x88]);
  }
  /** The lower 32 bits. */
  toI32(): I32 {
    return new I32([...this.code, 0xa7]);
  }
}

/** A 64-bit constant. */
export function i64(value: number | bigint): I64 {
  return new I64([0x42, ...signedLeb(BigInt.asIntN(64, BigInt(value)))]);
}

/** The lower or the upper eight bytes of a vector. */
export type Half = "low" | "high";

/** 128 bits: 16 lanes of 8, 8 of 16 or 4 of 32 bits, as the operation says. */
export class V128 {
  /** The type. */
  readonly type = "v128";
  /** As of {@linkcode I32}. */
  constructor(readonly code: readonly number[], readonly local?: number) {}

  #with(other: V128, instruction: number): V128 {
    return new V128([...this.code, ...other.code, ...simd(instruction)]);
  }
  #shifted(bits: number, instruction: number): V128 {
    return new V128([...this.code, ...i32(bits).code, ...simd(instruction)]);
  }
  #then(instruction: number): V128 {
    return new V128([...this.code, ...simd(instruction)]);
  }

  /** Sums of four 32-bit lanes. */
  add32(other: V128): V128 {
    return this.#with(other, 0xae);
  }
  /** Differences of four 32-bit lanes. */
  sub32(other: V128): V128 {
    return this.#with(other, 0xb1);
  }
  /** 32-bit lanes shifted to the left. */
  shl32(bits: number): V128 {
    return this.#shifted(bits, 0xab);
  }
  /** 32-bit lanes shifted to the right, the sign kept. */
  shr32(bits: number): V128 {
    return this.#shifted(bits, 0xac);
  }
  /** Products of eight signed 16-bit lanes, neighbours added up: four 32-bit lanes. */
  dot16(other: V128): V128 {
    return this.#with(other, 0xba);
  }
  /** Sums of eight 16-bit lanes. */
  add16(other: V128): V128 {
    return this.#with(other, 0x8e);
  }
  /** Differences of eight 16-bit lanes. */
  sub16(other: V128): V128 {
    return this.#with(other, 0x91);
  }
  /** Lower halves of the products of eight 16-bit lanes. */
  mul16(other: V128): V128 {
    return this.#with(other, 0x95);
  }
  /** 16-bit lanes shifted to the left. */
  shl16(bits: number): V128 {
    return this.#shifted(bits, 0x8b);
  }
  /** 16-bit lanes shifted to the right, filled with zeros. */
  shrU16(bits: number): V128 {
    return this.#shifted(bits, 0x8d);
  }
  /** Sums of sixteen 8-bit lanes, wrapped. */
  add8(other: V128): V128 {
    return this.#with(other, 0x6e);
  }
  /** Which of the sixteen 8-bit lanes are equal: all bits of them, else none. */
  eq8(other: V128): V128 {
    return this.#with(other, 0x23);
  }
  /** Bits of both. */
  and(other: V128): V128 {
    return this.#with(other, 0x4e);
  }
  /** Bits of either. */
  or(other: V128): V128 {
    return this.#with(other, 0x50);
  }
  /** 1 where any bit is set, else 0. */
  any(): I32 {
    return new I32([...this.code, ...simd(0x53)]);
  }
  /** The 32-bit lanes of this and of other in eight 16-bit lanes, limited to their signed range. */
  narrow32(other: V128): V128 {
    return this.#with(other, 0x85);
  }
  /** The 16-bit lanes of this and of other in sixteen 8-bit lanes, limited to 0 … 255. */
  narrow16U(other: V128): V128 {
    return this.#with(other, 0x66);
  }
  /** The 16-bit lanes of this and of other in sixteen 8-bit lanes, limited to −128 … 127. */
  narrow16(other: V128): V128 {
    return this.#with(other, 0x65);
  }
  /** The lower eight 8-bit lanes, widened to 16 bits by zeros. */
  extendLow8U(): V128 {
    return this.#then(0x89);
  }
  /** The upper eight 8-bit lanes, widened to 16 bits by zeros. */
  extendHigh8U(): V128 {
    return this.#then(0x8a);
  }
  /** Sixteen bytes picked from the 32 of this and other. */
  shuffle(other: V128, lanes: readonly number[]): V128 {
    return new V128([...this.code, ...other.code, ...simd(0x0d), ...lanes]);
  }
  /** 8-bit lanes of this and other by turns, of their lower or upper halves. */
  interleave8(other: V128, half: Half): V128 {
    return this.#interleave(other, half, 1);
  }
  /** 16-bit lanes of this and other by turns, of their lower or upper halves. */
  interleave16(other: V128, half: Half): V128 {
    return this.#interleave(other, half, 2);
  }
  #interleave(other: V128, half: Half, laneBytes: 1 | 2): V128 {
    const place = (i: number) => {
      const lane = Math.floor(i / laneBytes);
      return (half === "low" ? 0 : 8) + (lane >> 1) * laneBytes + i % laneBytes + (lane & 1) * 16;
    };
    return this.shuffle(other, Array.from({ length: 16 }, (_, i) => place(i)));
  }
  /** The lane of 32 bits. */
  lane32(lane: number): I32 {
    return new I32([...this.code, ...simd(0x1b), lane]);
  }
}

/** A constant of sixteen bytes. */
export function v128(bytes: readonly number[]): V128 {
  return new V128([...simd(0x0c), ...bytes]);
}

/** A constant of four 32-bit lanes, or of one number in all of them. */
export function v128Of32(...lanes: readonly number[]): V128 {
  const all = Int32Array.from({ length: 4 }, (_, i) => lanes[i % lanes.length]);
  return v128([...new Uint8Array(all.buffer)]);
}

/** A constant of eight 16-bit lanes, or of fewer numbers repeated. */
export function v128Of16(...lanes: readonly number[]): V128 {
  const all = Int16Array.from({ length: 8 }, (_, i) => lanes[i % lanes.length]);
  return v128([...new Uint8Array(all.buffer)]);
}
