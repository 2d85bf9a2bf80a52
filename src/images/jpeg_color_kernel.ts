/**
 * From the samples of a JPEG to RGB, as WebAssembly SIMD, with the integers of libjpeg: "fancy" upsampling of halved
 * colour (triangle filter, 3 : 1) and the conversion of YCbCr by 16-bit fixed point.
 */
import type { WasmFunction, WasmModule } from "../util/wasm/module.ts";
import { type I32, type V128, v128Of16, v128Of32 } from "../util/wasm/values.ts";

/** Pixels that are made at a time. */
const RUN = 16;

function fixed16(value: number): number {
  return Math.round(value * 65536);
}

/**
 * What of Cb and Cr goes into each colour beyond whole multiples, which are added apart, so that factors fit into
 * signed 16 bits: 1.402 = 1 + 0.402, 1.772 = 2 − 0.228, −0.71414 = −1 + 0.28586.
 */
const factors = {
  red: [0, fixed16(1.402) - 65536],
  green: [-fixed16(0.34414), 65536 - fixed16(0.71414)],
  blue: [fixed16(1.772) - 131072, 0],
} as const;

/** Eight pixels' share of a colour: products of Cb and Cr, rounded. */
function share(halves: readonly V128[], factor: readonly [number, number]): V128 {
  const [low, high] = halves.map((half) =>
    half.dot16(v128Of16(...factor)).add32(v128Of32(1 << 15)).shr32(16)
  );
  return low.narrow32(high);
}

/** Red, green and blue of eight pixels, 16 bits each and not yet limited. */
function colors(f: WasmFunction, y: V128, cb: V128, cr: V128): [V128, V128, V128] {
  const halves = (["low", "high"] as const).map((half) => f.v128(cb.interleave16(cr, half)));
  return [
    f.v128(y.add16(cr).add16(share(halves, factors.red))),
    f.v128(y.sub16(cr).add16(share(halves, factors.green))),
    f.v128(y.add16(cb.shl16(1)).add16(share(halves, factors.blue))),
  ];
}

/** Stores sixteen pixels of three bytes. */
function storePixels(f: WasmFunction, to: I32, [red, green, blue]: readonly V128[]): void {
  for (let part = 0; part < 3; part++) {
    const places = Array.from({ length: 16 }, (_, i) => part * 16 + i);
    const redGreen = red.shuffle(green, places.map((at) => (at % 3 === 1 ? 16 : 0) + Math.floor(at / 3)));
    const lanes = places.map((at, i) => (at % 3 === 2 ? 16 + Math.floor(at / 3) : i));
    f.store128(to, redGreen.shuffle(blue, lanes), part * 16);
  }
}

/** Sixteen pixels from sixteen samples of each component. */
function convert(f: WasmFunction, to: I32, y: V128, cb: V128, cr: V128): void {
  const center = v128Of16(-128);
  const low = colors(
    f,
    y.extendLow8U(),
    f.v128(cb.extendLow8U().add16(center)),
    f.v128(cr.extendLow8U().add16(center)),
  );
  const high = colors(
    f,
    y.extendHigh8U(),
    f.v128(cb.extendHigh8U().add16(center)),
    f.v128(cr.extendHigh8U().add16(center)),
  );
  storePixels(f, to, low.map((eight, i) => f.v128(eight.narrow16U(high[i]))));
}

/** Three times a vector of 16-bit lanes. */
function thrice(eight: V128): V128 {
  return eight.add16(eight.shl16(1));
}

/** Eight 16-bit values and their neighbours to the left and to the right. */
type Neighbours = readonly [left: V128, here: V128, right: V128];

function load(f: WasmFunction, at: I32): Neighbours {
  return [f.v128(at.sub(1).load8x8U()), f.v128(at.load8x8U()), f.v128(at.load8x8U(1))];
}

/** Sixteen samples from eight: each three parts of the nearer value and one of the farther. */
function spread(
  f: WasmFunction,
  values: Neighbours,
  roundings: readonly [number, number],
  shift: number,
): V128 {
  const [left, here, right] = values;
  const near = f.v128(thrice(here));
  const even = near.add16(left).add16(v128Of16(roundings[0])).shrU16(shift);
  const odd = near.add16(right).add16(v128Of16(roundings[1])).shrU16(shift);
  return f.v128(even.or(odd.shl16(8)));
}

/** How the colour samples around a run of sixteen pixels become sixteen. `at` is in the nearer row, `other` in the other. */
type Upsample = (f: WasmFunction, at: I32, other: I32) => V128;

const upsamplings: Readonly<Record<string, Upsample>> = {
  whole: (f, at) => f.v128(at.load128()),
  halfWidth: (f, at) => spread(f, load(f, at), [1, 2], 2),
  half: (f, at, other) => {
    const near = load(f, at), far = load(f, other);
    const sums = near.map((eight, i) => f.v128(thrice(eight).add16(far[i])));
    return spread(f, [sums[0], sums[1], sums[2]], [8, 7], 4);
  },
};

/**
 * `whole`, `halfWidth` and `half`, by how the colour is sampled: rows `top` to `bottom` of an image become RGB, without
 * gaps, at `to`; up to 45 bytes behind are written. The planes' addresses are those of row 0 at the first column wanted;
 * the column must be even, and halved colour must have a neighbour on either side. `lastRow` is that of the colour.
 */
export function addColorKernels(module: WasmModule): void {
  for (const [name, upsample] of Object.entries(upsamplings)) {
    const isHalfWide = name !== "whole", isHalfHigh = name === "half";
    // deno-fmt-ignore
    module.add(name, (f, y: I32, yStride: I32, cb: I32, cr: I32, stride: I32, to: I32, width: I32, top: I32, bottom: I32, lastRow: I32) => {
      f.for(top, bottom, (row) => {
        const near = f.i32(isHalfHigh ? row.shrU(1) : row);
        const far = f.i32(isHalfHigh ? near.sub(1).add(row.and(1).shl(1)) : near);
        f.set(far, far.lt(0).select(0, far));
        f.set(far, far.gt(lastRow).select(lastRow, far));
        const luma = f.i32(y.add(row.mul(yStride)));
        const nearAt = f.i32(near.mul(stride)), farAt = f.i32(far.mul(stride));
        const out = f.i32(to);
        f.set(to, to.add(width.mul(3)));
        f.while(() => out.lt(to), () => {
          const [blue, red] = [cb, cr].map((plane) => upsample(f, f.i32(plane.add(nearAt)), f.i32(plane.add(farAt))));
          convert(f, out, f.v128(luma.load128()), blue, red);
          f.set(luma, luma.add(RUN));
          const step = isHalfWide ? RUN / 2 : RUN;
          f.set(nearAt, nearAt.add(step));
          f.set(farAt, farAt.add(step));
          f.set(out, out.add(RUN * 3));
        });
      });
    });
  }
}
