import type { Box, Image } from "../../src/images/image.ts";
import { flipHorizontally, resizeBicubic } from "../../src/images/resize.ts";
import { resizeByDefinition } from "../../src/images/resize_definition.ts";
import { resizeBySimd } from "../../src/images/resize_simd.ts";
import { Random } from "../../src/util/random.ts";
import { assert, assertEquals } from "../deps.ts";
import { Fixture, fixtureJson } from "../support/fixtures.ts";
import { noise } from "../data/support.ts";

interface CropCase {
  readonly key: string;
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
  readonly out: number;
}

function photo(fixture: Fixture): Image {
  const { data, shape: [height, width, channels] } = fixture.get("photo");
  return { data: data as Uint8Array, height, width, channels };
}

/** One channel of an image. */
function channel(image: Image, c: number): Image {
  const data = Uint8Array.from(
    { length: image.height * image.width },
    (_, i) => image.data[i * image.channels + c],
  );
  return { ...image, data, channels: 1 };
}

Deno.test("resizeBicubic() gives Pillow's pixels for every recorded crop", async () => {
  const fixture = await Fixture.read("transforms.safetensors");
  const image = photo(fixture);
  const { crops } = await fixtureJson("transforms.json") as unknown as { crops: CropCase[] };
  assertEquals(crops.length, 6);
  for (const { key, out, ...box } of crops) {
    assertEquals(resizeBicubic(image, box, [out, out]), fixture.get(key).data, key);
  }
});

Deno.test("resizeBicubic() treats channels apart, however many there are", () => {
  for (const channels of [1, 3, 4] as const) {
    const image = noise(23, 31, channels);
    const box = { top: 2, left: 3, height: 19, width: 26 };
    const whole = resizeBicubic(image, box, [11, 40]);
    for (let c = 0; c < channels; c++) {
      const alone = resizeBicubic(channel(image, c), box, [11, 40]);
      assertEquals(channel({ data: whole, height: 11, width: 40, channels }, c).data, alone);
    }
  }
});

Deno.test("resizeBicubic() transposes with its input", () => {
  // Rounding between the passes makes the two directions differ by at most one or two levels.
  const image = noise(17, 29, 1);
  const turned: Image = {
    data: Uint8Array.from({ length: 17 * 29 }, (_, i) => image.data[(i % 17) * 29 + Math.floor(i / 17)]),
    height: 29,
    width: 17,
    channels: 1,
  };
  const a = resizeBicubic(image, { top: 0, left: 0, height: 17, width: 29 }, [8, 13]);
  const b = resizeBicubic(turned, { top: 0, left: 0, height: 29, width: 17 }, [13, 8]);
  const largest = a.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - b[(i % 13) * 8 + Math.floor(i / 13)])),
    0,
  );
  assertEquals(largest <= 2, true, `differs by ${largest}`);
});

Deno.test("resizeBicubic() handles single pixels, extreme proportions and its own size", () => {
  const dot: Image = { data: Uint8Array.of(7, 130, 255), height: 1, width: 1, channels: 3 };
  const spread = resizeBicubic(dot, { top: 0, left: 0, height: 1, width: 1 }, [3, 5]);
  for (let i = 0; i < spread.length; i++) assertEquals(spread[i], dot.data[i % 3]);

  const line = noise(1, 500, 3);
  assertEquals(resizeBicubic(line, { top: 0, left: 0, height: 1, width: 500 }, [4, 2]).length, 24);

  const image = noise(9, 14, 4);
  assertEquals(resizeBicubic(image, { top: 0, left: 0, height: 9, width: 14 }, [9, 14]), image.data);
});

Deno.test("resizeBicubic() writes to the given place and nowhere else", () => {
  const image = noise(8, 8, 3);
  const box = { top: 0, left: 0, height: 8, width: 8 };
  const shared = new Uint8Array(new SharedArrayBuffer(100)).fill(9);
  resizeBicubic(image, box, [4, 4], shared.subarray(20, 68));
  assertEquals(shared.slice(20, 68), resizeBicubic(image, box, [4, 4]));
  assertEquals([...shared.slice(0, 20), ...shared.slice(68)].every((value) => value === 9), true);
});

