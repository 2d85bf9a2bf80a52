/** Tensors whose elements lie apart: transposed, cut out of larger ones, repeated. */

import { type ByteSource, readExactly } from "./byte_source.ts";

/** One dimension on its way from where the elements lie to where they belong, row by row. */
interface Dimension {
  readonly size: number;
  /** Distance of neighbours in the source, in elements. */
  readonly stride: number;
  /** Distance of neighbours in the result, in elements. */
  readonly step: number;
}

/** Elements of any type as bits: copying floats would not keep every NaN. */
type Bits = Uint8Array | Uint16Array | Uint32Array | BigUint64Array;

/** Bytes that are read at once, wanted or not, because they cost no more than the call. */
const NEAR_BYTES = 64 * 2 ** 10;
/** Most bytes that are read at once where the wanted ones lie dense. */
const CHUNK_BYTES = 8 * 2 ** 20;
/** Bytes read for each wanted one, at most, where they lie dense. */
const DENSE = 4;

/** The strides of a tensor that lies row by row. */
export function rowStrides(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let stride = 1;
  for (const size of shape.toReversed()) {
    strides.unshift(stride);
    stride *= Math.max(size, 1);
  }
  return strides;
}

/** The last element of a view, counted from its first one; `NaN` or infinite where no file can hold it. */
export function lastElement(shape: readonly number[], strides: readonly number[]): number {
  return shape.reduce((last, size, i) => last + (size > 1 ? (size - 1) * strides[i] : 0), 0);
}

/** The dimensions without those of one element, neighbours joined where they are one run in source and result. */
function dimensionsOf(shape: readonly number[], strides: readonly number[]): Dimension[] {
  const steps = rowStrides(shape);
  const dimensions: Dimension[] = [];
  shape.forEach((size, i) => {
    if (size === 1) return;
    const next = { size, stride: strides[i], step: steps[i] };
    const last = dimensions.at(-1);
    if (last?.stride === size * next.stride && last.step === size * next.step) {
      dimensions[dimensions.length - 1] = { ...next, size: last.size * size };
    } else {
      dimensions.push(next);
    }
  });
  return dimensions;
}

function bitsOf(bytes: Uint8Array<ArrayBuffer>, itemSize: number): Bits {
  const count = Math.floor(bytes.length / itemSize);
  if (itemSize === 8) return new BigUint64Array(bytes.buffer, bytes.byteOffset, count);
  if (itemSize === 4) return new Uint32Array(bytes.buffer, bytes.byteOffset, count);
  if (itemSize === 2) return new Uint16Array(bytes.buffer, bytes.byteOffset, count);
  return bytes;
}

/** Copies elements of a piece of the source, which starts at its first one, to their places. */
function copy<B extends Bits>(source: B, target: B, at: number, dimensions: readonly Dimension[]): void {
  const ordered = dimensions.toSorted((a, b) => b.step - a.step);
  const inner = ordered.pop() ?? { size: 1, stride: 0, step: 0 };
  const index = ordered.map(() => 0);
  let from = 0;
  let to = at;
  for (;;) {
    for (let i = 0; i < inner.size; i++) target[to + i * inner.step] = source[from + i * inner.stride];
    let d = ordered.length - 1;
    for (; d >= 0; d--) {
      const { size, stride, step } = ordered[d];
      from += stride;
      to += step;
      if (++index[d] < size) break;
      from -= size * stride;
      to -= size * step;
      index[d] = 0;
    }
    if (d < 0) return;
  }
}

/** Elements from the first to the last one. */
const spanOf = (dimensions: readonly Dimension[]) =>
  dimensions.reduce((span, { size, stride }) => span + (size - 1) * stride, 1);

/** Elements that are wanted, repeated ones counted once. */
const wantedOf = (dimensions: readonly Dimension[]) =>
  dimensions.reduce((count, { size, stride }) => (stride > 0 ? count * size : count), 1);

