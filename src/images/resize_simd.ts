/** Runs the kernels of `resize_kernels.ts`: one instance per thread, input copied to its memory strip by strip. */
import type { Size } from "../config/types.ts";
import { WasmModule } from "../util/wasm/module.ts";
import { WasmProgram } from "../util/wasm/program.ts";
import type { Box, Image } from "./image.ts";
import { addResizeKernels } from "./resize_kernels.ts";
import { makeWeights } from "./resize_weights.ts";

/** Input is copied and transposed so many bytes at a time, which stay in the processor's cache. */
const STRIP_BYTES = 2 ** 17;
/** Kernels work on blocks of so many rows and columns. */
const BLOCK = 16;
/** Resizing that needs more memory than this is left to the definition, so that the memory need not be given back. */
const MOST_BYTES = 2 ** 26;
/** Bytes that kernels may read or write behind a region. */
const SLACK = 64;

/** Weights as the kernels read them. */
interface PackedWeights {
  /** First tap of each output pixel. */
  readonly first: Int32Array;
  /** Pairs of taps of each output pixel. */
  readonly pairs: number;
  /** For each pair two low parts and two high ones. */
  readonly parts: Int16Array;
}

function packWeights(from: number, to: number): PackedWeights {
  const { taps, first, values } = makeWeights(from, to);
  const pairs = Math.ceil(taps / 2);
  const parts = new Int16Array(to * pairs * 4);
  for (let i = 0, k = 0; i < to; i++) {
    for (let tap = 0, at = i * pairs * 4; tap < taps; tap++, k++, at += tap % 2 === 0 ? 3 : 1) {
      const low = (values[k] << 16) >> 16;
      parts[at] = low;
      parts[at + 2] = (values[k] - low) >> 16;
    }
  }
  return { first, pairs, parts };
}

/** The weights of output pixels from the last to the first. */
function opposite({ first, pairs, parts }: PackedWeights): PackedWeights {
  const turned = new Int16Array(parts.length), length = pairs * 4;
  for (let from = 0, to = parts.length - length; to >= 0; from += length, to -= length) {
    turned.set(parts.subarray(from, from + length), to);
  }
  return { first: first.slice().reverse(), pairs, parts: turned };
}

function align(bytes: number): number {
  return Math.ceil(bytes / BLOCK) * BLOCK;
}

/** Hands out the memory, region after region. */
class Regions {
  /** Bytes handed out so far. */
  end = 0;

  /** Where a region of so many bytes begins. */
  take(bytes: number): number {
    const start = this.end;
    this.end = align(start + bytes + SLACK);
    return start;
  }
}

/** Weights in the memory: the offset in bytes of each output pixel's first tap, then the parts. */
class PlacedWeights {
  readonly #packed: PackedWeights;
  readonly #first: number;
  readonly #parts: number;

  constructor(regions: Regions, from: number, to: number) {
    this.#packed = packWeights(from, to);
    this.#first = regions.take(this.#packed.first.byteLength);
    this.#parts = regions.take(this.#packed.parts.byteLength);
  }

