import { decodeImage, type DecodeOptions } from "../../src/images/decode.ts";
import { BrokenImageError, type Image } from "../../src/images/image.ts";
import { encodePng } from "../../src/formats/png.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
import { Fixture } from "../support/fixtures.ts";
import { expectedImages, fromBase64, imageBytes, noise } from "../data/support.ts";

const rgb: DecodeOptions = { channels: 3, exif: "apply" };

/** Every `step`-th value from `first`. */
function every(values: Uint8Array, step: number, first: number): Uint8Array {
  return values.filter((_, i) => i % step === first);
}

/** RGB of RGBA. */
function withoutAlpha(rgba: Uint8Array): Uint8Array {
  return rgba.filter((_, i) => i % 4 !== 3);
}

/** Pillow's luma of RGB. */
function luma(pixels: Uint8Array): Uint8Array {
  return Uint8Array.from(
    { length: pixels.length / 3 },
    (_, i) => (pixels[3 * i] * 19595 + pixels[3 * i + 1] * 38470 + pixels[3 * i + 2] * 7471 + 0x8000) >> 16,
  );
}

function largestDifference(a: Uint8Array, b: Uint8Array): number {
  assertEquals(a.length, b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
}

/** Fails unless the bytes are broken for a reason that contains the words. */
async function assertBroken(bytes: Uint8Array, words: string): Promise<void> {
  await assertRejects(() => decodeImage(bytes, rgb), BrokenImageError, words);
}

Deno.test("decodeImage() gives Pillow's pixels for photographs", async () => {
  const fixture = await Fixture.read("transforms.safetensors");
  for (const name of ["q90_420", "q95_444"]) {
    const image = await decodeImage(await imageBytes(`photo_150x100_${name}.jpg`), rgb);
    assertEquals([image.height, image.width, image.channels], [100, 150, 3]);
    assertEquals(image.data, fixture.get(`photo_150x100_${name}_pil_decoded`).data, name);
  }
  const png = await decodeImage(await imageBytes("photo_150x100.png"), rgb);
  assertEquals(png.data, fixture.get("photo").data);
});

Deno.test("decodeImage() reads every kind of PNG, at every channel count", async () => {
  let count = 0;
  for (const [name, { width, height, rgba }] of await expectedImages()) {
    if (rgba === undefined || !name.endsWith(".png")) continue;
    const bytes = await imageBytes(name);
    const expected = fromBase64(rgba);
    const four = await decodeImage(bytes, { ...rgb, channels: 4 });
    assertEquals([four.height, four.width, four.channels], [height, width, 4], name);
    assertEquals(four.data, expected, name);
    assertEquals((await decodeImage(bytes, rgb)).data, withoutAlpha(expected), name);
    assertEquals(
      (await decodeImage(bytes, { ...rgb, channels: 1 })).data,
      luma(withoutAlpha(expected)),
      name,
    );
    count++;
  }
  assertEquals(count, 52); // 5 colour types, their depths, with and without a transparent colour, interlaced or not
});

Deno.test("decodeImage() gives Pillow's pixels for progressive, gray, restarted and RGB JPEGs", async () => {
  const expected = await expectedImages();
  for (const name of ["progressive.jpg", "gray.jpg", "restart.jpg", "rgb.jpg"]) {
    const pixels = fromBase64(expected.get(name)?.rgb ?? "");
    assertEquals((await decodeImage(await imageBytes(name), rgb)).data, pixels, name);
  }
  const gray = await decodeImage(await imageBytes("gray.jpg"), { ...rgb, channels: 1 });
  assertEquals(gray.data, every(fromBase64(expected.get("gray.jpg")?.rgb ?? ""), 3, 0));
  const opaque = await decodeImage(await imageBytes("gray.jpg"), { ...rgb, channels: 4 });
  assert(every(opaque.data, 4, 3).every((alpha) => alpha === 255));
});

Deno.test("decodeImage() gives Pillow's pixels for lossy, lossless, transparent and animated WebPs", async () => {
  const expected = await expectedImages();
  for (const name of ["lossy.webp", "lossless.webp"]) {
    const pixels = fromBase64(expected.get(name)?.rgb ?? "");
    assertEquals((await decodeImage(await imageBytes(name), rgb)).data, pixels, name);
  }
  for (const name of ["alpha.webp", "lossy_alpha.webp", "animated.webp", "animated_offset.webp"]) {
    const pixels = fromBase64(expected.get(name)?.rgba ?? "");
    assertEquals((await decodeImage(await imageBytes(name), { ...rgb, channels: 4 })).data, pixels, name);
    assertEquals((await decodeImage(await imageBytes(name), rgb)).data, withoutAlpha(pixels), name);
  }
});

Deno.test("decodeImage() converts four-colour JPEGs as Pillow does, within the decoder's rounding", async () => {
  // jpeg-js computes the cosine transform in another way than libjpeg: 3 levels is what that comes to.
  const expected = await expectedImages();
  for (const name of ["cmyk.jpg", "cmyk_imagemagick.jpg"]) {
    const { data } = await decodeImage(await imageBytes(name), rgb);
    const largest = largestDifference(data, fromBase64(expected.get(name)?.rgb ?? ""));
    assert(largest <= 3, `${name} is off by ${largest}`);
  }
});

Deno.test("decodeImage() takes a four-colour JPEG without Adobe's segment like one with it", async () => {
  const bytes = await imageBytes("cmyk.jpg");
  const at = bytes.findIndex((value, i) => value === 0xff && bytes[i + 1] === 0xee);
  const without = new Uint8Array([...bytes.subarray(0, at), ...bytes.subarray(at + 16)]);
  assertEquals((await decodeImage(without, rgb)).data, (await decodeImage(bytes, rgb)).data);
});

Deno.test("decodeImage() applies or ignores the EXIF orientation in all three formats", async () => {
  let count = 0;
  for (const [name, { width, height, rgb: turned, asStored }] of await expectedImages()) {
    if (turned === undefined || asStored === undefined) continue;
    const bytes = await imageBytes(name);
    const applied = await decodeImage(bytes, rgb);
    assertEquals([applied.width, applied.height], [width, height], name);
    assertEquals(applied.data, fromBase64(turned), name);
    const stored = await decodeImage(bytes, { ...rgb, exif: "ignore" });
    assertEquals([stored.width, stored.height], [24, 16], name);
    assertEquals(stored.data, fromBase64(asStored), name);
    count++;
  }
  assertEquals(count, 10);
});

Deno.test("decodeImage() goes by content, and ignores what follows the end of an image", async () => {
  // Nothing is told the file's name, so a PNG called .jpg is a PNG.
  for (const name of ["gray8.png", "progressive.jpg", "lossy.webp"]) {
    const bytes = await imageBytes(name);
    const followed = new Uint8Array([...bytes, ...new TextEncoder().encode("trailing remarks")]);
    assertEquals((await decodeImage(followed, rgb)).data, (await decodeImage(bytes, rgb)).data, name);
  }
});

Deno.test("decodeImage() refuses a file that was cut anywhere", async () => {
  const names = [
    "photo_150x100.png",
    "photo_150x100_q90_420.jpg",
    "progressive.jpg",
    "cmyk.jpg",
    "rgb16_adam7.png",
  ];
  for (const name of [...names, "lossy.webp", "lossless.webp", "alpha.webp", "animated_offset.webp"]) {
    const bytes = await imageBytes(name);
    await decodeImage(bytes, rgb);
    const step = Math.max(1, Math.floor(bytes.length / 100));
    for (let length = bytes.length - 1; length >= 0; length -= step) {
      await assertRejects(() => decodeImage(bytes.subarray(0, length), rgb), BrokenImageError);
    }
  }
});

Deno.test("decodeImage() refuses damage inside a file and goes on with the next", async () => {
  const jpeg = await imageBytes("photo_150x100_q90_420.jpg");
  const zeroed = jpeg.slice().fill(0, 3000, 5000);
  await assertBroken(zeroed, "damaged JPEG");
  // Lost bytes in the middle: everything after them is shifted, the end marker is there.
  await assertBroken(new Uint8Array([...jpeg.subarray(0, 3000), ...jpeg.subarray(4000)]), "damaged JPEG");
  await assertBroken(jpeg.slice().fill(0xff, 200, 260), "JPEG");

  const png = await imageBytes("photo_150x100.png");
  png[15000] ^= 1;
  await assertBroken(png, "checksum of its IDAT");

  const webp = (await imageBytes("lossless.webp")).fill(0x55, 60, 300);
  await assertBroken(webp, "damaged WebP");

  const sound = await decodeImage(jpeg, rgb);
  assertEquals(
    sound.data,
    (await Fixture.read("transforms.safetensors")).get("photo_150x100_q90_420_pil_decoded").data,
  );
});

Deno.test("decodeImage() never gives anything but an image or a BrokenImageError", async () => {
  for (
    const name of [
      "restart.jpg",
      "cmyk.jpg",
      "palette4_trns_adam7.png",
      "lossy_alpha.webp",
      "animated_offset.webp",
    ]
  ) {
    const bytes = await imageBytes(name);
    for (let i = 0; i < 300; i++) {
      const changed = bytes.slice();
      changed[(i * 7919) % bytes.length] ^= 1 + (i % 255);
      const image: Image | Error = await decodeImage(changed, rgb).catch((error) => error);
      if (image instanceof Error) {
        assert(image instanceof BrokenImageError, `${name}, change ${i}: ${image.stack}`);
      } else assertEquals(image.data.length, image.height * image.width * 3);
    }
  }
});

Deno.test("decodeImage() says what a file is that is no image", async () => {
  const text = (letters: string) => Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  await assertBroken(new Uint8Array(0), "the file is empty");
  await assertBroken(new Uint8Array(5000), "not an image");
  await assertBroken(text("this is a plain text with the wrong ending"), "not an image");
  await assertBroken(text("<!DOCTYPE html><title>404</title>"), "a web page");
  await assertBroken(text("BM............"), "a BMP");
  await assertBroken(text("\0\0\0\x1cftypheic\0\0\0\0mif1heic"), "a HEIC image");
  await assertBroken(Uint8Array.of(0xff, 0xd8, 0xff), "truncated");
  await assertBroken(Uint8Array.of(0xff, 0xd8, 0xff, 0xd9), "no frame header");
  await assertBroken(await imageBytes("arithmetic.jpg"), "arithmetic coding is not implemented");
});

/** A PNG whose header declares another size, its checksum put right. */
function withDeclaredSize(width: number, height: number): Uint8Array {
  const bytes = encodePng(noise(4, 4, 3));
  const view = new DataView(bytes.buffer);
  view.setUint32(16, width);
  view.setUint32(20, height);
  view.setUint32(29, crcOf(bytes.subarray(12, 29)));
  return bytes;
}

function crcOf(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

Deno.test("decodeImage() refuses absurd declared sizes before decoding anything", async () => {
  await assertBroken(withDeclaredSize(100_000, 100_000), "declares 100000x100000 pixels");
  await assertBroken(withDeclaredSize(0, 5), "empty size of 0x5");
  await assertBroken(withDeclaredSize(400, 400), "fewer pixels than it declares");

  const jpeg = await imageBytes("photo_150x100_q90_420.jpg");
  const frame = jpeg.findIndex((value, i) => value === 0xff && jpeg[i + 1] === 0xc0);
  jpeg.set([0xff, 0xff, 0xff, 0xff], frame + 5);
  await assertBroken(jpeg, "declares 65535x65535 pixels");
  jpeg.set([0, 0], frame + 5);
  await assertBroken(jpeg, "empty size of 65535x0");

  const small = await imageBytes("photo_150x100.png");
  await assertRejects(
    () => decodeImage(small, { ...rgb, maxPixels: 14_999 }),
    BrokenImageError,
    "limit of 14999",
  );
  assertEquals((await decodeImage(small, { ...rgb, maxPixels: 15_000 })).width, 150);
});

Deno.test("decodeImage() bounds what a PNG may unpack", async () => {
  // 4x4 pixels declared, a megabyte of zeros packed: a decompression bomb in small.
  const bomb = encodePng({ data: new Uint8Array(1024 * 1024), height: 1024, width: 1024, channels: 1 });
  const view = new DataView(bomb.buffer);
  view.setUint32(16, 4);
  view.setUint32(20, 4);
  view.setUint32(29, crcOf(bomb.subarray(12, 29)));
  await assertBroken(bomb, "damaged PNG");
});
