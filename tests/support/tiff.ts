/** TIFF files for tests: little-endian, unpacked, one strip, bands together. */

/** Writes values [height, width, bands] of 8 or 16 bits, or floats. */
export function encodeTiff(
  values: Uint8Array | Uint16Array | Float32Array,
  height: number,
  width: number,
  bands: number,
): Uint8Array {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const format = values instanceof Float32Array ? 3 : 1;
  const tags = [
    [256, width],
    [257, height],
    [258, 8 * values.BYTES_PER_ELEMENT],
    [259, 1],
    [262, 1],
    [273, 8],
    [277, bands],
    [278, height],
    [279, bytes.length],
    [339, format],
  ];
  const file = new Uint8Array(8 + bytes.length + 2 + 12 * tags.length + 4);
  const view = new DataView(file.buffer), directory = 8 + bytes.length;
  file.set([0x49, 0x49, 42, 0]);
  view.setUint32(4, directory, true);
  file.set(bytes, 8);
  view.setUint16(directory, tags.length, true);
  for (const [i, [tag, value]] of tags.entries()) {
    const at = directory + 2 + 12 * i;
    view.setUint16(at, tag, true);
    view.setUint16(at + 2, 4, true);
    view.setUint32(at + 4, 1, true);
    view.setUint32(at + 8, value, true);
  }
  return file;
}
