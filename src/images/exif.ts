/** The orientation tag of EXIF data. */

const ORIENTATION_TAG = 0x0112;
const SHORT = 3;

/**
 * The orientation in a block of EXIF data (a TIFF header and its first directory): 1 to 8, and 1 when there is none or
 * the block is damaged, because a bad tag is no reason to lose a good picture.
 */
export function readOrientation(block: Uint8Array): number {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  try {
    const start = startsWithExifName(view) ? 6 : 0;
    const byteOrder = view.getUint16(start);
    if (byteOrder !== 0x4949 && byteOrder !== 0x4d4d) return 1;
    const little = byteOrder === 0x4949;
    const directory = start + view.getUint32(start + 4, little);
    const entries = view.getUint16(directory, little);
    for (let i = 0; i < entries; i++) {
      const entry = directory + 2 + i * 12;
      if (view.getUint16(entry, little) !== ORIENTATION_TAG) continue;
      const value = view.getUint16(entry + 2, little) === SHORT
        ? view.getUint16(entry + 8, little)
        : view.getUint32(entry + 8, little);
      return value >= 1 && value <= 8 ? value : 1;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // a read past the block's end
  }
  return 1;
}

/** JPEG always, and some WebP writers, put `Exif\0\0` before the TIFF header. */
function startsWithExifName(view: DataView): boolean {
  return view.byteLength >= 6 && view.getUint32(0) === 0x45786966 && view.getUint16(4) === 0;
}
