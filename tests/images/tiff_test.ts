import { decodeDeepImage, decodeImage, type DecodeOptions } from "../../src/images/decode.ts";
import { BrokenImageError } from "../../src/images/image.ts";
import { assert, assertEquals, assertRejects } from "../deps.ts";
import { type ExpectedFormat, expectedFormats, formatBytes } from "../data/support.ts";

const rgb: DecodeOptions = { channels: 3, exif: "apply" };

/** The values that a file must give, as numbers. */
function numbersOf({ type, pixels: { buffer } }: ExpectedFormat): ArrayLike<number> {
  switch (type) {
    case "uint8":
      return new Uint8Array(buffer);
    case "int8":
      return new Int8Array(buffer);
    case "uint16":
      return new Uint16Array(buffer);
    case "int16":
      return new Int16Array(buffer);
    case "uint32":
      return new Uint32Array(buffer);
    case "int32":
      return new Int32Array(buffer);
    case "float32":
      return new Float32Array(buffer);
    default:
      return new Float64Array(buffer);
  }
}

/** Files that Pillow's conversions were noted for, with the channels of the note. */
const CONVERTED =
  /^(white_is_zero|rgba|rgba_multiplied|gray_alpha|palette|bilevel|cmyk|jpeg\w*|rgb_and_more|turned_\d)\.tif$/;

Deno.test("decodeDeepImage() gives every value of a TIFF as tifffile wrote it", async () => {
  let count = 0;
  for (const [name, expected] of await expectedFormats(".tif")) {
    if (CONVERTED.test(name)) continue;
    const [height, width, channels = 1] = expected.shape;
    const image = await decodeDeepImage(await formatBytes(name), { channels, exif: "apply" });
    assertEquals([image.height, image.width, image.channels], [height, width, channels], name);
    const values = numbersOf(expected);
    const rounded = image.data instanceof Float32Array ? Float32Array.from(values) : Array.from(values);
    assertEquals(Array.from(image.data), Array.from(rounded), name);
    count++;
  }
  assertEquals(count, 20);
});

Deno.test("decodeDeepImage() keeps integers of 16 bits, and says which value counts as 1", async () => {
  const read = async (name: string, channels = 1) =>
    await decodeDeepImage(await formatBytes(`${name}.tif`), { channels, exif: "apply" });
  assert((await read("bands16", 5)).data instanceof Uint16Array);
  assertEquals((await read("bands16", 5)).range, [0, 65535]);
  assertEquals((await read("rgb_none", 3)).range, [0, 255]);
  assertEquals((await read("int8")).range, [0, 127]);
  assertEquals((await read("int16")).range, [0, 32767]);
  assertEquals((await read("uint32")).range, [0, 2 ** 32 - 1]);
  assertEquals((await read("double")).range, [0, 1]);
  const given = { channels: 1, exif: "apply", range: [-5, 5] } as const;
  assertEquals((await decodeDeepImage(await formatBytes("double.tif"), given)).range, [-5, 5]);
});

Deno.test("decodeImage() gives Pillow's pixels for the TIFFs that Pillow reads", async () => {
  let count = 0;
  for (const [name, { shape: [height, width, channels], pixels }] of await expectedFormats(".tif")) {
    if (!CONVERTED.test(name)) continue;
    const image = await decodeImage(await formatBytes(name), { ...rgb, channels });
    assertEquals([image.height, image.width, image.channels], [height, width, channels], name);
    assertEquals(image.data, pixels, name);
    count++;
  }
  assertEquals(count, 14);
});

Deno.test("decodeImage() chooses bands, counted from 1", async () => {
  const bytes = await formatBytes("bands16_planar.tif");
  const all = await decodeDeepImage(bytes, { channels: 5, exif: "apply" });
  const some = await decodeDeepImage(bytes, { channels: 2, exif: "apply", bands: [4, 1] });
  assertEquals(some.channels, 2);
  for (let i = 0; i < all.height * all.width; i++) {
    assertEquals([some.data[2 * i], some.data[2 * i + 1]], [all.data[5 * i + 3], all.data[5 * i]]);
  }
  await assertRejects(
    () => decodeImage(bytes, { channels: 1, exif: "apply", bands: [6] }),
    BrokenImageError,
    "has 5 bands, and data.bands asks for 6",
  );
  await assertRejects(
    () => decodeImage(bytes, rgb),
    BrokenImageError,
    "has 5 bands, and the model takes 3; data.bands chooses among them",
  );
});

