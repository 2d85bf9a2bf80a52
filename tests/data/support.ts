/** Image files for the data tests. */
import type { AugmentConfig, Size } from "../../src/config/types.ts";
import { type CropDraws, type CropRanges, randomResizedCropBox } from "../../src/augment/crop.ts";
import type { Image, ImageWindow } from "../../src/images/image.ts";
import { encodePng } from "../../src/formats/png.ts";
import { Random } from "../../src/util/random.ts";
import { fixturePath } from "../support/fixtures.ts";

/** The bytes of a file in tests/fixtures/images. */
export function imageBytes(name: string): Promise<Uint8Array> {
  return Deno.readFile(fixturePath(`images/${name}`));
}

/** Pixels that Pillow, or for what it cannot read a formula, gives for a file in tests/fixtures/images. */
export interface ExpectedImage {
  readonly width: number;
  readonly height: number;
  readonly rgb?: string;
  readonly rgba?: string;
  readonly asStored?: string;
}

/** All of expected.json. */
export async function expectedImages(): Promise<Map<string, ExpectedImage>> {
  const text = await Deno.readTextFile(fixturePath("images/expected.json"));
  return new Map(Object.entries(JSON.parse(text) as Record<string, ExpectedImage>));
}

/** Bytes of base64 text. */
export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** An image of random pixels. */
export function noise(
  height: number,
  width: number,
  channels: 1 | 3 | 4,
  seed = 1,
): Image & { channels: 1 | 3 | 4 } {
  const random = new Random(seed);
  const data = Uint8Array.from({ length: height * width * channels }, () => random.integer(256));
  return { data, height, width, channels };
}

/** Runs a test in a folder of its own, which is removed afterwards. */
export async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "mae-data-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Writes `count` small PNGs of random pixels, `000.png` and so on, each of another size. */
export async function writeImages(folder: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const name = `${folder}/${String(i).padStart(3, "0")}.png`;
    await Deno.writeFile(name, encodePng(noise(20 + i % 5, 24 + i % 7, 3, i + 1)));
  }
}

/** MAE's augmentation. */
export const maeAugment: AugmentConfig = { cropScale: [0.2, 1], cropRatio: [3 / 4, 4 / 3], flip: true };

/** The bytes of a file in tests/fixtures/formats. */
export function formatBytes(name: string): Promise<Uint8Array> {
  return Deno.readFile(fixturePath(`formats/${name}`));
}

/** What a file in tests/fixtures/formats holds. */
export interface ExpectedFormat {
  /** [height, width] or [height, width, channels]. */
  readonly shape: readonly number[];
  /** numpy's name of the values' type. */
  readonly type: string;
  /** The values' bytes. */
  readonly pixels: Uint8Array;
}

/** What the files with an ending hold, by name. */
export async function expectedFormats(ending: string): Promise<[string, ExpectedFormat][]> {
  const text = await Deno.readTextFile(fixturePath("formats/expected.json"));
  const all = Object.entries(
    JSON.parse(text) as Record<string, Omit<ExpectedFormat, "pixels"> & { pixels: string }>,
  );
  return all.filter(([name]) => name.endsWith(ending)).map(([name, { shape, type, pixels }]) => [
    name,
    { shape, type, pixels: fromBase64(pixels) },
  ]);
}

/** Draws a crop of the image and augments it, both from one stream, as data workers do. */
export function drawAndAugment<Ranges extends CropRanges, Draws extends CropDraws>(
  augmentCrop: (crop: ImageWindow, size: Size, augment: Ranges, draws: Draws, out?: Uint8Array) => Uint8Array,
  image: Image,
  size: Size,
  augment: Ranges,
  draws: Draws,
  out?: Uint8Array,
): Uint8Array {
  const box = randomResizedCropBox(image.height, image.width, augment, draws);
  return augmentCrop({ image, box }, size, augment, draws, out);
}
