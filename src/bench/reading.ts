/** How many bytes a second one thread reads of a data set, image by image, as data workers do. */
import { readSampleSync } from "../sources/sample_bytes.ts";
import type { ImageSource } from "../sources/source.ts";
import { median } from "./timing.ts";

/** What was read, from the system's cache where the data set is on a disk. */
export interface ReadingRate {
  /** Images of a round. */
  readonly images: number;
  /** The median over rounds. */
  readonly bytesPerSecond: number;
  /** The fastest round. */
  readonly fastest: number;
  /** The median over rounds. */
  readonly imagesPerSecond: number;
}

/** Most images of a round. */
const MOST_IMAGES = 2000;

/** Reads the images once, in their order; their bytes together. */
async function readAll(source: ImageSource, images: number): Promise<number> {
  let bytes = 0;
  for (let sample = 0; sample < images; sample++) {
    bytes += readSampleSync(await source.locate(sample)).length;
  }
  return bytes;
}

/**
 * Rounds through the data set, or its first 2000 images, for so many seconds and three at least, after one that fills the
 * system's cache. Throws `BrokenImageError` where an image cannot be read.
 */
export async function measureReading(source: ImageSource, seconds: number): Promise<ReadingRate> {
  const images = Math.min(MOST_IMAGES, source.length);
  const bytes = await readAll(source, images);
  const times: number[] = [];
  const start = performance.now();
  while (times.length < 3 || performance.now() - start < 1000 * seconds) {
    const before = performance.now();
    await readAll(source, images);
    times.push((performance.now() - before) / 1000);
  }
  const middle = median(times);
  return {
    images,
    bytesPerSecond: bytes / middle,
    fastest: bytes / Math.min(...times),
    imagesPerSecond: images / middle,
  };
}