/** What the definition gives. */
function defined(image: Image, box: Box, size: [number, number]): Uint8Array {
  const out = new Uint8Array(size[0] * size[1] * image.channels);
  resizeByDefinition(image, box, size, out);
  return out;
}

Deno.test("resizeBySimd() equals the definition for every shape, box and channel count", () => {
  const random = new Random(3);
  for (let i = 0; i < 150; i++) {
    const channels = 1 + i % 5;
    const height = 1 + random.integer(i % 10 === 0 ? 400 : 70), width = 1 + random.integer(90);
    const levels = i % 3 === 0 ? 2 : 256; // black and white overshoots on both sides
    const data = Uint8Array.from(
      { length: height * width * channels },
      () => Math.floor(random.integer(levels) * 255 / (levels - 1)),
    );
    const box = { height: 1 + random.integer(height), width: 1 + random.integer(width), top: 0, left: 0 };
    box.top = random.integer(height - box.height + 1);
    box.left = random.integer(width - box.width + 1);
    const size: [number, number] = [1 + random.integer(64), 1 + random.integer(64)];
    const image = { data, height, width, channels };
    const out = new Uint8Array(size[0] * size[1] * channels);
    assert(resizeBySimd(image, box, size, channels, out));
    assertEquals(out, defined(image, box, size), JSON.stringify({ channels, height, width, box, size }));
  }
});

Deno.test("resizeBySimd() leaves out channels behind those that are wanted", () => {
  const image = noise(40, 50, 4), box = { top: 3, left: 5, height: 30, width: 41 };
  const three = Uint8Array.from(
    { length: 40 * 50 * 3 },
    (_, i) => image.data[Math.floor(i / 3) * 4 + i % 3],
  );
  const out = new Uint8Array(16 * 16 * 3);
  assert(resizeBySimd(image, box, [16, 16], 3, out));
  assertEquals(out, defined({ ...image, data: three, channels: 3 }, box, [16, 16]));
});

Deno.test("flipHorizontally() mirrors each row and undoes itself", () => {
  const pixels = Uint8Array.of(1, 2, 3, 4, 5, 6, /**/ 7, 8, 9, 10, 11, 12);
  flipHorizontally(pixels, [2, 3], 2);
  assertEquals(pixels, Uint8Array.of(5, 6, 3, 4, 1, 2, /**/ 11, 12, 9, 10, 7, 8));
  const image = noise(5, 8, 3);
  const twice = image.data.slice();
  flipHorizontally(twice, [5, 8], 3);
  assert(twice.some((value, i) => value !== image.data[i]));
  flipHorizontally(twice, [5, 8], 3);
  assertEquals(twice, image.data);
});

Deno.test("resizeBicubic() mirrors on the way", () => {
  for (
    const [channels, box] of [[1, { top: 2, left: 1, height: 20, width: 31 }], [3, {
      top: 0,
      left: 4,
      height: 12,
      width: 9,
    }]] as const
  ) {
    const image = noise(24, 33, channels);
    const size: [number, number] = [10, 13];
    const expected = defined(image, box, size);
    flipHorizontally(expected, size, channels);
    assertEquals(resizeBicubic(image, box, size, undefined, true), expected);
  }
});

Deno.test("resizeBicubic() takes images of 20,000 pixels a side, and falls back where memory would grow too far", () => {
  for (const [height, width] of [[20_000, 40], [40, 20_000]]) {
    const image = noise(height, width, 3);
    const box = { top: 0, left: 0, height, width };
    assert(resizeBySimd(image, box, [24, 24], 3, new Uint8Array(24 * 24 * 3)));
    assertEquals(resizeBicubic(image, box, [24, 24]), defined(image, box, [24, 24]));
  }
  const image = { data: new Uint8Array(5_000_000).fill(7), height: 1, width: 5_000_000, channels: 1 };
  const box = { top: 0, left: 0, height: 1, width: image.width };
  assert(!resizeBySimd(image, box, [2, 2], 1, new Uint8Array(4)));
  assertEquals(resizeBicubic(image, box, [2, 2]), new Uint8Array(4).fill(7));
});
