/**
 * The inverse discrete cosine transform of libjpeg's "islow" as WebAssembly SIMD (Loeffler, Ligtenberg and Moschytz
 * 1989, with 13-bit constants): the same integers, since sums of products may be regrouped freely modulo 2^32.
 */
import type { Callee, WasmFunction, WasmModule } from "../util/wasm/module.ts";
import { type Half, type I32, i32, type V128, v128, v128Of16, v128Of32 } from "../util/wasm/values.ts";
import { COEFFICIENTS } from "./jpeg_memory.ts";

const CONSTANT_BITS = 13;
/** Bits that the values between the two passes have behind the point. */
const PASS_BITS = 2;
const ONE = 1 << CONSTANT_BITS;

function fixed(value: number): number {
  return Math.round(value * ONE);
}

/** Factors of the even part: how coefficients 2 and 6 go into the inner and the outer sums. */
const even = {
  inner: [fixed(0.541196100), fixed(0.541196100) - fixed(1.847759065)],
  outer: [fixed(0.541196100) + fixed(0.765366865), fixed(0.541196100)],
} as const;

/** Factors of the odd part: how coefficients 1, 3, 5, 7 go into the four sums, the algorithm's products multiplied out. */
const odd: readonly (readonly [one: number, three: number, five: number, seven: number])[] = oddFactors();

function oddFactors(): [number, number, number, number][] {
  const z1 = -fixed(0.899976223), z2 = -fixed(2.562915447), z5 = fixed(1.175875602);
  const z3 = z5 - fixed(1.961570560), z4 = z5 - fixed(0.390180644);
  return [
    [z1 + z5, z3, z5, fixed(0.298631336) + z1 + z3],
    [z4, z2 + z5, fixed(2.053119869) + z2 + z4, z5],
    [z5, fixed(3.072711026) + z2 + z3, z2 + z5, z3],
    [fixed(1.501321110) + z1 + z4, z5, z4, z1 + z5],
  ];
}

/** One dimension of the transform, four lines at a time: eight vectors of four sums of 32 bits, shifted and rounded. */
function transformHalf(f: WasmFunction, lines: readonly V128[], half: Half, shift: number): V128[] {
  const [p04, p26, p13, p57] = [[0, 4], [2, 6], [1, 3], [5, 7]].map(([a, b]) =>
    f.v128(lines[a].interleave16(lines[b], half))
  );
  const rounding = v128Of32(1 << (shift - 1));
  const sum = f.v128(p04.dot16(v128Of16(ONE, ONE)).add32(rounding));
  const difference = f.v128(p04.dot16(v128Of16(ONE, -ONE)).add32(rounding));
  const outer = f.v128(p26.dot16(v128Of16(...even.outer)));
  const inner = f.v128(p26.dot16(v128Of16(...even.inner)));
  const evens = [sum.add32(outer), difference.add32(inner), difference.sub32(inner), sum.sub32(outer)];
  const odds = odd.map(([one, three, five, seven]) =>
    p13.dot16(v128Of16(one, three)).add32(p57.dot16(v128Of16(five, seven)))
  );
  const out: V128[] = Array(8);
  for (let i = 0; i < 4; i++) {
    const e = f.v128(evens[i]), o = f.v128(odds[3 - i]);
    out[i] = f.v128(e.add32(o).shr32(shift));
    out[7 - i] = f.v128(e.sub32(o).shr32(shift));
  }
  return out;
}

/** One dimension of the transform of eight lines, one per 16-bit lane. */
function transformLines(f: WasmFunction, lines: readonly V128[], shift: number): V128[] {
  const low = transformHalf(f, lines, "low", shift), high = transformHalf(f, lines, "high", shift);
  return low.map((four, i) => f.v128(four.narrow32(high[i])));
}

/** An 8 × 8 matrix of 16-bit lanes, transposed: three rounds of pairing each vector with the fourth behind it. */
function transposed(f: WasmFunction, rows: readonly V128[]): V128[] {
  let now = [...rows];
  for (let round = 0; round < 3; round++) {
    now = now.slice(0, 4).flatMap((row, i) =>
      (["low", "high"] as const).map((half) => f.v128(row.interleave16(now[i + 4], half)))
    );
  }
  return now;
}

/** `transform(quantiser, to, stride)`: makes 8 × 8 samples of `COEFFICIENTS`, rows `stride` bytes apart. */
export function addTransform(module: WasmModule): Callee {
  return module.add("transform", (f, quantiser: I32, to: I32, stride: I32) => {
    const rows = Array.from(
      { length: 8 },
      (_, i) => f.v128(i32(COEFFICIENTS).load128(i * 16).mul16(quantiser.load128(i * 16))),
    );
    const columns = transposed(f, transformLines(f, rows, CONSTANT_BITS - PASS_BITS));
    const samples = transposed(f, transformLines(f, columns, CONSTANT_BITS + PASS_BITS + 3));
    for (let i = 0; i < 8; i += 2) {
      const two = f.v128(samples[i].narrow16(samples[i + 1]).add8(v128(Array(16).fill(128))));
      f.storeLow64(to, two);
      f.storeHigh64(to.add(stride), two);
      f.set(to, to.add(stride.shl(1)));
    }
  });
}

/** `fill(quantiser, to, stride)`: as `transform` where the direct-current coefficient is the only one. */
export function addFill(module: WasmModule): Callee {
  return module.add("fill", (f, quantiser: I32, to: I32, stride: I32) => {
    const direct = i32(COEFFICIENTS).load16().mul(quantiser.load16()).shl(16).shr(16);
    const level = f.v128(direct.shl(PASS_BITS).add(1 << (PASS_BITS + 2)).shr(PASS_BITS + 3).splat16());
    const eight = f.v128(level.narrow16(level).add8(v128(Array(16).fill(128))));
    for (let i = 0; i < 8; i++) {
      f.storeLow64(to, eight);
      f.set(to, to.add(stride));
    }
  });
}
