/** Decodes baseline JPEGs by the program's own WebAssembly: whole, or no more samples than a box of the image needs. */
import { WasmModule } from "../util/wasm/module.ts";
import { WasmProgram } from "../util/wasm/program.ts";
import type { Box, ImageWindow } from "./image.ts";
import type { BaselineJpeg, Component } from "./jpeg_baseline.ts";
import { addColorKernels } from "./jpeg_color_kernel.ts";
import { addDecodeMcus, addUnstuff } from "./jpeg_entropy_kernel.ts";
import {
  BLOCK_BYTES,
  BlockField,
  BLOCKS,
  COEFFICIENTS,
  FREE,
  PREDICTIONS,
  QUANTISERS,
  REGION,
  RegionField,
  STOPPED_AT,
  TABLE_BYTES,
  TABLES,
  ZIGZAG,
} from "./jpeg_memory.ts";
import { huffmanTable, NATURAL_ORDER, quantiser } from "./jpeg_tables.ts";
import { addFill, addTransform } from "./jpeg_transform_kernel.ts";

/** Images that need more memory than this are left to libjpeg. */
const MOST_BYTES = 2 ** 28;
/** Bytes that kernels may read or write behind what they work on. */
const SLACK = 64;
/** Bytes that one MCU may take more than there are before it is noticed. */
const OVERRUN = 4096;
/** Samples before and behind each row of a plane, where the last ones can be repeated. */
const MARGIN = 16;
const END_MARKER = 0xd9, FIRST_RESTART_MARKER = 0xd0;

