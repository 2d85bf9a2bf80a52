/** Pictures. */

import { decodeDeepImage, decodeImage } from "../../src/images/decode.ts";
import { BrokenImageError } from "../../src/images/image.ts";
import { crc32 } from "../../src/deps/zlib.ts";
import type { Recipe } from "./mutate.ts";
import { fixtures, type Target } from "./target.ts";

/** Pictures of more pixels than this are refused before they are decoded, so that an input is a matter of milliseconds. */
const MAX_PIXELS = 1_000_000;

/** Makes the checksum of every chunk right that a PNG still has. */
function repairPng(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer);
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    if (at + 12 + length > bytes.length) return;
    view.setUint32(at + 8 + length, crc32(bytes.subarray(at + 4, at + 8 + length)));
    at += 12 + length;
  }
}

function images(
  name: string,
  files: readonly string[],
  words: readonly string[],
  repair?: Recipe["repair"],
): Target {
  return {
    name,
    recipe: async () => ({
      seeds: await fixtures(...files),
      words: words.map((word) => Uint8Array.from(word, (letter) => letter.charCodeAt(0))),
      isText: false,
      repair,
    }),
    read: (bytes) => decodeImage(bytes, { channels: 3, exif: "apply", maxPixels: MAX_PIXELS }),
    mayThrow: (error) => error instanceof BrokenImageError, // what `decodeImage` promises; its callers say the file
  };
}

/** PNG files. */
export const png: Target = images(
  "png",
  [
    "images/gray1_adam7.png",
    "images/palette4_trns.png",
    "images/rgb8.png",
    "images/rgba16.png",
    "images/gray16_trns_adam7.png",
    "images/exif_6.png",
  ],
  ["IHDR", "PLTE", "tRNS", "IDAT", "IEND", "eXIf", "iCCP", "acTL", "\0\0\0\0", "\xff\xff\xff\xff"],
  repairPng,
);

/** JPEG files. */
export const jpeg: Target = images(
  "jpeg",
  [
    "images/rgb.jpg",
    "images/gray.jpg",
    "images/progressive.jpg",
    "images/restart.jpg",
    "images/cmyk.jpg",
    "images/exif_6.jpg",
  ],
  [
    "\xff\xd8",
    "\xff\xd9",
    "\xff\xc0",
    "\xff\xc2",
    "\xff\xc4",
    "\xff\xda",
    "\xff\xdb",
    "\xff\xdd",
    "\xff\xe1",
    "\xff\xff",
    "\xff\0",
    "Exif\0\0",
  ],
);

/** WEBP files. */
export const webp: Target = images(
  "webp",
  [
    "images/lossy.webp",
    "images/lossless.webp",
    "images/alpha.webp",
    "images/lossy_alpha.webp",
    "images/animated.webp",
    "images/exif_8.webp",
  ],
  ["RIFF", "WEBP", "VP8 ", "VP8L", "VP8X", "ALPH", "ANIM", "ANMF", "EXIF", "\xff\xff\xff\xff"],
);

/** GIF files. */
export const gif: Target = images(
  "gif",
  [
    "formats/palette.gif",
    "formats/interlaced.gif",
    "formats/gray.gif",
    "formats/two_colors.gif",
    "formats/offset_transparent.gif",
    "formats/animated.gif",
  ],
  ["GIF87a", "GIF89a", "\x21\xf9\x04", "\x21\xff", "\x2c", "\x3b", "\0", "\xff\xff\xff\xff"],
);

/** AVIF files. */
export const avif: Target = images(
  "avif",
  [
    "formats/rgb.avif",
    "formats/gray.avif",
    "formats/alpha.avif",
    "formats/sequence.avif",
    "formats/exif_7.avif",
  ],
  [
    "ftyp",
    "meta",
    "iloc",
    "iprp",
    "ipco",
    "ispe",
    "av1C",
    "irot",
    "imir",
    "mdat",
    "moov",
    "tkhd",
    "\xff\xff\xff\xff",
  ],
);

/** TIFF files. */
export const tiff: Target = {
  ...images(
    "tiff",
    [
      "formats/rgb_lzw_differences.tif",
      "formats/rgb_packbits.tif",
      "formats/rgb_tiles.tif",
      "formats/rgb_zstd.tif",
      "formats/bands16.tif",
      "formats/thirteen16_planar.tif",
      "formats/float_big_endian.tif",
      "formats/int8.tif",
      "formats/palette.tif",
      "formats/bilevel.tif",
      "formats/cmyk.tif",
      "formats/jpeg.tif",
      "formats/jpeg_tiles_rgb.tif",
    ],
    [
      "II*\0",
      "MM\0*",
      "II+\0",
      "\0\x01\x03\0",
      "\x02\x01\x03\0",
      "\x11\x01\x04\0",
      "\x15\x01\x03\0",
      "\x42\x01\x04\0",
      "\x3d\x01\x03\0",
      "\x53\x01\x03\0",
      "\xff\xff\xff\xff",
      "\0\0\0\0",
      "\x01\0\0\0",
    ],
  ),
  // One band, which every file has.
  read: (bytes) => decodeDeepImage(bytes, { channels: 1, bands: [1], exif: "apply", maxPixels: MAX_PIXELS }),
};
