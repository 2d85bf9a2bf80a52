/**
 * TIFF files: the first image of a classic or big TIFF, in strips or tiles, of any number of bands at their depth. Ours because
 * geotiff gives zeros for what is missing in a cut file, and unpacks and allocates whatever a hostile one declares.
 */
import { BrokenImageError, checkDeclaredSize, type Samples, type StoredImage } from "./image.ts";
import { checkCompression, unpackBlock } from "./tiff_codecs.ts";
import { readTiffLayout, type TiffLayout } from "./tiff_directory.ts";
import { checkSamples, largestValue, makeSamples, readSamples, sampleBytes } from "./tiff_samples.ts";

const WHITE_IS_ZERO = 0, BLACK_IS_ZERO = 1, RGB = 2, PALETTE = 3, CMYK = 5, YCBCR = 6;
const ASSOCIATED_ALPHA = 1, ALPHA = 2;
const JPEG = 7;

/** Most bytes of an image for each pixel that the limit allows: a picture of that many may have four 16-bit channels. */
const BYTES_PER_PIXEL = 8;

/** Bytes by which tiles may reach beyond a small image. */
const TILE_SLACK = 2 ** 26;

/** How the image is cut. */
interface Grid {
  readonly across: number;
  readonly down: number;
  /** Bands stored apart, and values of a pixel in each. */
  readonly planes: number;
  readonly samples: number;
}

function gridOf({ height, width, samples, planar, blockHeight, blockWidth }: TiffLayout): Grid {
  const apart = planar && samples > 1;
  return {
    across: Math.ceil(width / blockWidth),
    down: Math.ceil(height / blockHeight),
    planes: apart ? samples : 1,
    samples: apart ? 1 : samples,
  };
}

/** Refuses, before anything is unpacked, what is too large or does not add up. */
function check(layout: TiffLayout, maxPixels: number): void {
  const { height, width, samples, blockHeight, blockWidth, offsets, byteCounts, bits } = layout;
  checkDeclaredSize(height, width, maxPixels);
  checkCompression(layout);
  checkSamples(layout);
  if (samples < 1 || blockHeight < 1 || blockWidth < 1) {
    throw new BrokenImageError("damaged TIFF: it declares empty blocks");
  }
  const bytes = height * width * samples * sampleBytes(layout);
  const most = maxPixels * BYTES_PER_PIXEL;
  if (bytes > most) {
    throw new BrokenImageError(
      `declares ${width}x${height} pixels of ${samples} bands, ${bytes} bytes, more than the limit of ${most}`,
    );
  }
  const { across, down, planes } = gridOf(layout);
  const stored = across * blockWidth * down * blockHeight * samples * Math.ceil(bits / 8);
  if (stored > 2 * most + TILE_SLACK) {
    throw new BrokenImageError("the TIFF's tiles are far larger than its image");
  }
  const blocks = across * down * planes;
  if (offsets.length < blocks || byteCounts.length < blocks) {
    throw new BrokenImageError(
      `damaged TIFF: it has ${Math.min(offsets.length, byteCounts.length)} of ${blocks} blocks`,
    );
  }
}

/** Unpacks every block into the image. */
async function readPixels(bytes: Uint8Array, layout: TiffLayout): Promise<Samples> {
  const { height, width, bits, blockHeight, blockWidth, tiled, offsets, byteCounts } = layout;
  const { across, down, planes, samples } = gridOf(layout);
  const out = makeSamples(layout, height * width * layout.samples);
  for (let block = 0; block < across * down * planes; block++) {
    const plane = Math.floor(block / (across * down)), place = block % (across * down);
    const top = Math.floor(place / across) * blockHeight, left = (place % across) * blockWidth;
    const rows = tiled ? blockHeight : Math.min(blockHeight, height - top);
    const end = offsets[block] + byteCounts[block];
    if (end > bytes.length) {
      throw new BrokenImageError(`truncated: the TIFF points to byte ${end}, the file has ${bytes.length}`);
    }
    const packed = { bytes: bytes.subarray(offsets[block], end), width: blockWidth, height: rows, samples };
    const raw = await unpackBlock(layout, packed, rows * Math.ceil(blockWidth * samples * bits / 8));
    const values = readSamples(layout, raw, blockWidth, samples);
    const box = {
      top,
      left,
      height: Math.min(rows, height - top),
      width: Math.min(blockWidth, width - left),
    };
    for (let y = 0; y < box.height; y++) {
      const row = values.subarray(y * blockWidth * samples, (y * blockWidth + box.width) * samples);
      const to = ((top + y) * width + left) * layout.samples + plane;
      if (planes === 1) out.set(row, to);
      else for (let x = 0; x < row.length; x++) out[to + x * planes] = row[x];
    }
  }
  return out;
}

