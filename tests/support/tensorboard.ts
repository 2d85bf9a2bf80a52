/** Reading TensorBoard event files, written apart from the code that writes them. */
import { assert, assertEquals } from "../deps.ts";

/** A bit-by-bit CRC-32C, apart from the table of the writer. */
function slowMaskedCrc(bytes: Uint8Array): bigint {
  let crc = 0xffffffffn;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ 0x82f63b78n : crc >> 1n;
  }
  crc ^= 0xffffffffn;
  return (((crc >> 15n) | (crc << 17n & 0xffffffffn)) + 0xa282ead8n) & 0xffffffffn;
}

/** The whole records of a file; a cut one at the end is left out, as TensorBoard does. */
export function readRecords(file: Uint8Array): Uint8Array[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const records: Uint8Array[] = [];
  for (let at = 0; at + 12 <= file.length;) {
    const length = Number(view.getBigUint64(at, true));
    assertEquals(BigInt(view.getUint32(at + 8, true)), slowMaskedCrc(file.subarray(at, at + 8)));
    if (at + 16 + length > file.length) break;
    const data = file.subarray(at + 12, at + 12 + length);
    assertEquals(BigInt(view.getUint32(at + 12 + length, true)), slowMaskedCrc(data));
    records.push(data);
    at += 16 + length;
  }
  return records;
}

/** A message's fields by number; numbers as they are, the rest as bytes. */
export function fieldsOf(message: Uint8Array): Map<number, (number | Uint8Array)[]> {
  const fields = new Map<number, (number | Uint8Array)[]>();
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1;; scale *= 128) {
      const byte = message[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    let value: number | Uint8Array;
    if (tag % 8 === 0) value = varint();
    else if (tag % 8 === 1) value = view.getFloat64((at += 8) - 8, true);
    else if (tag % 8 === 5) value = view.getFloat32((at += 4) - 4, true);
    else {
      const length = varint();
      value = message.subarray(at, at += length);
    }
    const number = Math.floor(tag / 8);
    fields.set(number, [...fields.get(number) ?? [], value]);
  }
  return fields;
}

/** The fields of a message inside a message. */
export function part(message: unknown): Map<number, (number | Uint8Array)[]> {
  assert(message instanceof Uint8Array);
  return fieldsOf(message);
}

/** A field as text. */
export function text(value: unknown): string {
  assert(value instanceof Uint8Array);
  return new TextDecoder().decode(value);
}

/** The scalars of an event as [step, tag, value]. */
export function scalarsOf(event: Uint8Array): [unknown, string, unknown][] {
  const fields = fieldsOf(event);
  const values = part(fields.get(5)?.[0]).get(1) ?? [];
  return values.map((value) => [fields.get(2)?.[0], text(part(value).get(1)?.[0]), part(value).get(2)?.[0]]);
}
