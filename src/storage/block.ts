/** A piece of a file in memory, of which what was read can be given up. */

/** Bytes `from` to `to` − 1 of a block. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/** A block, on its way or here. */
export class Block {
  /** Bytes that it takes in memory, now or once it is here. */
  held: number;
  /** Settles when it is here. */
  readonly arrival: Promise<void>;
  /** The bytes of spans that are held; undefined as long as it is on its way. */
  #parts: { readonly span: Span; readonly bytes: Uint8Array }[] | undefined;
  #unread: Span[];

  /** A block of so many bytes. */
  constructor(arrival: Promise<Uint8Array>, readonly length: number) {
    this.held = length;
    this.#unread = [{ from: 0, to: length }];
    this.arrival = arrival.then((bytes) => {
      this.#parts = [{ span: { from: 0, to: length }, bytes }];
    });
  }

  /** Whether it has arrived. */
  get isHere(): boolean {
    return this.#parts !== undefined;
  }

  /** Bytes of it that nobody has read. */
  get unread(): number {
    return this.#unread.reduce((sum, { from, to }) => sum + to - from, 0);
  }

  /** Bytes `from` to `to` − 1, fewer where the file has become shorter; undefined where some of them were given up. */
  async read(from: number, to: number): Promise<Uint8Array | undefined> {
    this.#unread = this.#unread.flatMap((span) =>
      [{ from: span.from, to: Math.min(span.to, from) }, { from: Math.max(span.from, to), to: span.to }]
        .filter((rest) => rest.from < rest.to)
    );
    await this.arrival;
    const part = this.#parts?.find(({ span }) => span.from <= from && to <= span.to);
    return part?.bytes.subarray(from - part.span.from, to - part.span.from);
  }

  /** Gives up what was read. Returns how many bytes of memory that frees. */
  shrink(): number {
    if (this.#parts === undefined) return 0;
    const parts = this.#parts;
    this.#parts = this.#unread.flatMap((span) => {
      const part = parts.find((part) => part.span.from <= span.from && span.to <= part.span.to);
      const start = span.from - (part?.span.from ?? 0);
      return part ? [{ span, bytes: part.bytes.slice(start, start + span.to - span.from) }] : [];
    });
    const before = this.held;
    this.held = this.unread;
    return before - this.held;
  }
}
