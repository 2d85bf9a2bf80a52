/** Writes baseline JPEGs of random coefficients, with Huffman codes of all lengths, for tests of the decoder. */
import { JpegBits } from "../../src/bench/photographs.ts";
import type { Random } from "../../src/util/random.ts";

/** Gray, or how colour is sampled beside the luma. */
export type Sampling = "gray" | "444" | "422" | "420";

/** What to write. */
export interface JpegPlan {
  readonly height: number;
  readonly width: number;
  readonly sampling: Sampling;
  /** MCUs between restart markers; 0 for none. */
  readonly restartInterval: number;
  readonly random: Random;
}

/** A Huffman code: its DHT form, and code and length of each symbol. */
interface Code {
  readonly counts: number[];
  readonly symbols: number[];
  readonly of: Map<number, { code: number; length: number }>;
}

/** Codes of 2 to 9 bits for the first eight symbols, of 10 to 16 for the others. */
function makeCode(symbols: number[], random: Random): Code {
  for (let i = symbols.length - 1; i > 0; i--) {
    const k = random.integer(i + 1);
    [symbols[i], symbols[k]] = [symbols[k], symbols[i]];
  }
  const counts = Array<number>(16).fill(0);
  symbols.forEach((_, i) =>
    counts[i < 8 ? i + 1 : 9 + Math.floor((i - 8) / Math.ceil((symbols.length - 8) / 7))]++
  );
  const of = new Map<number, { code: number; length: number }>();
  for (let length = 1, code = 0, place = 0; length <= 16; length++, code <<= 1) {
    for (let i = 0; i < counts[length - 1]; i++) of.set(symbols[place++], { code: code++, length });
  }
  return { counts, symbols, of };
}

/** Entropy-coded bytes, by codes of a test's own. */
class BitWriter extends JpegBits {
  symbol(code: Code, symbol: number): void {
    const found = code.of.get(symbol);
    if (found === undefined) throw new Error(`no code for ${symbol}`);
    this.put(found.code, found.length);
  }
}

function sizeOf(value: number): number {
  return 32 - Math.clz32(Math.abs(value));
}

/** Writes one block; its direct-current value. The samples stay near enough to 0 … 255 for every decoder. */
function putBlock(
  out: BitWriter,
  plan: JpegPlan,
  quantiser: number[],
  codes: [Code, Code],
  last: number,
): number {
  const { random } = plan;
  const direct = Math.round((random.integer(1600) - 800) / quantiser[0]);
  const size = sizeOf(direct - last);
  out.symbol(codes[0], size);
  out.value(direct - last, size);
  const count = random.integer(3) === 0 ? 0 : random.integer(12);
  const places = new Set(
    Array.from({ length: count }, () => 1 + random.integer(random.integer(4) === 0 ? 63 : 15)),
  );
  let k = 1;
  for (const place of [...places].sort((a, b) => a - b)) {
    const value = Math.round((random.integer(200) - 100) / quantiser[place]);
    if (value === 0) continue;
    for (; place - k > 15; k += 16) out.symbol(codes[1], 0xf0);
    out.symbol(codes[1], ((place - k) << 4) | sizeOf(value));
    out.value(value, sizeOf(value));
    k = place + 1;
  }
  if (k < 64) out.symbol(codes[1], 0);
  return direct;
}

function segment(marker: number, body: number[]): number[] {
  return [0xff, marker, (body.length + 2) >> 8, (body.length + 2) & 255, ...body];
}

/** The file's bytes. */
export function writeJpeg(plan: JpegPlan): Uint8Array {
  const { height, width, sampling, restartInterval, random } = plan;
  const count = sampling === "gray" ? 1 : 3;
  const across = sampling === "422" || sampling === "420" ? 2 : 1, down = sampling === "420" ? 2 : 1;
  const quantisers = [0, 1].map(() => Array.from({ length: 64 }, () => 1 + random.integer(24)));
  const acSymbols = Array.from({ length: 160 }, (_, i) => (Math.floor(i / 10) << 4) | (i % 10 + 1));
  const codes = [0, 1].map((): [Code, Code] => [
    makeCode(Array.from({ length: 12 }, (_, i) => i), random),
    makeCode([0, 0xf0, ...acSymbols], random),
  ]);

  const out = new BitWriter();
  const mcus = Math.ceil(width / (8 * across)) * Math.ceil(height / (8 * down));
  let last = [0, 0, 0];
  for (let mcu = 0; mcu < mcus; mcu++) {
    if (restartInterval > 0 && mcu > 0 && mcu % restartInterval === 0) {
      out.flush();
      out.bytes.push(0xff, 0xd0 + (mcu / restartInterval - 1) % 8);
      last = [0, 0, 0];
    }
    for (let c = 0; c < count; c++) {
      const table = Math.min(c, 1);
      for (let block = 0; block < (c === 0 ? across * down : 1); block++) {
        last[c] = putBlock(out, plan, quantisers[table], codes[table], last[c]);
      }
    }
  }
  out.flush();

  const ids = Array.from({ length: count }, (_, c) => c + 1);
  const jfif = [..."JFIF\0"].map((letter) => letter.charCodeAt(0));
  return Uint8Array.from([
    ...[0xff, 0xd8],
    ...segment(0xe0, [...jfif, 1, 1, 0, 0, 1, 0, 1, 0, 0]),
    ...segment(0xdb, quantisers.flatMap((values, i) => [i, ...values])),
    ...segment(0xc0, [
      ...[8, height >> 8, height & 255, width >> 8, width & 255, count],
      ...ids.flatMap((id, c) => [id, c === 0 ? (across << 4) | down : 0x11, Math.min(c, 1)]),
    ]),
    ...codes.flatMap(([dc, ac], i) => [
      ...segment(0xc4, [i, ...dc.counts, ...dc.symbols]),
      ...segment(0xc4, [16 + i, ...ac.counts, ...ac.symbols]),
    ]),
    ...(restartInterval > 0 ? segment(0xdd, [restartInterval >> 8, restartInterval & 255]) : []),
    ...segment(0xda, [count, ...ids.flatMap((id, c) => [id, c === 0 ? 0 : 0x11]), 0, 63, 0]),
    ...out.bytes,
    ...[0xff, 0xd9],
  ]);
}
