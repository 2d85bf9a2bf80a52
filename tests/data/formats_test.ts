import { decodeImage, type DecodeOptions } from "../../src/data/decode.ts";
import { BrokenImageError } from "../../src/data/image.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
import { expectedFormats, formatBytes } from "./support.ts";

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
