import { decodeBox, decodeImage } from "../../src/images/decode.ts";
import type { Box, ImageWindow } from "../../src/images/image.ts";
import { decodeJpeg } from "../../src/images/jpeg.ts";
import { type BaselineJpeg, readBaseline } from "../../src/images/jpeg_baseline.ts";
import { BaselineDecoder } from "../../src/images/jpeg_simd.ts";
import { huffmanTable, NATURAL_ORDER } from "../../src/images/jpeg_tables.ts";
import { startJpegDecoder } from "../../src/deps/images.ts";
import { Random } from "../../src/util/random.ts";
import { assert, assertEquals } from "../deps.ts";
import { Fixture } from "../support/fixtures.ts";
import { imageBytes } from "../data/support.ts";
import { type Sampling, writeJpeg } from "./write_jpeg.ts";

const decoder = new BaselineDecoder();

function open(bytes: Uint8Array): BaselineJpeg {
  const jpeg = readBaseline(bytes);
  assert(jpeg !== undefined);
  return jpeg;
}

function whole({ height, width }: BaselineJpeg): Box {
  return { top: 0, left: 0, height, width };
}

/** RGB of a box within a window. */
function rgbOf(window: ImageWindow | undefined): Uint8Array {
  assert(window !== undefined);
  const { image, box } = window;
  const out: number[] = [];
  for (let y = box.top; y < box.top + box.height; y++) {
    for (let x = box.left; x < box.left + box.width; x++) {
      for (let c = 0; c < 3; c++) {
        out.push(image.data[(y * image.width + x) * image.channels + (image.channels === 1 ? 0 : c)]);
      }
    }
  }
  return Uint8Array.from(out);
}

/** What libjpeg gives: RGB, and its warnings. */
async function byLibjpeg(bytes: Uint8Array): Promise<{ rgb: Uint8Array | null; lines: string[] }> {
  const lines: string[] = [];
  const libjpeg = await startJpegDecoder({ printErr: (line) => lines.push(line) });
  try {
    const image = libjpeg.decode(bytes, false);
    return { rgb: image && Uint8Array.from(image.data).filter((_, i) => i % 4 !== 3), lines };
  } catch {
    return { rgb: null, lines };
  }
}

function boxOf(rgb: Uint8Array, width: number, box: Box): Uint8Array {
  return Uint8Array.from({ length: box.height * box.width * 3 }, (_, i) => {
    const x = box.left + Math.floor(i / 3) % box.width, y = box.top + Math.floor(i / 3 / box.width);
    return rgb[(y * width + x) * 3 + i % 3];
  });
}

Deno.test("the decoder gives Pillow's pixels of photographs", async () => {
  const fixture = await Fixture.read("transforms.safetensors");
  for (const name of ["photo_150x100_q90_420", "photo_150x100_q95_444"]) {
    const bytes = await imageBytes(`${name}.jpg`), jpeg = open(bytes);
    assertEquals(
      rgbOf(decoder.decode(bytes, jpeg, whole(jpeg))),
      fixture.get(`${name}_pil_decoded`).data,
      name,
    );
  }
});

Deno.test("the decoder gives libjpeg's pixels for every sampling, size and box", async () => {
  const random = new Random(5);
  const samplings: Sampling[] = ["gray", "444", "422", "420"];
  for (let i = 0; i < 60; i++) {
    const sampling = samplings[i % 4];
    const height = 1 + random.integer(70), width = 5 + random.integer(i % 12 === 0 ? 300 : 70);
    const restartInterval = i % 3 === 0 ? 1 + random.integer(5) : 0;
    const bytes = writeJpeg({ height, width, sampling, restartInterval, random });
    const { rgb, lines } = await byLibjpeg(bytes);
    assert(rgb !== null && lines.length === 0, lines.join());
    const jpeg = open(bytes);
    assertEquals(rgbOf(decoder.decode(bytes, jpeg, whole(jpeg))), rgb, `${sampling} ${width}x${height}`);
    for (let k = 0; k < 4; k++) {
      const box = { top: 0, left: 0, height: 1 + random.integer(height), width: 1 + random.integer(width) };
      box.top = random.integer(height - box.height + 1);
      box.left = random.integer(width - box.width + 1);
      const message = `${sampling} ${width}x${height} ${JSON.stringify(box)}`;
      assertEquals(rgbOf(decoder.decode(bytes, jpeg, box)), boxOf(rgb, width, box), message);
    }
  }
});

