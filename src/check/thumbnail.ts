/** Small pictures of images of any kind, for reports. */
import { decodeAsStored, decodeImage } from "../images/decode.ts";
import { BrokenImageError, type Image } from "../images/image.ts";
import { resizeBicubic } from "../images/resize.ts";
import { readSample } from "../sources/sample_bytes.ts";
import type { ImageSource } from "../sources/source.ts";

/** The image as RGB; of bands that are no colours the first, from its least value in black to its largest in white. */
async function decodeForViewing(bytes: Uint8Array): Promise<Image> {
  try {
    return await decodeImage(bytes, { channels: 3, exif: "apply" });
  } catch (error) {
    if (!(error instanceof BrokenImageError)) throw error;
  }
  const { data, channels, height, width } = await decodeAsStored(bytes);
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < data.length; i += channels) {
    low = Math.min(low, data[i]);
    high = Math.max(high, data[i]);
  }
  const pixels = new Uint8Array(3 * height * width);
  for (let i = 0, from = 0; i < pixels.length; i += 3, from += channels) {
    pixels.fill(high > low ? Math.round((data[from] - low) / (high - low) * 255) : 0, i, i + 3);
  }
  return { data: pixels, height, width, channels: 3 };
}

/** An RGB picture. */
export interface Thumbnail {
  /** Pixels [height, width, 3]. */
  readonly data: Uint8Array;
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
  /** Always 3. */
  readonly channels: 3;
}

/**
 * A small RGB picture of a sample, upright, with its proportions; images that are small already keep their size.
 * @param side most pixels of a side
 * @returns null where the image cannot be read any more
 */
export async function thumbnailOf(
  source: ImageSource,
  sample: number,
  side: number,
): Promise<Thumbnail | null> {
  try {
    const image = await decodeForViewing(await readSample(await source.locate(sample)));
    const scale = Math.min(1, side / Math.max(image.height, image.width));
    const [height, width] = [image.height, image.width].map((length) =>
      Math.max(1, Math.round(scale * length))
    );
    const data = resizeBicubic(image, { top: 0, left: 0, ...image }, [height, width]);
    return { data, height, width, channels: 3 };
  } catch (error) {
    if (error instanceof BrokenImageError) return null;
    throw error;
  }
}