  /**
   * Writes them, with `step` bytes from one input pixel to the next, for output pixels in their order or in the opposite
   * one; the last three arguments of `mixRows`.
   */
  write(
    program: WasmProgram,
    step: number,
    mirrored = false,
  ): [first: number, weights: number, pairs: number] {
    const { first, parts, pairs } = mirrored ? opposite(this.#packed) : this.#packed;
    const offsets = first.map((pixel) => pixel * step);
    program.bytes(this.#first, offsets.byteLength).set(new Uint8Array(offsets.buffer));
    program.bytes(this.#parts, parts.byteLength).set(new Uint8Array(parts.buffer));
    return [this.#first, this.#parts, pairs];
  }
}

let program: WasmProgram | undefined;

/** The thread's instance; making it takes some milliseconds, once. */
function kernels(): WasmProgram {
  if (program === undefined) {
    const module = new WasmModule();
    addResizeKernels(module);
    program = new WasmProgram(module);
  }
  return program;
}

/** Where a resize has its bytes. */
interface Layout {
  /** Rows of a strip, a multiple of the blocks'. */
  readonly stripRows: number;
  /** A strip of input rows: from the box's first column on, as far apart as in the image. */
  readonly strip: number;
  /** The strip, transposed: [width × channels, stripRows]. */
  readonly turned: number;
  /** Its columns mixed: [output width × channels, stripRows]. */
  readonly narrowed: number;
  /** All rows with their columns mixed: [box height, output width × channels]. */
  readonly mixed: number;
  /** Bytes from one of them to the next. */
  readonly mixedStride: number;
  /** The result. */
  readonly result: number;
}

/** Lays out the memory; undefined when it takes too much. */
function layOut(regions: Regions, image: Image, box: Box, [height, width]: Size, channels: number) {
  const fromStride = image.width * image.channels, mixedStride = align(width * channels);
  const fitting = Math.floor(STRIP_BYTES / (box.width * image.channels));
  const stripRows = align(Math.max(1, Math.min(box.height, fitting - fitting % BLOCK)));
  const layout: Layout = {
    stripRows,
    strip: regions.take(stripRows * fromStride),
    turned: regions.take((box.width * image.channels + BLOCK) * stripRows),
    narrowed: regions.take((width * channels + BLOCK) * stripRows),
    mixed: regions.take((box.height + BLOCK) * mixedStride),
    mixedStride,
    result: regions.take(height * width * channels),
  };
  return regions.end <= MOST_BYTES ? layout : undefined;
}

/** Mixes the columns of the box's rows into `layout.mixed`. */
function mixAcross(
  running: WasmProgram,
  layout: Layout,
  image: Image,
  box: Box,
  width: number,
  channels: number,
  weights: readonly number[],
): void {
  const { stripRows, strip, turned, narrowed, mixed, mixedStride } = layout;
  const transpose = running.function("transpose"), mix = running.function("mixRows");
  const fromStride = image.width * image.channels, boxBytes = box.width * image.channels;
  for (let y = 0; y < box.height; y += stripRows) {
    const rows = Math.min(stripRows, box.height - y);
    const start = (box.top + y) * fromStride + box.left * image.channels;
    const length = (rows - 1) * fromStride + boxBytes;
    running.bytes(strip, length).set(image.data.subarray(start, start + length));
    transpose(strip, fromStride, rows, boxBytes, turned, stripRows);
    for (let c = 0; c < channels; c++) {
      const from = turned + c * stripRows, to = narrowed + c * stripRows;
      mix(from, stripRows * image.channels, to, stripRows * channels, rows, width, ...weights);
    }
    transpose(narrowed, stripRows, width * channels, rows, mixed + y * mixedStride, mixedStride);
  }
}

/**
 * What `resizeByDefinition` does, for the first `channels` of the image's channels, mirrored left to right if so. False, and nothing is done, for what
 * needs too much memory.
 */
export function resizeBySimd(
  image: Image,
  box: Box,
  size: Size,
  channels: number,
  out: Uint8Array,
  mirrored = false,
): boolean {
  const [height, width] = size;
  const regions = new Regions();
  const layout = layOut(regions, image, box, size, channels);
  // Weights take up to 8 bytes for each of five taps per pixel, of the box or of the result.
  const weightBytes = 40 * (box.width + width + box.height + height);
  if (layout === undefined || weightBytes > MOST_BYTES) return false;
  const across = new PlacedWeights(regions, box.width, width);
  const down = new PlacedWeights(regions, box.height, height);
  const running = kernels();
  running.reserve(regions.end);

  const weights = across.write(running, layout.stripRows * image.channels, mirrored);
  mixAcross(running, layout, image, box, width, channels, weights);
  const { mixed, mixedStride, result } = layout;
  const length = width * channels;
  running.function("mixRows")(
    mixed,
    mixedStride,
    result,
    length,
    length,
    height,
    ...down.write(running, mixedStride),
  );
  out.set(running.bytes(result, height * length));
  return true;
}
