/**
 * Bicubic resizing in WebAssembly SIMD, with the very sums of `resize_definition.ts`: one kernel mixes rows into rows,
 * another transposes, so that columns can be mixed as rows. Seen as a matrix of bytes, an image of c channels becomes by
 * transposing c × width rows, where the taps of an output pixel are c rows apart; channels need no further care.
 *
 * A weight w of 23 bits is split into w = 65536 × high + low with signed 16-bit parts, so that one instruction
 * multiplies eight bytes and adds neighbours up; 65536 × Σ high + Σ low is Σ w modulo 2^32, and the sum fits. Weights
 * lie in pairs of neighbouring taps: two low parts, two high parts. An odd number of taps is filled up with a zero weight,
 * so bytes behind the last row are read and do not count.
 */
import type { WasmFunction, WasmModule } from "../util/wasm/module.ts";
import { type Half, type I32, type V128, v128, v128Of32 } from "../util/wasm/values.ts";
import { FRACTION_BITS, HALF } from "./resize_weights.ts";

const zeros = v128(Array(16).fill(0));
const halves: readonly Half[] = ["low", "high"];

/** Sixteen bytes of an output row; moves on `input` and `weight`. */
function mixColumns(f: WasmFunction, input: I32, stride: I32, weight: I32, weightsEnd: I32): V128 {
  const sums = [0, 1, 2, 3].map(() => ({ low: f.v128(v128Of32(HALF)), high: f.v128(zeros) }));
  f.while(() => weight.lt(weightsEnd), () => {
    const [above, below] = [input, input.add(stride)].map((row) => f.v128(row.load128()));
    const low = f.v128(weight.load32Splat()), high = f.v128(weight.load32Splat(4));
    const both = halves.map((half) => f.v128(above.interleave8(below, half)));
    both.flatMap((half) => [half.extendLow8U(), half.extendHigh8U()]).forEach((pairs, i) => {
      const values = f.v128(pairs), sum = sums[i];
      f.set128(sum.low, sum.low.add32(values.dot16(low)));
      f.set128(sum.high, sum.high.add32(values.dot16(high)));
    });
    f.set(input, input.add(stride.shl(1)));
    f.set(weight, weight.add(8));
  });
  const [a, b, c, d] = sums.map(({ low, high }) => low.add32(high.shl32(16)).shr32(FRACTION_BITS));
  return a.narrow32(b).narrow16U(c.narrow32(d));
}

/**
 * `mixRows`: rows of `length` bytes become `height` rows, `toStride` apart, sixteen columns at a time: up to 15 bytes
 * behind each row are overwritten. `first` holds the offset in bytes of each output row's first tap, and its taps lie
 * `stride` apart; `weights` holds so many `pairs` for each output row.
 */
function writeRowMixer(module: WasmModule): void {
  // deno-fmt-ignore
  module.add("mixRows", (f, from: I32, stride: I32, to: I32, toStride: I32, length: I32, height: I32, first: I32, weights: I32, pairs: I32) => {
    f.for(0, height, () => {
      const column = f.i32(from.add(first.load32())), out = f.i32(to);
      const end = f.i32(to.add(length));
      const weightsEnd = f.i32(weights.add(pairs.shl(3)));
      f.while(() => out.lt(end), () => {
        f.store128(out, mixColumns(f, f.i32(column), stride, f.i32(weights), weightsEnd));
        f.set(out, out.add(16));
        f.set(column, column.add(16));
      });
      f.set(to, to.add(toStride));
      f.set(weights, weightsEnd);
      f.set(first, first.add(4));
    });
  });
}

/** Sixteen vectors of sixteen bytes, transposed: four rounds of interleaving each with the eighth behind it. */
function transposed(f: WasmFunction, rows: readonly V128[]): V128[] {
  let now = [...rows];
  for (let round = 0; round < 4; round++) {
    now = now.slice(0, 8).flatMap((row, i) =>
      halves.map((half) => f.v128(row.interleave8(now[i + 8], half)))
    );
  }
  return now;
}

/**
 * `transpose`: bytes [rows, columns], rows `stride` apart, become [columns, rows], rows `toStride` apart; in blocks of
 * 16 × 16, so that up to 15 rows and columns more are read and written.
 */
function writeTransposer(module: WasmModule): void {
  // deno-fmt-ignore
  module.add("transpose", (f, from: I32, stride: I32, rows: I32, columns: I32, to: I32, toStride: I32) => {
    f.for(0, rows, () => {
      const input = f.i32(from), out = f.i32(to);
      f.for(0, columns, () => {
        const read = f.i32(input);
        const block = transposed(f, Array.from({ length: 16 }, () => {
          const row = f.v128(read.load128());
          f.set(read, read.add(stride));
          return row;
        }));
        for (const row of block) {
          f.store128(out, row);
          f.set(out, out.add(toStride));
        }
        f.set(input, input.add(16));
      }, 16);
      f.set(from, from.add(stride.shl(4)));
      f.set(to, to.add(16));
    }, 16);
  });
}

/** Adds `mixRows` and `transpose` to a module. */
export function addResizeKernels(module: WasmModule): void {
  writeRowMixer(module);
  writeTransposer(module);
}