/** Reads the parts of a view one after the other, so that little more than the wanted bytes is read and held. */
class PieceReader {
  readonly #target: Bits;

  constructor(
    private readonly source: ByteSource,
    private readonly offset: number,
    private readonly itemSize: number,
    result: Uint8Array<ArrayBuffer>,
  ) {
    this.#target = bitsOf(result, itemSize);
  }

  /** Reads the elements of `dimensions`, largest stride first, from the element `from` on to the place `to`. */
  async read(dimensions: readonly Dimension[], from: number, to: number): Promise<void> {
    const span = spanOf(dimensions);
    const bytes = span * this.itemSize;
    if (bytes <= NEAR_BYTES || (bytes <= CHUNK_BYTES && wantedOf(dimensions) * DENSE >= span)) {
      return await this.#readSpan(dimensions, span, from, to);
    }
    const [outer, ...inner] = dimensions;
    const innerSpan = spanOf(inner);
    const limit = wantedOf(inner) * DENSE >= outer.stride ? CHUNK_BYTES : NEAR_BYTES;
    const group = Math.max(1, 1 + Math.floor((limit / this.itemSize - innerSpan) / outer.stride));
    for (let i = 0; i < outer.size; i += group) {
      const size = Math.min(group, outer.size - i);
      const start = from + i * outer.stride;
      const place = to + i * outer.step;
      if (size === 1) await this.read(inner, start, place);
      else {
        const piece = [{ ...outer, size }, ...inner];
        await this.#readSpan(piece, (size - 1) * outer.stride + innerSpan, start, place);
      }
    }
  }

  async #readSpan(dimensions: readonly Dimension[], span: number, from: number, to: number): Promise<void> {
    const bytes = await readExactly(this.source, this.offset + from * this.itemSize, span * this.itemSize);
    copy(bitsOf(bytes, this.itemSize), this.#target, to, dimensions);
  }
}

/**
 * Reads a view's elements row by row. What lies dense is read in large pieces, what lies far apart in small ones, so that
 * neither a view of a huge storage nor a transposed one costs much more than its own bytes.
 *
 * @param source where the elements lie
 * @param offset the first one's place in bytes
 * @param itemSize bytes of an element: 1, 2, 4 or 8
 * @param shape length of each dimension, outermost first
 * @param strides distance of neighbours along each dimension in elements, none negative
 */
export async function readStrided(
  source: ByteSource,
  offset: number,
  itemSize: number,
  shape: readonly number[],
  strides: readonly number[],
): Promise<Uint8Array<ArrayBuffer>> {
  const count = shape.reduce((product, size) => product * size, 1);
  if (count === 0) return new Uint8Array(0);
  const dimensions = dimensionsOf(shape, strides);
  if (dimensions.length === 0 || (dimensions.length === 1 && dimensions[0].stride === 1)) {
    return await readExactly(source, offset, count * itemSize);
  }
  const result = new Uint8Array(count * itemSize);
  const reader = new PieceReader(source, offset, itemSize, result);
  await reader.read(dimensions.toSorted((a, b) => b.stride - a.stride), 0, 0);
  return result;
}

/** The elements of a view of bytes in memory, row by row. */
export function gather(
  bytes: Uint8Array<ArrayBuffer>,
  itemSize: number,
  shape: readonly number[],
  strides: readonly number[],
): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(shape.reduce((product, size) => product * size, itemSize));
  if (result.length === 0) return result;
  const source = bytes.byteOffset % itemSize === 0 ? bytes : bytes.slice();
  copy(bitsOf(source, itemSize), bitsOf(result, itemSize), 0, dimensionsOf(shape, strides));
  return result;
}

/** Turns the bytes of every element round, in place. */
export function swapBytes(bytes: Uint8Array<ArrayBuffer>, itemSize: number): void {
  if (itemSize === 1) return;
  for (let at = 0; at + itemSize <= bytes.length; at += itemSize) bytes.subarray(at, at + itemSize).reverse();
}
