/** Tar archives for tests. */
import { encodeTarHeader, TAR_BLOCK, tarPadding } from "../../src/formats/tar_header.ts";

/** A file that is to be in an archive; a text stands for its bytes. */
export type TarFile = readonly [name: string, data: string | Uint8Array];

const encoder = new TextEncoder();

/** Byte strings one behind the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** An archive of files. */
export function tarOf(files: readonly TarFile[]): Uint8Array<ArrayBuffer> {
  const parts = files.flatMap(([name, data]) => {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    return [encodeTarHeader(name, bytes.length), bytes, new Uint8Array(tarPadding(bytes.length))];
  });
  return joined([...parts, new Uint8Array(2 * TAR_BLOCK)]);
}

/** Changes a header at `at` and makes its checksum right again. */
export function changeHeader(archive: Uint8Array, at: number, field: number, bytes: readonly number[]): void {
  archive.set(bytes, at + field);
  repairChecksum(archive, at);
}

/** Makes the checksum of the header at `at` right. */
export function repairChecksum(archive: Uint8Array, at: number): void {
  const block = archive.subarray(at, at + TAR_BLOCK);
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.set(encoder.encode(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
}
