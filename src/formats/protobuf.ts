/** The little of Protocol Buffers that event files and ONNX need. Format: https://protobuf.dev/programming-guides/encoding. */

/** A message under construction; fields are written in the order of the calls. */
export class ProtoMessage {
  readonly #parts: Uint8Array[] = [];

  #tag(field: number, wireType: 0 | 1 | 2 | 5): void {
    this.#varint(field * 8 + wireType);
  }

  #varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`${value} is no non-negative integer`);
    }
    const bytes: number[] = [];
    for (; value >= 128; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
    bytes.push(value);
    this.#parts.push(Uint8Array.from(bytes));
  }

  #fixed(size: 4 | 8, set: (view: DataView) => void): void {
    const view = new DataView(new ArrayBuffer(size));
    set(view);
    this.#parts.push(new Uint8Array(view.buffer));
  }

  /** An `int32`, `int64` or `enum` field. Throws `RangeError` where the value is no integer from 0 to 2^53 - 1. */
  integer(field: number, value: number): this {
    this.#tag(field, 0);
    this.#varint(value);
    return this;
  }

  /** A `double` field. */
  double(field: number, value: number): this {
    this.#tag(field, 1);
    this.#fixed(8, (view) => view.setFloat64(0, value, true));
    return this;
  }

  /** A `float` field. */
  float(field: number, value: number): this {
    this.#tag(field, 5);
    this.#fixed(4, (view) => view.setFloat32(0, value, true));
    return this;
  }

  /** A `bytes`, `string` or message field. */
  bytes(field: number, value: Uint8Array | string | ProtoMessage): this {
    const bytes = value instanceof ProtoMessage
      ? value.encode()
      : typeof value === "string"
      ? new TextEncoder().encode(value)
      : value;
    this.opening(field, bytes.length);
    this.#parts.push(bytes);
    return this;
  }

  /** The beginning of a `bytes` or message field, whose `length` bytes the caller puts after this message's. */
  opening(field: number, length: number): this {
    this.#tag(field, 2);
    this.#varint(length);
    return this;
  }

  /** The bytes of the message so far. */
  encode(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#parts.reduce((size, { length }) => size + length, 0));
    let offset = 0;
    for (const part of this.#parts) {
      bytes.set(part, offset);
      offset += part.length;
    }
    return bytes;
  }
}
