/**
 * Pictures to measure decoders with, made on the spot and the same everywhere: noise with the spectrum of photographs, some
 * edges, as baseline JPEGs (4:2:0, quality 90, the standard's example codes).
 */
import { NATURAL_ORDER } from "../images/jpeg_tables.ts";
import { Random } from "../util/random.ts";

/** Divisors of the standard's annex K at quality 50, row by row: luma and colour. */
// deno-fmt-ignore
const LUMA_DIVISORS = [
  16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
  18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
const COLOR_CORNER = [17, 18, 24, 47, 18, 21, 26, 66, 24, 26, 56, 99, 47, 66, 99, 99];
const COLOR_DIVISORS = Array.from({ length: 64 }, (_, i) => {
  const row = i >> 3, column = i & 7;
  return row < 4 && column < 4 ? COLOR_CORNER[row * 4 + column] : 99;
});

/** The standard's example codes for luma, used for colour too: how many there are of each length, and their symbols. */
const DC_COUNTS = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const DC_SYMBOLS = Array.from({ length: 12 }, (_, size) => size);
const AC_COUNTS = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125];
// deno-fmt-ignore
const AC_FREQUENT = [
  0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91,
  0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a,
];
/** The others stand in numerical order. */
const AC_SYMBOLS = [
  ...AC_FREQUENT,
  ...Array.from({ length: 160 }, (_, i) => (Math.floor(i / 10) << 4) | (i % 10 + 1)).sort((a, b) => a - b)
    .filter((symbol) => !AC_FREQUENT.includes(symbol)),
];

const QUALITY = 90;

function scaled(divisors: readonly number[]): number[] {
  return divisors.map((divisor) => Math.max(1, Math.floor((divisor * (200 - 2 * QUALITY) + 50) / 100)));
}

/** Code and length of each symbol. */
type Codes = ReadonlyMap<number, readonly [code: number, length: number]>;

function codesOf(counts: readonly number[], symbols: readonly number[]): Codes {
  const codes = new Map<number, [number, number]>();
  let code = 0, place = 0;
  for (const [i, count] of counts.entries()) {
    for (let k = 0; k < count; k++) codes.set(symbols[place++], [code++, i + 1]);
    code <<= 1;
  }
  return codes;
}

/** The entropy-coded bytes of a JPEG, under way. */
export class JpegBits {
  /** Whole bytes so far. */
  readonly bytes: number[] = [];
  #held = 0;
  #count = 0;