Deno.test("decodeImage() reduces more than 8 bits as told, or refuses to", async () => {
  const bytes = await formatBytes("gray16_big_endian.tif");
  const one = { channels: 1, exif: "apply" } as const;
  const { data } = await decodeDeepImage(bytes, one);
  assertEquals(
    (await decodeImage(bytes, one)).data,
    Uint8Array.from(data, (value) => Math.round(value / 257)),
  );
  const ranged = await decodeImage(bytes, { ...one, range: [10000, 20000] });
  assertEquals(
    ranged.data,
    Uint8Array.from(data, (value) => Math.max(0, Math.min(255, Math.round((value - 10000) / 10000 * 255)))),
  );
  await assertRejects(
    () => decodeImage(bytes, { ...one, values: "auto" }),
    BrokenImageError,
    "holds values of 16 bits; data.values must say whether they are kept (float32) or reduced to 8 bits (uint8)",
  );
  await decodeImage(await formatBytes("rgb_none.tif"), { ...rgb, values: "auto" });
});

Deno.test("decodeImage() says what is wrong with a TIFF that is cut", async () => {
  for (const name of ["rgb_none", "rgb_tiles", "bands16", "jpeg", "palette", "float"]) {
    const bytes = await formatBytes(`${name}.tif`);
    const step = Math.max(1, Math.floor(bytes.length / 50));
    for (let length = bytes.length - 1; length > 4; length -= step) {
      await assertRejects(() => decodeImage(bytes.slice(0, length), rgb), BrokenImageError);
    }
  }
});

/** A TIFF of 8x8 gray bytes without packing, with some tags (type 4) changed or added, the data last. */
function gray(changes: Readonly<Record<number, number>>, data = new Uint8Array(64)): Uint8Array {
  const usual = { 256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: 8, 279: data.length };
  const tags = Object.entries({ ...usual, ...changes }).map(([tag, value]) => [Number(tag), value]);
  const start = 14 + 12 * tags.length;
  const bytes = new Uint8Array(start + data.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x49, 0x49, 42, 0, 8, 0, 0, 0, tags.length, 0]);
  for (const [i, [tag, value]] of tags.entries()) {
    view.setUint16(10 + 12 * i, tag, true);
    view.setUint16(12 + 12 * i, 4, true);
    view.setUint32(14 + 12 * i, 1, true);
    view.setUint32(18 + 12 * i, tag === 273 && value === 0 ? start : value, true);
  }
  bytes.set(data, start);
  return bytes;
}

Deno.test("decodeImage() refuses what a TIFF declares before it makes room for it", async () => {
  assertEquals((await decodeImage(gray({}), rgb)).height, 8);
  const cases: [Record<number, number>, string][] = [
    [{ 256: 60000, 257: 60000 }, "declares 60000x60000 pixels"],
    [{ 277: 60000, 256: 500, 257: 500 }, "bands, 15000000000 bytes, more than the limit"],
    [{ 256: 0 }, "declares an empty size"],
    [{ 322: 2 ** 31, 323: 2 ** 31, 324: 8, 325: 8 }, "tiles are far larger"],
    [{ 278: 0 }, "empty blocks"],
    [{ 278: 1 }, "it has 1 of 8 blocks"],
    [{ 259: 34887 }, "packed by LERC"],
    [{ 258: 12 }, "numbers of 12 bits"],
    [{ 339: 5 }, "of kind 5"],
    [{ 262: 8 }, "colours are of kind 8"],
    [{ 317: 3 }, "predictor 3 is not read for numbers of 8 bits"],
    [{ 279: 1000 }, "the TIFF points to byte"],
    [{ 279: 63 }, "fewer pixels than it declares"],
  ];
  for (const [changes, words] of cases) {
    await assertRejects(() => decodeImage(gray(changes), rgb), BrokenImageError, words);
  }
});

Deno.test("decodeImage() unpacks no more of a TIFF than its size comes to", async () => {
  const zeros = new Blob([new Uint8Array(2 ** 24)]).stream().pipeThrough(new CompressionStream("deflate"));
  const packed = new Uint8Array(await new Response(zeros).arrayBuffer());
  await assertRejects(() => decodeImage(gray({ 259: 8 }, packed), rgb), BrokenImageError, "damaged TIFF");
  const many = gray({});
  many.set([0xff, 0xff, 0xff, 0x7f], 10 + 12 * 2 + 4); // bits per sample, two thousand million times
  await assertRejects(() => decodeImage(many, rgb), BrokenImageError, "points to byte");
});
