import type { DeepImage } from "../../src/images/image.ts";
import { resizeDeep } from "../../src/images/resize_float.ts";
import { resizeBicubic } from "../../src/images/resize.ts";
import { assert, assertEquals } from "../deps.ts";
import { fixtureJson } from "../support/fixtures.ts";
import { fromBase64, noise } from "../data/support.ts";

interface Recorded {
  readonly sources: Readonly<Record<string, { readonly shape: [number, number]; readonly pixels: string }>>;
  readonly cases: readonly {
    readonly source: string;
    readonly box: [left: number, top: number, right: number, bottom: number];
    readonly size: [width: number, height: number];
    readonly pixels: string;
  }[];
}

Deno.test("resizeDeep() gives Pillow's bits for floats and for 16-bit integers", async () => {
  const { sources, cases } = await fixtureJson("formats/resized.json") as unknown as Recorded;
  for (const { source, box: [left, top, right, bottom], size: [width, height], pixels } of cases) {
    const { shape, pixels: stored } = sources[source];
    const { buffer } = fromBase64(stored);
    const isFloat = source === "floats";
    const image: DeepImage = {
      data: isFloat ? new Float32Array(buffer) : new Uint16Array(buffer),
      height: shape[0],
      width: shape[1],
      channels: 1,
      range: [0, isFloat ? 1 : 65535],
    };
    const box = { top, left, height: bottom - top, width: right - left };
    const expected = new Float32Array(fromBase64(pixels).buffer);
    assertEquals(resizeDeep(image, box, [height, width]), expected, `${source} ${JSON.stringify(box)}`);
  }
  assertEquals(cases.length, 12);
});

Deno.test("resizeDeep() treats channels alike, and is what resizeBicubic() rounds and cuts", () => {
  for (const channels of [1, 3, 4] as const) {
    const all = noise(40, 50, channels, 3);
    const image = { ...all, data: all.data.map((value) => 64 + value / 2) }; // nothing is cut
    const box = { top: 4, left: 7, height: 30, width: 40 };
    const bytes = resizeBicubic(image, box, [13, 17]);
    const floats = resizeDeep({ ...image, range: [0, 255] }, box, [13, 17]);
    const largest = bytes.reduce((most, value, i) => {
      return Math.max(most, Math.abs(value - 255 * floats[i]));
    }, 0);
    assert(largest <= 1.2, `${channels} channels: ${largest}`); // two roundings, the first of them weighted
  }
});

Deno.test("resizeDeep() scales by the image's range", () => {
  const image: DeepImage = {
    data: Float32Array.of(-10, 0, 10, 30),
    height: 2,
    width: 2,
    channels: 1,
    range: [-10, 10],
  };
  const whole = { top: 0, left: 0, height: 2, width: 2 };
  assertEquals([...resizeDeep(image, whole, [2, 2])], [0, 0.5, 1, 2]);
});
