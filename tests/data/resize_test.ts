import type { Image } from "../../src/data/image.ts";
import { resizeBicubic } from "../../src/data/resize.ts";
import { assertEquals } from "../deps.ts";
import { Fixture, fixtureJson } from "../support/fixtures.ts";
import { noise } from "./support.ts";

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