/** How many of the first channels are gray, gray and alpha, RGB, or RGB and alpha; 0 for bands of other kinds. */
function colorsOf({ photometric, samples, extraSamples }: TiffLayout): number {
  const gray = photometric === WHITE_IS_ZERO || photometric === BLACK_IS_ZERO;
  const colors = gray ? 1 : 3;
  if (samples === colors + 1 && isAlpha(extraSamples[0])) return samples;
  return gray && samples > 1 ? 0 : Math.min(samples, colors);
}

function isAlpha(extra: number | undefined): boolean {
  return extra === ASSOCIATED_ALPHA || extra === ALPHA;
}

/** Palette entries, of 16 bits in the file, by their high bytes, as in Pillow. */
function fromPalette(indices: Samples, { colorMap, bits }: TiffLayout): Uint8Array {
  const colors = 1 << bits;
  if (colorMap.length < 3 * colors) throw new BrokenImageError("damaged TIFF: its palette is too short");
  const out = new Uint8Array(indices.length * 3);
  for (let i = 0, to = 0; i < indices.length; i++) {
    for (let c = 0; c < 3; c++) out[to++] = colorMap[c * colors + indices[i]] >> 8;
  }
  return out;
}

/** Ink to light: what black leaves, less the ink's share of it, in Pillow's arithmetic. */
function fromInk(inks: Samples): Uint8Array {
  const out = new Uint8Array(inks.length / 4 * 3);
  for (let from = 0, to = 0; from < inks.length; from += 4) {
    const light = 255 - inks[from + 3];
    for (let c = 0; c < 3; c++) {
      const product = inks[from + c] * light + 128;
      out[to++] = light - (((product >> 8) + product) >> 8);
    }
  }
  return out;
}

/** Takes back that colours were multiplied by alpha, as Pillow does. */
function unmultiply(pixels: Samples): void {
  for (let at = 0; at < pixels.length; at += 4) {
    const alpha = pixels[at + 3];
    if (alpha === 0 || alpha === 255) continue;
    for (let c = at; c < at + 3; c++) pixels[c] = Math.min(255, Math.floor(255 * pixels[c] / alpha));
  }
}

/**
 * Decodes the first image of a TIFF: gray, RGB (palettes and four inks too), either with alpha, or bands, as integers of 8 or 16
 * bits or as floats. What is RGB, gray or CMYK of 8 bits is bit-equal to Pillow. Throws {@linkcode BrokenImageError}.
 */
export async function decodeTiff(bytes: Uint8Array, maxPixels: number): Promise<StoredImage<Samples>> {
  const layout = readTiffLayout(bytes);
  check(layout, maxPixels);
  const { height, width, samples, photometric, orientation, bits, extraSamples } = layout;
  const eightBits = sampleBytes(layout) === 1;
  if (
    photometric > PALETTE && photometric !== CMYK && !(photometric === YCBCR && layout.compression === JPEG)
  ) {
    throw new BrokenImageError(
      `the TIFF's colours are of kind ${photometric}; gray, RGB, palettes and CMYK can be read`,
    );
  }
  const data = await readPixels(bytes, layout);
  const one = largestValue(layout);
  const size = { height, width, orientation, one };
  if (photometric === PALETTE && samples === 1 && eightBits) {
    return { ...size, data: fromPalette(data, layout), channels: 3 };
  }
  if (photometric === CMYK && samples === 4 && bits === 8) {
    return { ...size, data: fromInk(data), channels: 3 };
  }
  if (photometric === WHITE_IS_ZERO && samples === 1) {
    for (let i = 0; i < data.length; i++) data[i] = one - data[i];
  }
  if (photometric === RGB && samples === 4 && bits === 8 && extraSamples[0] === ASSOCIATED_ALPHA) {
    unmultiply(data);
  }
  const colors = photometric === CMYK || photometric === PALETTE ? 0 : colorsOf(layout);
  return { ...size, data, channels: samples, colors };
}
