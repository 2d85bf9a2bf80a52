/** From the samples of PNG rows, of any depth, to pixels of 8 bits, or of 16 where they have so many. */

/** What a PNG's header says. */
export interface PngHeader {
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
  /** Bits per sample. */
  readonly depth: number;
  /** 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGB and alpha. */
  readonly colorType: number;
  /** Whether the pixels come in the seven passes of Adam7. */
  readonly interlaced: boolean;
}

/** Turns rows of samples into pixels. */
export interface RowWriter {
  /** Channels of the pixels. */
  readonly channels: number;
  /** Writes `count` pixels of a row to `out`, the first at value `to`, each `stride` values after the one before. */
  write(row: Uint8Array, count: number, out: Uint8Array | Uint16Array, to: number, stride: number): void;
}

const GRAY = 0, RGB = 2, PALETTE = 3, GRAY_ALPHA = 4;

/** Samples stored for each pixel. */
export function samplesPerPixel(colorType: number): number {
  return colorType === GRAY || colorType === PALETTE
    ? 1
    : colorType === GRAY_ALPHA
    ? 2
    : colorType === RGB
    ? 3
    : 4;
}

/** Sample `i` of a row. */
function sampleAt(row: Uint8Array, i: number, depth: number): number {
  if (depth === 8) return row[i];
  if (depth === 16) return (row[2 * i] << 8) | row[2 * i + 1];
  const bit = i * depth;
  return (row[bit >> 3] >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
}

/** A sample of fewer than 8 bits spread over 0 … 255. */
function spread(sample: number, depth: number): number {
  return depth >= 8 ? sample : sample * 255 / ((1 << depth) - 1);
}

/** The writer for an image; `transparency` is the body of its tRNS chunk. */
export function rowWriter(header: PngHeader, palette?: Uint8Array, transparency?: Uint8Array): RowWriter {
  const { colorType, depth } = header;
  if (colorType === PALETTE) return paletteWriter(depth, palette ?? new Uint8Array(0), transparency);
  const samples = samplesPerPixel(colorType);
  const keyed = transparency !== undefined && (colorType === GRAY || colorType === RGB) &&
    transparency.length >= 2 * samples;
  if (keyed) return keyWriter(depth, samples, transparency);
  return {
    channels: samples,
    write(row, count, out, to, stride) {
      if (depth === 8 && stride === samples) return out.set(row, to);
      for (let x = 0; x < count; x++) {
        for (let c = 0; c < samples; c++) {
          out[to + x * stride + c] = spread(sampleAt(row, x * samples + c, depth), depth);
        }
      }
    },
  };
}

/** Palette entries; those after the last are black. */
function paletteWriter(depth: number, palette: Uint8Array, transparency?: Uint8Array): RowWriter {
  const colors = new Uint8Array(256 * 3);
  colors.set(palette.subarray(0, colors.length));
  const alphas = new Uint8Array(256).fill(255);
  if (transparency !== undefined) alphas.set(transparency.subarray(0, 256));
  const channels = transparency === undefined ? 3 : 4;
  return {
    channels,
    write(row, count, out, to, stride) {
      for (let x = 0; x < count; x++, to += stride) {
        const index = sampleAt(row, x, depth);
        out[to] = colors[3 * index];
        out[to + 1] = colors[3 * index + 1];
        out[to + 2] = colors[3 * index + 2];
        if (channels === 4) out[to + 3] = alphas[index];
      }
    },
  };
}

/** Gray or RGB where one colour, compared at full depth, is transparent. */
function keyWriter(depth: number, samples: number, transparency: Uint8Array): RowWriter {
  const key = Array.from({ length: samples }, (_, c) => sampleAt(transparency, c, 16));
  return {
    channels: samples + 1,
    write(row, count, out, to, stride) {
      for (let x = 0; x < count; x++, to += stride) {
        let matches = true;
        for (let c = 0; c < samples; c++) {
          const sample = sampleAt(row, x * samples + c, depth);
          out[to + c] = spread(sample, depth);
          matches &&= sample === key[c];
        }
        out[to + samples] = matches ? 0 : depth === 16 ? 65535 : 255;
      }
    },
  };
}
