/** Many short texts in little memory: their UTF-8 bytes in one buffer. A million strings would cost several times as much. */

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Texts by number. */
export class TextTable {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(1024);
  /** Where each text ends; float64 because the bytes may be more than 2^32. */
  #ends: Float64Array<ArrayBuffer> = new Float64Array(64);
  #length = 0;

  /** A table of these texts. */
  static of(texts: Iterable<string>): TextTable {
    const table = new TextTable();
    for (const text of texts) table.add(text);
    return table;
  }

  /**
   * The table whose texts are these bytes, each up to its end.
   * @param ends ascending; the last is the number of bytes
   * @throws {RangeError} where they are not
   */
  static from(bytes: Uint8Array<ArrayBuffer>, ends: Float64Array<ArrayBuffer>): TextTable {
    let before = 0;
    for (const end of ends) {
      if (!(end >= before && end <= bytes.length)) {
        throw new RangeError("The ends of the texts do not ascend");
      }
      before = end;
    }
    if (before !== bytes.length) throw new RangeError("The texts end before their bytes do");
    const table = new TextTable();
    table.#bytes = bytes;
    table.#ends = ends;
    table.#length = ends.length;
    return table;
  }

  /** Bytes and ends of all texts, in the table's own memory, as {@linkcode TextTable.from} takes them. */
  parts(): { readonly bytes: Uint8Array; readonly ends: Float64Array } {
    return {
      bytes: this.#bytes.subarray(0, this.#startOf(this.#length)),
      ends: this.#ends.subarray(0, this.#length),
    };
  }

  /** Number of texts. */
  get length(): number {
    return this.#length;
  }

  /** Bytes that the table takes. */
  get byteLength(): number {
    return this.#bytes.byteLength + this.#ends.byteLength;
  }

  /** Appends a text. */
  add(text: string): void {
    const start = this.#startOf(this.#length);
    const most = start + 3 * text.length; // a UTF-16 unit takes three bytes at most
    if (most > this.#bytes.length) {
      this.#bytes = new Uint8Array(this.#bytes.buffer.transfer(Math.max(most, 1.5 * this.#bytes.length)));
    }
    if (this.#length === this.#ends.length) {
      this.#ends = new Float64Array(this.#ends.buffer.transfer(Math.max(512, 2 * this.#ends.byteLength)));
    }
    this.#ends[this.#length++] = start + encoder.encodeInto(text, this.#bytes.subarray(start)).written;
  }

  /** The text of a number from 0. */
  at(number: number): string {
    return decoder.decode(this.bytesAt(number));
  }

  /** Its UTF-8 form, in the table's own memory: not to be kept or changed. */
  bytesAt(number: number): Uint8Array {
    return this.#bytes.subarray(this.#startOf(number), this.#ends[number]);
  }

  #startOf(number: number): number {
    return number === 0 ? 0 : this.#ends[number - 1];
  }
}
