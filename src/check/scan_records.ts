/** What a scan has found out: a record for each sample, in chunks, and the reasons of those that are broken. */
import { HASH_AT, type ProbeRecord, readRecord, RECORD_BYTES } from "../data/probe.ts";

/** Samples that are scanned, kept and written together. */
export const CHUNK = 128;

/** The records of consecutive samples. */
export interface ChunkRecords {
  /** A record for each sample. */
  readonly records: Uint8Array;
  /** Why samples are broken, by their numbers in the source. */
  readonly reasons: readonly (readonly [sample: number, reason: string])[];
}

/** Records of a source: 40 bytes for each sample that has been scanned. */
export class ScanRecords {
  readonly #chunks: (DataView | undefined)[];
  readonly #reasons = new Map<number, string>();
  /** Equal reasons are one text. */
  readonly #texts = new Map<string, string>();

  /** None of `length` samples has been scanned. */
  constructor(readonly length: number) {
    this.#chunks = new Array(Math.ceil(length / CHUNK));
  }

  /** Chunks in all. */
  get chunks(): number {
    return this.#chunks.length;
  }

  /** Samples of a chunk: all have the same number but the last one. */
  sizeOf(chunk: number): number {
    return Math.min(CHUNK, this.length - chunk * CHUNK);
  }

  /** Whether a chunk has been scanned. */
  has(chunk: number): boolean {
    return this.#chunks[chunk] !== undefined;
  }

  /** Puts in a chunk, in place of what was known of it. */
  put(chunk: number, { records, reasons }: ChunkRecords): void {
    this.drop(chunk);
    const own = records.slice();
    this.#chunks[chunk] = new DataView(own.buffer, own.byteOffset, own.byteLength);
    for (const [sample, reason] of reasons) {
      const text = this.#texts.get(reason) ?? reason;
      this.#texts.set(text, text);
      this.#reasons.set(sample, text);
    }
  }

  /** Forgets a chunk. */
  drop(chunk: number): void {
    if (!this.has(chunk)) return;
    this.#chunks[chunk] = undefined;
    const first = chunk * CHUNK;
    for (let sample = first; sample < first + CHUNK; sample++) this.#reasons.delete(sample);
  }

  /** What is known of a sample. Throws `RangeError` where it has not been scanned. */
  at(sample: number): ProbeRecord {
    return readRecord(this.#viewOf(sample), sample % CHUNK * RECORD_BYTES);
  }

  /** Whether two samples have the same bytes. */
  areEqual(a: number, b: number): boolean {
    for (let word = 0; word < 4; word++) if (this.hashWord(a, word) !== this.hashWord(b, word)) return false;
    return true;
  }

  /** One of the four words of a file's hash. */
  hashWord(sample: number, word: number): number {
    return this.#viewOf(sample).getUint32(sample % CHUNK * RECORD_BYTES + HASH_AT + 4 * word, true);
  }

  /** Why a sample is broken; undefined where it is not. */
  reasonOf(sample: number): string | undefined {
    return this.#reasons.get(sample);
  }

  /** Broken samples found so far. */
  get broken(): number {
    return this.#reasons.size;
  }

  #viewOf(sample: number): DataView {
    const view = this.#chunks[Math.floor(sample / CHUNK)];
    if (view === undefined) throw new RangeError(`Sample ${sample} has not been scanned`);
    return view;
  }
}
