import { decodeDeepImage, decodeImage, type DecodeOptions } from "../../src/images/decode.ts";
import { BrokenImageError } from "../../src/images/image.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
import { expectedFormats, formatBytes } from "../data/support.ts";

const rgb: DecodeOptions = { channels: 3, exif: "apply" };

Deno.test("decodeImage() gives Pillow's pixels for the first frame of every kind of GIF", async () => {
  let count = 0;
  for (const [name, { shape: [height, width, channels], pixels }] of await expectedFormats(".gif")) {
    const image = await decodeImage(await formatBytes(name), { ...rgb, channels: channels === 4 ? 4 : 3 });
    assertEquals([image.height, image.width], [height, width], name);
    assertEquals(image.data, pixels, name);
    count++;
  }
  assertEquals(count, 10);
});

Deno.test("decodeImage() says what is wrong with a GIF that is cut or damaged", async () => {
  const bytes = await formatBytes("palette.gif");
  // The trailer says nothing about the frame.
  for (let length = 6; length < bytes.length - 2; length++) {
    await assertRejects(() => decodeImage(bytes.slice(0, length), rgb), BrokenImageError);
  }
  const declared = bytes.slice();
  declared.set([0xff, 0xff, 0xff, 0xff], 6);
  await assertRejects(() => decodeImage(declared, rgb), BrokenImageError, "declares 65535x65535 pixels");
});

Deno.test("decodeImage() reads AVIF within the decoders' ways of spreading colours", async () => {
  // Pillow's libavif spreads half-size colour planes by another filter; gray is equal.
  for (const [name, { shape: [height, width, channels], pixels }] of await expectedFormats(".avif")) {
    const image = await decodeImage(await formatBytes(name), { ...rgb, channels: channels === 4 ? 4 : 3 });
    assertEquals([image.height, image.width], [height, width], name);
    const largest = image.data.reduce((most, value, i) => Math.max(most, Math.abs(value - pixels[i])), 0);
    const most = name === "gray.avif" ? 0 : name.startsWith("exif") ? 3 : 2;
    assert(largest <= most, `${name} is off by ${largest}`);
  }
});

Deno.test("decodeImage() says what is wrong with an AVIF that is cut or declares too much", async () => {
  const bytes = await formatBytes("rgb.avif");
  for (let length = 16; length < bytes.length; length += 7) {
    await assertRejects(() => decodeImage(bytes.slice(0, length), rgb), BrokenImageError);
  }
  const at = String.fromCharCode(...bytes).indexOf("ispe") + 8;
  const declared = bytes.slice();
  declared.set([0, 1, 0, 0, 0, 1, 0, 0], at);
  await assertRejects(() => decodeImage(declared, rgb), BrokenImageError, "declares 65536x65536 pixels");
});

Deno.test("decodeDeepImage() gives every bit of a PNG of 16 bits", async () => {
  for (const [name, { shape: [height, width, channels = 1], pixels }] of await expectedFormats("16.png")) {
    const image = await decodeDeepImage(await formatBytes(name), {
      channels,
      exif: "apply",
      values: "float32",
    });
    assertEquals([image.height, image.width, image.range], [height, width, [0, 65535]], name);
    assertEquals(image.data, new Uint16Array(pixels.buffer), name);
  }
  const gray = await decodeDeepImage(await formatBytes("gray16.png"), { channels: 3, exif: "apply" });
  assertEquals([gray.data[0], gray.data[1], gray.data.length], [gray.data[2], gray.data[0], 9 * 13 * 3]);
});

Deno.test("an AVIF of 10 bits keeps them where floats are wanted, and only there", async () => {
  const bytes = await formatBytes("ten_bits.avif");
  const deep = await decodeDeepImage(bytes, { ...rgb, values: "float32" });
  const [[, { pixels }]] = await expectedFormats("ten_bits");
  const stored = new Uint16Array(pixels.buffer);
  assertEquals(deep.range, [0, 65535]);
  const largest = Array.from(deep.data).reduce(
    (most, value, i) => Math.max(most, Math.abs(value / 65535 * 1023 - stored[i])),
    0,
  );
  assert(largest <= 2, `off by ${largest} of 1023`); // to YCbCr and back
  assert(new Set(deep.data).size > new Set((await decodeImage(bytes, rgb)).data).size);
  assertEquals(
    (await decodeImage(bytes, { ...rgb, values: "auto" })).data,
    (await decodeImage(bytes, rgb)).data,
  );
});

Deno.test("decodeImage() refuses an AVIF whose frames are larger than it declares, before they are decoded", async () => {
  for (const name of ["rgb.avif", "sequence.avif", "alpha.avif"]) {
    const bytes = await formatBytes(name);
    const text = String.fromCharCode(...bytes);
    for (const box of ["ispe", "tkhd"]) {
      for (let at = text.indexOf(box); at >= 0; at = text.indexOf(box, at + 4)) {
        const size = box === "ispe" ? at + 8 : at + bytes[at - 1] - 12;
        bytes.set(box === "ispe" ? [0, 0, 0, 8, 0, 0, 0, 8] : [0, 8, 0, 0, 0, 8, 0, 0], size);
      }
    }
    await assertRejects(
      () => decodeImage(bytes, rgb),
      BrokenImageError,
      "the AVIF declares 8x8, holds 24x16",
    );
  }
});

Deno.test("decodeImage() does not follow an AVIF's boxes without end", async () => {
  const bytes = new Uint8Array(24 + 12 * 50_000);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode("\0\0\0\x18ftypavif\0\0\0\0avifmif1"));
  for (let at = 24; at < bytes.length; at += 12) {
    view.setUint32(at, bytes.length - at);
    bytes.set(new TextEncoder().encode("meta"), at + 4);
  }
  await assertRejects(() => decodeImage(bytes, rgb), BrokenImageError, "without end");
});