  /** Adds the lowest `length` bits of a value, the highest of them first. */
  put(value: number, length: number): void {
    for (let bit = length - 1; bit >= 0; bit--) {
      this.#held = (this.#held << 1) | ((value >> bit) & 1);
      if (++this.#count < 8) continue;
      this.bytes.push(this.#held);
      if (this.#held === 0xff) this.bytes.push(0);
      this.#held = this.#count = 0;
    }
  }

  /** Adds the bits of a coefficient, whose size its symbol has told. */
  value(value: number, size: number): void {
    this.put(value < 0 ? value + 2 ** size - 1 : value, size);
  }

  /** Fills the last byte with ones. */
  flush(): void {
    while (this.#count > 0) this.put(1, 1);
  }
}

/** A symbol of zeros before a coefficient, and the coefficient. */
function putCoefficient(scan: JpegBits, codes: Codes, run: number, value: number): void {
  const size = 32 - Math.clz32(Math.abs(value));
  const [code, length] = codes.get((run << 4) | size) ?? [0, 0];
  scan.put(code, length);
  scan.value(value, size);
}

const dcCodes = codesOf(DC_COUNTS, DC_SYMBOLS), acCodes = codesOf(AC_COUNTS, AC_SYMBOLS);

/** The cosine transform's matrix, [frequency, place]. */
const COSINES = Float64Array.from({ length: 64 }, (_, i) => {
  const frequency = i >> 3, place = i & 7;
  return (frequency === 0 ? Math.SQRT1_2 : 1) / 2 * Math.cos((2 * place + 1) * frequency * Math.PI / 16);
});

/** Samples of one component, padded to whole MCUs. */
interface Samples {
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
}

/** Quantised coefficients of the block at a place, row by row. */
function transform(
  { data, width }: Samples,
  top: number,
  left: number,
  divisors: readonly number[],
): number[] {
  const half = new Float64Array(64);
  for (let v = 0; v < 8; v++) {
    for (let x = 0; x < 8; x++) {
      let sum = 0;
      for (let y = 0; y < 8; y++) sum += COSINES[v * 8 + y] * (data[(top + y) * width + left + x] - 128);
      half[v * 8 + x] = sum;
    }
  }
  return divisors.map((divisor, i) => {
    const v = i >> 3, u = i & 7;
    let sum = 0;
    for (let x = 0; x < 8; x++) sum += COSINES[u * 8 + x] * half[v * 8 + x];
    return Math.round(sum / divisor);
  });
}

function putBlock(scan: JpegBits, block: readonly number[], last: number): void {
  putCoefficient(scan, dcCodes, 0, block[0] - last);
  let run = 0;
  for (let k = 1; k < 64; k++) {
    const value = block[NATURAL_ORDER[k]];
    if (value === 0) {
      run++;
      continue;
    }
    for (; run > 15; run -= 16) putCoefficient(scan, acCodes, 15, 0);
    putCoefficient(scan, acCodes, run, value);
    run = 0;
  }
  if (run > 0) putCoefficient(scan, acCodes, 0, 0);
}

function segment(marker: number, body: readonly number[]): number[] {
  return [0xff, marker, (body.length + 2) >> 8, (body.length + 2) & 255, ...body];
}

/** Writes Y and halved Cb and Cr as a JPEG of height × width. */
function encode(height: number, width: number, [y, cb, cr]: readonly Samples[]): Uint8Array {
  const divisors = [scaled(LUMA_DIVISORS), scaled(COLOR_DIVISORS)];
  const scan = new JpegBits();
  const last = [0, 0, 0];
  for (let top = 0; top < y.height; top += 16) {
    for (let left = 0; left < y.width; left += 16) {
      for (const [c, dy, dx] of [[0, 0, 0], [0, 0, 8], [0, 8, 0], [0, 8, 8], [1, 0, 0], [2, 0, 0]]) {
        const block = c === 0
          ? transform(y, top + dy, left + dx, divisors[0])
          : transform(c === 1 ? cb : cr, top / 2, left / 2, divisors[1]);
        putBlock(scan, block, last[c]);
        last[c] = block[0];
      }
    }
  }
  scan.flush();
  const jfif = [0x4a, 0x46, 0x49, 0x46, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0];
  const head = [
    ...[0xff, 0xd8],
    ...segment(0xe0, jfif),
    ...segment(0xdb, divisors.flatMap((table, i) => [i, ...NATURAL_ORDER.map((place) => table[place])])),
    ...segment(0xc0, [
      8,
      height >> 8,
      height & 255,
      width >> 8,
      width & 255,
      3,
      1,
      0x22,
      0,
      2,
      0x11,
      1,
      3,
      0x11,
      1,
    ]),
    ...segment(0xc4, [0, ...DC_COUNTS, ...DC_SYMBOLS]),
    ...segment(0xc4, [16, ...AC_COUNTS, ...AC_SYMBOLS]),
    ...segment(0xda, [3, 1, 0, 2, 0, 3, 0, 0, 63, 0]),
  ];
  const bytes = new Uint8Array(head.length + scan.bytes.length + 2);
  bytes.set(head);
  bytes.set(scan.bytes, head.length);
  bytes.set([0xff, 0xd9], bytes.length - 2);
  return bytes;
}

/** Smooth noise of all sizes, stronger the larger, and a few discs with sharp edges: around 128. */
function paint(width: number, height: number, strength: number, finest: number, random: Random): Samples {
  const data = new Float32Array(width * height).fill(128);
  for (let cell = 128; cell >= finest; cell /= 2) {
    const across = Math.ceil(width / cell) + 2;
    const grid = Float32Array.from(
      { length: across * (Math.ceil(height / cell) + 2) },
      () => random.uniform(-1, 1) * strength * (cell / 128) ** 0.75,
    );
    for (let y = 0; y < height; y++) {
      const row = Math.floor(y / cell) * across, v = y % cell / cell;
      for (let x = 0; x < width; x++) {
        const at = row + Math.floor(x / cell), u = x % cell / cell;
        const above = grid[at] * (1 - u) + grid[at + 1] * u;
        const below = grid[at + across] * (1 - u) + grid[at + across + 1] * u;
        data[y * width + x] += above * (1 - v) + below * v;
      }
    }
  }
  for (let disc = 0; disc < 8; disc++) {
    const [cx, cy, radius] = [
      random.uniform(0, width),
      random.uniform(0, height),
      random.uniform(0, width / 5),
    ];
    const level = random.uniform(-0.7, 0.7) * strength;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        if ((x - cx) ** 2 + (y - cy) ** 2 < radius ** 2) data[y * width + x] += level;
      }
    }
  }
  return { data: data.map((value) => Math.min(255, Math.max(0, value))), width, height };
}

/** So many JPEGs of height × width, about 40 KB each at 500 × 375; the same ones for the same seed. */
export function makePhotographs(count: number, height = 375, width = 500, seed = 1): Uint8Array[] {
  const paddedWidth = Math.ceil(width / 16) * 16, paddedHeight = Math.ceil(height / 16) * 16;
  return Array.from({ length: count }, (_, i) => {
    const random = new Random(seed, i);
    const luma = paint(paddedWidth, paddedHeight, 90, 1, random);
    const colors = [0, 1].map(() => paint(paddedWidth / 2, paddedHeight / 2, 40, 2, random));
    return encode(height, width, [luma, ...colors]);
  });
}
