import { assertEquals, assertThrows } from "../deps.ts";
import { crc32, inflateSync } from "../../src/deps/zlib.ts";
import { encodePng, type Picture } from "../../src/formats/png.ts";
import { Random } from "../../src/util/random.ts";

interface Chunk {
  readonly type: string;
  readonly body: Uint8Array;
}

/** Splits a PNG file into its chunks and checks their checksums. */
function chunksOf(png: Uint8Array): Chunk[] {
  assertEquals([...png.subarray(0, 8)], [137, 80, 78, 71, 13, 10, 26, 10]);
  const view = new DataView(png.buffer, png.byteOffset);
  const chunks: Chunk[] = [];
  for (let at = 8; at < png.length;) {
    const length = view.getUint32(at);
    assertEquals(view.getUint32(at + 8 + length), crc32(png.subarray(at + 4, at + 8 + length)));
    const type = new TextDecoder().decode(png.subarray(at + 4, at + 8));
    chunks.push({ type, body: png.subarray(at + 8, at + 8 + length) });
    at += 12 + length;
  }
  return chunks;
}

/** Undoes the filters by the specification's table 9.1, written apart from the encoder. */
function unfilter(raw: Uint8Array, stride: number, step: number): { pixels: number[]; filters: Set<number> } {
  const rows: number[][] = [];
  const filters = new Set<number>();
  for (let start = 0; start < raw.length; start += stride + 1) {
    const row: number[] = [];
    const filter = raw[start];
    filters.add(filter);
    for (let i = 0; i < stride; i++) {
      const a = row[i - step] ?? 0;
      const b = rows.at(-1)?.[i] ?? 0;
      const c = i >= step ? rows.at(-1)?.[i - step] ?? 0 : 0;
      const p = a + b - c;
      const nearest = [a, b, c].reduce((best, v) => Math.abs(p - v) < Math.abs(p - best) ? v : best);
      const guess = [0, a, b, Math.floor((a + b) / 2), nearest][filter];
      row.push((raw[start + 1 + i] + guess) % 256);
    }
    rows.push(row);
  }
  return { pixels: rows.flat(), filters };
}

/** Smooth shades with some noise, and a flat part, so that every filter has its rows. */
function shaded(width: number, height: number, channels: 1 | 3 | 4): Picture {
  const random = new Random(width, height, channels);
  const data = new Uint8Array(width * height * channels);
  for (let i = 0; i < data.length; i++) {
    const y = Math.floor(i / (width * channels));
    data[i] = y < 3 ? random.integer(256) : y % 5 === 0 ? 7 : i * 3 + y * y + random.integer(4);
  }
  return { data, width, height, channels };
}

Deno.test("encodePng() keeps every pixel of gray, RGB and RGBA pictures", () => {
  const seen = new Set<number>();
  for (const channels of [1, 3, 4] as const) {
    for (const [width, height] of [[1, 1], [5, 1], [1, 7], [31, 40]]) {
      const picture = shaded(width, height, channels);
      const [head, data, end] = chunksOf(encodePng(picture));
      assertEquals([head.type, data.type, end.type, end.body.length], ["IHDR", "IDAT", "IEND", 0]);
      const view = new DataView(head.body.buffer, head.body.byteOffset);
      assertEquals([view.getUint32(0), view.getUint32(4)], [width, height]);
      assertEquals([...head.body.subarray(8)], [8, channels === 1 ? 0 : channels === 3 ? 2 : 6, 0, 0, 0]);
      const { pixels, filters } = unfilter(inflateSync(data.body), width * channels, channels);
      assertEquals(pixels, [...picture.data]);
      for (const filter of filters) seen.add(filter);
    }
  }
  assertEquals(seen, new Set([0, 1, 2, 3, 4]));
});

Deno.test("encodePng() carries text as UTF-8", () => {
  const picture = shaded(2, 2, 3);
  const chunks = chunksOf(encodePng(picture, { Title: "größer\n日本", Software: "mae" }));
  const texts = chunks.filter(({ type }) => type === "iTXt").map(({ body }) =>
    new TextDecoder().decode(body)
  );
  assertEquals(texts, ["Title\0\0\0\0\0größer\n日本", "Software\0\0\0\0\0mae"]);
});

Deno.test("encodePng() refuses sizes and keywords that make no file", () => {
  const data = new Uint8Array(12);
  assertThrows(
    () => encodePng({ data, width: 2, height: 3, channels: 3 }),
    RangeError,
    "2 x 3 x 3 has 12 bytes",
  );
  assertThrows(() => encodePng({ data, width: 0, height: 3, channels: 3 }), RangeError, "0 x 3 pixels");
  assertThrows(() => encodePng({ data, width: 1.5, height: 8, channels: 1 }), RangeError, "1.5 x 8 pixels");
  for (const keyword of ["", " a", "ä", "a".repeat(80), "a\0b"]) {
    assertThrows(
      () => encodePng({ data, width: 2, height: 2, channels: 3 }, { [keyword]: "" }),
      RangeError,
      "keyword",
    );
  }
});
