/**
 * The entropy-coded part of baseline JPEGs (ITU-T T.81, annex F.2) as WebAssembly. It is strict: what libjpeg would warn
 * of ends the function, and libjpeg itself has to look at the file.
 */
import type { Callee, WasmFunction, WasmModule } from "../util/wasm/module.ts";
import { type I32, i32, type I64, i64, v128 } from "../util/wasm/values.ts";
import {
  BLOCK_BYTES,
  BlockField,
  BLOCKS,
  COEFFICIENTS,
  LONG_CODES,
  LOOKUP_BITS,
  REGION,
  RegionField,
  STOPPED_AT,
  SYMBOLS,
  ZIGZAG,
} from "./jpeg_memory.ts";

const SYMBOL_OF_16_ZEROS = 0xf0;
const zeros = v128(Array(16).fill(0));

/**
 * `unstuff(from, end, to)`: copies entropy-coded bytes without the zeros stuffed behind 0xff, up to a marker, whose
 * address goes to `STOPPED_AT` (`end` when there is none). Each four bytes are turned round, so that a load gives them as
 * the format has them, the first bit on top. Up to 31 bytes behind are written. Returns how many bytes there are.
 */
export function addUnstuff(module: WasmModule): void {
  module.add("unstuff", (f, from: I32, end: I32, to: I32) => {
    const start = f.i32(to), goesOn = f.i32(1);
    f.while(() => from.lt(end).and(goesOn), () => {
      const sixteen = f.v128(from.load128());
      f.if(
        from.add(16).gt(end).or(sixteen.eq8(v128(Array(16).fill(0xff))).any()),
        () => copyByte(f, from, end, to, goesOn),
        () => {
          f.store128(to, sixteen);
          f.set(from, from.add(16));
          f.set(to, to.add(16));
        },
      );
    });
    f.store32(i32(STOPPED_AT), from);
    f.for(start, to, (word) => {
      const turned = [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12];
      f.store128(word, word.load128().shuffle(zeros, turned));
    }, 16);
    f.return(to.sub(start));
  });
}

function copyByte(f: WasmFunction, from: I32, end: I32, to: I32, goesOn: I32): void {
  const byte = f.i32(from.loadU8());
  const isMarker = byte.eq(0xff).and(from.add(1).ge(end).or(from.loadU8(1).ne(0)));
  f.set(goesOn, isMarker.not());
  f.if(goesOn, () => {
    f.store8(to, byte);
    f.set(to, to.add(1));
    f.set(from, from.add(byte.eq(0xff).add(1)));
  });
}

/** The bits that come next: on top of `bits`, `left` of them, then the words at `at`. */
class BitReader {
  readonly #f: WasmFunction;
  readonly #bits: I64;
  readonly left: I32;
  readonly at: I32;

  constructor(f: WasmFunction, from: I32) {
    this.#f = f;
    this.#bits = f.i64(i64(0));
    this.left = f.i32(0);
    this.at = f.i32(from);
  }

