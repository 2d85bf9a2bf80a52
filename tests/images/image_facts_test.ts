/** What headers say, for every kind of file among the fixtures. */
import { readFacts } from "../../src/images/image_facts.ts";
import { assertEquals } from "../deps.ts";
import { formatBytes, imageBytes } from "../data/support.ts";

const images: Readonly<Record<string, string>> = {
  "rgb.jpg": "JPEG, RGB, 8 bits",
  "progressive.jpg": "JPEG, RGB, 8 bits",
  "gray.jpg": "JPEG, gray, 8 bits",
  "cmyk.jpg": "JPEG, CMYK, 8 bits",
  "exif_6.jpg": "JPEG, RGB, 8 bits",
  "gray1.png": "PNG, gray, 1 bits",
  "gray16_trns.png": "PNG, gray and alpha, 16 bits",
  "graya8.png": "PNG, gray and alpha, 8 bits",
  "rgb8_trns.png": "PNG, RGB and alpha, 8 bits",
  "rgba16_adam7.png": "PNG, RGB and alpha, 16 bits",
  "palette4_trns.png": "PNG, palette, 4 bits",
  "lossy.webp": "WebP, RGB, 8 bits",
  "lossy_alpha.webp": "WebP, RGB and alpha, 8 bits",
  "animated.webp": "WebP, RGB and alpha, 8 bits, animated",
};

const formats: Readonly<Record<string, string>> = {
  "two_colors.gif": "GIF, palette, 8 bits",
  "animated.gif": "GIF, palette, 8 bits, animated",
  "rgb.avif": "AVIF, RGB, 8 bits",
  "gray.avif": "AVIF, gray, 8 bits",
  "alpha.avif": "AVIF, RGB and alpha, 8 bits",
  "sequence.avif": "AVIF, RGB, 8 bits, animated",
  "bands16.tif": "TIFF, bands, 16 bits",
  "palette.tif": "TIFF, palette, 8 bits",
  "cmyk.tif": "TIFF, CMYK, 8 bits",
  "gray_alpha.tif": "TIFF, gray and alpha, 8 bits",
  "bilevel.tif": "TIFF, gray, 1 bits",
  "double.tif": "TIFF, gray, 64 bits",
};

function shown(bytes: Uint8Array): string {
  const facts = readFacts(bytes);
  return facts === undefined
    ? "nothing"
    : `${facts.format}, ${facts.colors}, ${facts.depth} bits${facts.animated ? ", animated" : ""}`;
}

Deno.test("readFacts() tells format, colours, depth and frames", async () => {
  for (const [name, facts] of Object.entries(images)) {
    assertEquals([name, shown(await imageBytes(name))], [name, facts]);
  }
  for (const [name, facts] of Object.entries(formats)) {
    assertEquals([name, shown(await formatBytes(name))], [name, facts]);
  }
  assertEquals(readFacts(new TextEncoder().encode("BM, not an image")), undefined);
});

Deno.test("readFacts() of bytes that are cut anywhere ends", async () => {
  for (
    const bytes of [
      await imageBytes("rgb.jpg"),
      await imageBytes("gray8_trns.png"),
      await formatBytes("animated.gif"),
    ]
  ) {
    for (let length = 27; length < bytes.length; length += 7) readFacts(bytes.subarray(0, length));
  }
});