Deno.test("whatever the decoder takes, libjpeg takes without a warning", async () => {
  const random = new Random(6);
  const bytes = [
    await imageBytes("photo_150x100_q90_420.jpg"),
    await imageBytes("restart.jpg"),
    writeJpeg({ height: 40, width: 50, sampling: "422", restartInterval: 2, random }),
  ];
  let taken = 0, left = 0;
  for (let i = 0; i < 300; i++) {
    const changed = bytes[i % 3].slice();
    for (let k = 0; k <= i % 4; k++) changed[2 + random.integer(changed.length - 2)] = random.integer(256);
    const jpeg = readBaseline(changed);
    if (jpeg === undefined || jpeg.height * jpeg.width > 1e6) continue;
    if (decoder.decode(changed, jpeg, { top: 0, left: 0, height: 1, width: 1 }) === undefined) left++;
    else {
      taken++;
      const { rgb, lines } = await byLibjpeg(changed);
      assert(rgb !== null, `change ${i}`);
      assertEquals(lines.filter((line) => !/version number/.test(line)), [], `change ${i}`);
    }
  }
  assert(taken > 20 && left > 20, `${taken} taken, ${left} left to libjpeg`);
});

Deno.test("decodeBox() reads a box of every format, turned or not, and notices damage outside of it", async () => {
  const box = { top: 3, left: 4, height: 5, width: 6 };
  for (
    const name of [
      "photo_150x100_q90_420.jpg",
      "progressive.jpg",
      "gray.jpg",
      "palette8.png",
      "exif_6.jpg",
      "lossy.webp",
    ]
  ) {
    const bytes = await imageBytes(name);
    const { data, height, width } = await decodeImage(bytes, { channels: 3, exif: "apply" });
    const window = await decodeBox(bytes, { channels: 3, exif: "apply" }, (...size) => {
      assertEquals(size, [height, width]);
      return box;
    });
    assertEquals(rgbOf(window), boxOf(data, width, box), name);
  }
  const zeroed = (await imageBytes("photo_150x100_q90_420.jpg")).fill(0, 4000, 5000);
  const failure = await decodeBox(zeroed, { channels: 3, exif: "apply" }, () => box).catch((error) => error);
  assertEquals(failure.name, "BrokenImageError");
});

Deno.test("what is not plain baseline is left to libjpeg", async () => {
  for (const name of ["progressive.jpg", "cmyk.jpg", "rgb.jpg"]) {
    assertEquals(readBaseline(await imageBytes(name)), undefined, name);
  }
  const random = new Random(7);
  const narrow = writeJpeg({ height: 9, width: 4, sampling: "420", restartInterval: 0, random });
  assertEquals(readBaseline(narrow), undefined);
  const sound = await imageBytes("photo_150x100_q90_420.jpg");
  for (let length = 0; length < 700; length++) readBaseline(sound.subarray(0, length)); // must not throw
  const jpeg = open(sound);
  assertEquals(decoder.decode(sound.subarray(0, -2), jpeg, whole(jpeg)), undefined, "no end marker");
  assertEquals(
    decoder.decode(new Uint8Array([...sound.subarray(0, -2), 0, 0xff, 0xd9]), jpeg, whole(jpeg)),
    undefined,
  );
});

Deno.test("huffmanTable() refuses counts that allow no code", () => {
  const counts = new Uint8Array(16);
  counts[0] = 3; // of one bit there are two codes
  assertEquals(huffmanTable(counts, new Uint8Array(3)), undefined);
  counts[0] = 2;
  assert(huffmanTable(counts, new Uint8Array(2)) !== undefined);
});

Deno.test("NATURAL_ORDER names every place of a block once", () => {
  assertEquals([...NATURAL_ORDER].sort((a, b) => a - b), Array.from({ length: 64 }, (_, i) => i));
  assertEquals(NATURAL_ORDER.slice(0, 6), [0, 1, 8, 16, 9, 2]);
});

Deno.test("a JPEG has the channels of its file, whoever decodes it", async () => {
  for (
    const [name, channels] of [["gray.jpg", 1], ["restart.jpg", 3], ["progressive.jpg", 3], [
      "cmyk.jpg",
      3,
    ]] as const
  ) {
    assertEquals((await decodeJpeg(await imageBytes(name), 1e6)).channels, channels, name);
  }
});