  /** Sees to it that there are 33 bits: a code and what follows it. */
  refill(): void {
    const f = this.#f;
    f.if(this.left.le(32), () => {
      const word = this.at.load32().toI64U().shl(i32(32).sub(this.left).toI64U());
      f.set64(this.#bits, this.#bits.or(word));
      f.set(this.left, this.left.add(32));
      f.set(this.at, this.at.add(4));
    });
  }

  /** The next bits as a number, at least one. */
  peek(count: I32 | number): I32 {
    return this.#bits.shrU(i32(64).sub(count).toI64U()).toI32();
  }

  skip(count: I32): void {
    this.#f.set64(this.#bits, this.#bits.shl(count.toI64U()));
    this.#f.set(this.left, this.left.sub(count));
  }

  /** Takes a code; its entry (see `entryOf` in `jpeg_tables.ts`). Ends the function with −1 when there is no such code. */
  symbol(table: I32): I32 {
    const f = this.#f;
    const entry = f.i32(table.add(this.peek(LOOKUP_BITS).shl(2)).load32());
    f.if(entry.not(), () => f.set(entry, this.#longCode(table)));
    this.skip(f.i32(entry.and(255)));
    return entry;
  }

  #longCode(table: I32): I32 {
    const f = this.#f;
    const code = f.i32(this.peek(16)), length = f.i32(LOOKUP_BITS + 1), limits = f.i32(table);
    f.while(() => code.ge(limits.load32(LONG_CODES)), () => {
      f.set(length, length.add(1));
      f.set(limits, limits.add(8));
      f.if(length.gt(16), () => f.return(-1));
    });
    const place = code.shrU(i32(16).sub(length)).add(limits.load32(LONG_CODES + 4));
    const symbol = f.i32(table.add(place).loadU8(SYMBOLS));
    const size = f.i32(symbol.and(15));
    const run = size.or(symbol.eq(SYMBOL_OF_16_ZEROS)).select(symbol.shrU(4), 0);
    return length.or(run.shl(8)).or(size.shl(12));
  }

  /** The coefficient of an entry, with bits taken for it where it did not lie in the lookup. */
  value(entry: I32): I32 {
    const f = this.#f;
    const value = f.i32(entry.shr(16)), size = f.i32(entry.shrU(12).and(15));
    f.if(size, () => {
      f.set(value, this.peek(size));
      this.skip(size);
      const isNegative = value.lt(i32(1).shl(size.sub(1)));
      f.set(value, value.add(isNegative.select(i32(1).sub(i32(1).shl(size)), 0)));
    });
    return value;
  }
}

/** Decodes one block to `COEFFICIENTS`; where its zigzag order ended: 1 when it has a direct-current value only. */
function readBlock(f: WasmFunction, bits: BitReader, block: I32): I32 {
  bits.refill();
  const difference = bits.value(bits.symbol(f.i32(block.load32(BlockField.dcTable))));
  const prediction = f.i32(block.load32(BlockField.prediction));
  const direct = f.i32(prediction.load32().add(difference));
  f.store32(prediction, direct);
  f.store16(i32(COEFFICIENTS), direct);
  const table = f.i32(block.load32(BlockField.acTable));
  const k = f.i32(1);
  f.while(() => k.lt(64), (end) => {
    bits.refill();
    const entry = bits.symbol(table);
    f.leave(end, entry.shrU(8).not());
    f.set(k, k.add(entry.shrU(8).and(15)));
    // After a run of 15 without a coefficient this stores the sixteenth zero.
    f.store16(k.loadU8(ZIGZAG), bits.value(entry), COEFFICIENTS);
    f.set(k, k.add(1));
  });
  return k;
}

/**
 * `decodeMcus(x, y, count, from, limit)`: decodes so many MCUs, the first at column x and row y, from the words at
 * `from`; `transform(quantiser, to, stride)` or `fill` (blocks without alternating current) then makes samples of the
 * blocks within the region. Returns the bits that were taken, or −1 for a code that is none and for data that end too
 * early by far (behind `limit`).
 */
export function addDecodeMcus(module: WasmModule, transform: Callee, fill: Callee): void {
  module.add("decodeMcus", (f, x: I32, y: I32, count: I32, from: I32, limit: I32) => {
    const region = i32(REGION);
    const [across, left, right, top, bottom, blocksEnd] = [
      RegionField.across,
      RegionField.left,
      RegionField.right,
      RegionField.top,
      RegionField.bottom,
      RegionField.blocksEnd,
    ].map((field) => f.i32(region.load32(field)));
    const bits = new BitReader(f, from);
    const ignored = f.i32(0);
    f.for(0, count, () => {
      const isInside = f.i32(x.ge(left).and(x.lt(right)).and(y.ge(top)).and(y.lt(bottom)));
      f.for(BLOCKS, blocksEnd, (block) => {
        const end = readBlock(f, bits, block);
        f.if(isInside, () => {
          const down = y.mul(block.load32(BlockField.stepDown));
          const to = f.i32(
            block.load32(BlockField.origin).add(down).add(x.mul(block.load32(BlockField.stepAcross))),
          );
          const given = [block.load32(BlockField.quantiser), to, block.load32(BlockField.stride)];
          f.if(
            end.eq(1),
            () => f.set(ignored, f.call(fill, ...given)),
            () => f.set(ignored, f.call(transform, ...given)),
          );
        });
        f.if(end.ne(1), () => {
          for (let i = 0; i < 8; i++) f.store128(i32(COEFFICIENTS), zeros, i * 16);
        });
      }, BLOCK_BYTES);
      f.if(bits.at.gt(limit), () => f.return(-1));
      f.set(x, x.add(1));
      f.if(x.ge(across), () => {
        f.set(x, 0);
        f.set(y, y.add(1));
      });
    });
    f.return(bits.at.sub(from).shl(3).sub(bits.left));
  });
}