/** MCUs that have to become samples; the ends are not part of it. */
interface Region {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Samples of one component within a region. */
interface Plane {
  /** Address that row 0 and column 0 of the whole image would have. */
  readonly origin: number;
  /** Bytes from row to row. */
  readonly stride: number;
}

function build(): WasmProgram {
  const module = new WasmModule();
  const transform = addTransform(module), fill = addFill(module);
  addUnstuff(module);
  addDecodeMcus(module, transform, fill);
  addColorKernels(module);
  const program = new WasmProgram(module);
  program.reserve(FREE);
  const places = Array.from({ length: 80 }, (_, k) => 2 * (NATURAL_ORDER[k] ?? 63));
  program.bytes(ZIGZAG, places.length).set(places);
  return program;
}

function align(bytes: number): number {
  return Math.ceil(bytes / 16) * 16;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** A decoder with a memory of its own. */
export class BaselineDecoder {
  readonly #program = build();
  /** The codes in each of the four tables, so that the usual ones are made once. */
  readonly #codes: Uint8Array[] = [];

  /** Bytes of memory; it grows with the images and never shrinks. */
  get memoryBytes(): number {
    return this.#program.all().length;
  }

  /**
   * The pixels of the box, RGB or gray, and not many more; undefined when libjpeg has to look at the file: it is damaged in
   * whatever way, or too large.
   */
  decode(bytes: Uint8Array, jpeg: BaselineJpeg, box: Box): ImageWindow | undefined {
    const { components, width } = jpeg;
    const region = regionOf(jpeg, box);
    const scanBytes = bytes.length - jpeg.scanStart;
    const raw = FREE, words = align(raw + scanBytes + SLACK);
    let free = align(words + scanBytes + OVERRUN + SLACK);
    const planes = components.map((component) => {
      const stride = (region.right - region.left) * 8 * component.across + 2 * MARGIN;
      const start = free;
      free = align(start + (region.bottom - region.top) * 8 * component.down * stride + SLACK);
      const corner = region.top * 8 * component.down * stride + region.left * 8 * component.across;
      return { origin: start + MARGIN - corner, stride };
    });
    const left = components[0].across === 2 ? box.left & ~1 : box.left;
    const size = { height: box.height, width: Math.min(width, box.left + box.width) - left };
    const end = free + size.height * size.width * components.length + SLACK;
    if (end > MOST_BYTES) return undefined;

    this.#program.reserve(end);
    if (!this.#placeTables(components)) return undefined;
    this.#placeBlocks(jpeg, region, planes);
    this.#program.bytes(raw, scanBytes).set(bytes.subarray(jpeg.scanStart));
    if (!this.#decodeScan(jpeg, raw, raw + scanBytes, words)) return undefined;
    const data = components.length === 1
      ? this.#copyGray(planes[0], box, free)
      : this.#toRgb(jpeg, region, planes, { ...box, left, width: size.width }, free);
    return {
      image: { data: data.slice(), ...size, channels: components.length },
      box: { ...box, top: 0, left: box.left - left },
    };
  }

  #placeTables(components: readonly Component[]): boolean {
    components.forEach((component, i) =>
      this.#program.bytes(QUANTISERS + i * 128, 128).set(quantiser(component.quantiser))
    );
    return components.every(({ dc, ac }) =>
      [[dc.slot, dc.bytes] as const, [2 + ac.slot, ac.bytes] as const].every(([slot, code]) => {
        if (this.#codes[slot] !== undefined && isEqual(this.#codes[slot], code)) return true;
        const table = huffmanTable(code.subarray(0, 16), code.subarray(16));
        if (table === undefined) return false;
        this.#program.bytes(TABLES + slot * TABLE_BYTES, TABLE_BYTES).set(table);
        this.#codes[slot] = code.slice();
        return true;
      })
    );
  }

  #placeBlocks({ components, width }: BaselineJpeg, region: Region, planes: readonly Plane[]): void {
    const view = this.#program.view();
    this.#program.bytes(COEFFICIENTS, 128).fill(0);
    const put = (at: number, value: number) => view.setInt32(at, value, true);
    let at = BLOCKS;
    components.forEach(({ across, down, dc, ac }, c) => {
      const { origin, stride } = planes[c];
      for (let i = 0; i < across * down; i++, at += BLOCK_BYTES) {
        put(at + BlockField.dcTable, TABLES + dc.slot * TABLE_BYTES);
        put(at + BlockField.acTable, TABLES + (2 + ac.slot) * TABLE_BYTES);
        put(at + BlockField.quantiser, QUANTISERS + c * 128);
        put(at + BlockField.prediction, PREDICTIONS + c * 4);
        put(at + BlockField.origin, origin + Math.floor(i / across) * 8 * stride + (i % across) * 8);
        put(at + BlockField.stepDown, 8 * down * stride);
        put(at + BlockField.stepAcross, 8 * across);
        put(at + BlockField.stride, stride);
      }
    });
    put(REGION + RegionField.across, Math.ceil(width / (8 * components[0].across)));
    put(REGION + RegionField.left, region.left);
    put(REGION + RegionField.right, region.right);
    put(REGION + RegionField.top, region.top);
    put(REGION + RegionField.bottom, region.bottom);
    put(REGION + RegionField.blocksEnd, at);
  }

  /** Decodes all MCUs; false unless codes, restart markers and the end are exactly where they belong. */
  #decodeScan(jpeg: BaselineJpeg, raw: number, rawEnd: number, words: number): boolean {
    const { height, width, components: [{ across, down }], restartInterval } = jpeg;
    const mcusAcross = Math.ceil(width / (8 * across));
    const total = mcusAcross * Math.ceil(height / (8 * down));
    const interval = restartInterval === 0 ? total : restartInterval;
    const unstuff = this.#program.function("unstuff"), decodeMcus = this.#program.function("decodeMcus");
    const memory = this.#program.bytes(0, rawEnd), view = this.#program.view();
    for (let mcu = 0, from = raw, restarts = 0; mcu < total; mcu += interval, restarts++) {
      const count = Math.min(interval, total - mcu);
      memory.fill(0, PREDICTIONS, PREDICTIONS + 12);
      const length = unstuff(from, rawEnd, words);
      const limit = words + length + SLACK;
      const bits = decodeMcus(mcu % mcusAcross, Math.floor(mcu / mcusAcross), count, words, limit);
      const left = length * 8 - bits;
      if (bits < 0 || left < 0 || left > 7) return false;
      const stopped = view.getInt32(STOPPED_AT, true);
      const expected = mcu + count === total ? END_MARKER : FIRST_RESTART_MARKER + restarts % 8;
      if (stopped + 1 >= rawEnd || memory[stopped + 1] !== expected) return false;
      from = stopped + 2;
    }
    return true;
  }

  #copyGray({ origin, stride }: Plane, box: Box, to: number): Uint8Array {
    const out = this.#program.bytes(to, box.height * box.width);
    for (let y = 0; y < box.height; y++) {
      out.set(this.#program.bytes(origin + (box.top + y) * stride + box.left, box.width), y * box.width);
    }
    return out;
  }

  #toRgb(jpeg: BaselineJpeg, region: Region, planes: readonly Plane[], box: Box, to: number): Uint8Array {
    const { height, width, components: [{ across, down }] } = jpeg;
    const [y, cb, cr] = planes;
    const colorHeight = Math.ceil(height / down);
    if (across === 2) { for (const plane of [cb, cr]) this.#repeatEnds(plane, region, Math.ceil(width / 2)); }
    const kernel = this.#program.function(across === 1 ? "whole" : down === 1 ? "halfWidth" : "half");
    const first = box.left / across;
    kernel(
      y.origin + box.left,
      y.stride,
      cb.origin + first,
      cr.origin + first,
      cb.stride,
      to,
      box.width,
      box.top,
      box.top + box.height,
      colorHeight - 1,
    );
    return this.#program.bytes(to, box.height * box.width * 3);
  }

  /** Repeats the first and the last sample of each row of halved colour, where the region reaches them. */
  #repeatEnds({ origin, stride }: Plane, { left, right, top, bottom }: Region, columns: number): void {
    const memory = this.#program.all();
    for (let row = top * 8; row < bottom * 8; row++) {
      const start = origin + row * stride;
      if (left === 0) memory[start - 1] = memory[start];
      if (right * 8 >= columns) memory[start + columns] = memory[start + columns - 1];
    }
  }
}

/** The MCUs that hold a box, and where colour is halved the samples that its filter reaches. */
function regionOf({ height, width, components: [{ across, down }] }: BaselineJpeg, box: Box): Region {
  const reachAcross = across === 2 ? 3 : 0, reachDown = down === 2 ? 2 : 0;
  const mcuWidth = 8 * across, mcuHeight = 8 * down;
  const right = Math.min(width, box.left + box.width + reachAcross);
  const bottom = Math.min(height, box.top + box.height + reachDown);
  return {
    left: Math.floor(Math.max(0, box.left - reachAcross) / mcuWidth),
    right: Math.ceil(right / mcuWidth),
    top: Math.floor(Math.max(0, box.top - reachDown) / mcuHeight),
    bottom: Math.ceil(bottom / mcuHeight),
  };
}
