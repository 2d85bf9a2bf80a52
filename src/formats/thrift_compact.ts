/**
 * Reading Thrift's compact protocol, which Parquet's headers are written in. Format:
 * https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md. The bytes are a stranger's: numbers have at
 * most ten bytes, nothing is longer than what is left, and nesting is bounded.
 */

/** A value: fields of structures are by their numbers. */
export type ThriftValue = boolean | number | Uint8Array | ThriftList | ThriftStruct;
/** Values one after the other. */
export type ThriftList = readonly ThriftValue[];
/** A structure. */
export type ThriftStruct = ReadonlyMap<number, ThriftValue>;

/** The bytes are not what the protocol says. */
export class ThriftError extends Error {
  /** The class's name, for printing. */
  override name = "ThriftError";
}

const MAX_DEPTH = 32;
const TRUE = 1, FALSE = 2, BYTE = 3, DOUBLE = 7, BINARY = 8, LIST = 9, SET = 10, STRUCT = 12;

class Reader {
  constructor(private readonly bytes: Uint8Array, public at: number) {}

  byte(): number {
    if (this.at >= this.bytes.length) throw new ThriftError("it ends too early");
    return this.bytes[this.at++];
  }

  /** An unsigned number of seven bits per byte; at most ten bytes, and exact up to 2^53. */
  varint(): number {
    let value = 0, factor = 1;
    for (let count = 0; count < 10; count++) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
    throw new ThriftError("a number has more than ten bytes");
  }

  /** A signed number; one beyond 2^53 becomes inexact. */
  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  binary(length: number): Uint8Array {
    if (length > this.bytes.length - this.at) throw new ThriftError("it ends too early");
    return this.bytes.subarray(this.at, this.at += length);
  }

  value(type: number, depth: number): ThriftValue {
    if (type >= BYTE + 1 && type < DOUBLE) return this.zigzag();
    switch (type) {
      case TRUE:
      case FALSE:
        return type === TRUE;
      case BYTE:
        return this.byte() << 24 >> 24;
      case DOUBLE:
        return new DataView(Uint8Array.from(this.binary(8)).buffer).getFloat64(0, true);
      case BINARY:
        return this.binary(this.varint());
      case LIST:
      case SET:
        return this.list(depth + 1);
      case STRUCT:
        return this.struct(depth + 1);
    }
    throw new ThriftError("a value has an unknown type");
  }

  list(depth: number): ThriftValue[] {
    if (depth > MAX_DEPTH) throw new ThriftError("it is nested too deeply");
    const head = this.byte();
    const count = head >> 4 === 15 ? this.varint() : head >> 4;
    const type = head & 15;
    if (count > this.bytes.length - this.at) throw new ThriftError("it ends too early"); // each takes a byte
    const isBoolean = type === TRUE || type === FALSE;
    const values: ThriftValue[] = [];
    for (let i = 0; i < count; i++) values.push(isBoolean ? this.byte() === TRUE : this.value(type, depth));
    return values;
  }

  struct(depth: number): Map<number, ThriftValue> {
    if (depth > MAX_DEPTH) throw new ThriftError("it is nested too deeply");
    const fields = new Map<number, ThriftValue>();
    for (let field = 0, head = this.byte(); head !== 0; head = this.byte()) {
      field = head >> 4 === 0 ? this.zigzag() : field + (head >> 4);
      fields.set(field, this.value(head & 15, depth));
    }
    return fields;
  }
}

/**
 * Reads a structure.
 * @returns its fields, and where it ends
 * @throws {ThriftError} where it is damaged
 */
export function readThrift(
  bytes: Uint8Array,
  at = 0,
): { readonly fields: ThriftStruct; readonly end: number } {
  const reader = new Reader(bytes, at);
  const fields = reader.struct(0);
  return { fields, end: reader.at };
}

/** A field that is a whole number from 0, or undefined where it is missing or anything else. */
export function countIn(fields: ThriftStruct, field: number): number | undefined {
  const value = fields.get(field);
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** A field that is a structure, or an empty one. */
export function structIn(fields: ThriftStruct, field: number): ThriftStruct {
  const value = fields.get(field);
  return value instanceof Map ? value : new Map();
}

/** The structures in a field that is a list. */
export function structsIn(fields: ThriftStruct, field: number): ThriftStruct[] {
  const value = fields.get(field);
  return Array.isArray(value) ? value.filter((entry) => entry instanceof Map) : [];
}

const decoder = new TextDecoder();

/** A field that is text, or undefined. */
export function textIn(fields: ThriftStruct, field: number): string | undefined {
  const value = fields.get(field);
  return value instanceof Uint8Array ? decoder.decode(value) : undefined;
}

/** The texts in a field that is a list. */
export function textsIn(fields: ThriftStruct, field: number): string[] {
  const value = fields.get(field);
  if (!Array.isArray(value)) return [];
  return value.filter((entry) => entry instanceof Uint8Array).map((entry) => decoder.decode(entry));
}
