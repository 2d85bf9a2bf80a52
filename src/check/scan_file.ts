/**
 * The file that a scan keeps while it runs, so that it can go on where it stopped: a line that says what is scanned, then a
 * frame for each chunk of samples in the order in which they were done. A frame that is damaged, and all after it, are cut off.
 */
import { crc32 } from "../deps/zlib.ts";
import { AppendFile } from "../formats/output_file.ts";
import { isMissing, writeFileAtomic } from "../util/files.ts";
import { RECORD_BYTES } from "../data/probe.ts";
import { CHUNK, type ChunkRecords, ScanRecords } from "./scan_records.ts";

const KIND = "mae-scan-1";
/** Number of the chunk, its samples, when its scan began (milliseconds since 1970), bytes of the reasons. */
const FRAME_HEADER = 4 + 4 + 8 + 4;
const CHECKSUM_BYTES = 4;
/** More than the reasons of a whole chunk can take. */
const MOST_REASON_BYTES = 2 ** 20;
/** Least time between two flushes to the disk, in milliseconds. */
const SYNC_AFTER = 5000;

/** What a scan file told when it was opened. */
export interface OpenedScan {
  /** The file, to be written on. */
  readonly file: ScanFile;
  /** What is known of the source. */
  readonly records: ScanRecords;
  /** When the scan of each known chunk began, in milliseconds since 1970. */
  readonly times: ReadonlyMap<number, number>;
  /** Whether the file was of another state of the source, or of another program's making, and was begun anew. */
  readonly isReplaced: boolean;
}

/** A scan file that is open for writing. */
export class ScanFile {
  #lastSync = Date.now();

  private constructor(readonly path: string, private readonly file: AppendFile) {}

  /**
   * Opens a scan file, or begins one.
   *
   * @param fingerprint names the state of the source
   * @param samples of the source
   * @throws {RunError} where the file cannot be written
   */
  static async open(path: string, fingerprint: string, samples: number): Promise<OpenedScan> {
    const line = new TextEncoder().encode(
      `${JSON.stringify({ kind: KIND, fingerprint, samples, chunk: CHUNK })}\n`,
    );
    const records = new ScanRecords(samples);
    const times = new Map<number, number>();
    const known = await readScan(path, line, records, times);
    if (known === undefined || known === 0) await writeFileAtomic(path, line);
    else await Deno.truncate(path, known);
    const file = new ScanFile(path, await AppendFile.open(path));
    return { file, records, times, isReplaced: known === 0 };
  }

  /** Appends a chunk. Throws `RunError` where that or an earlier write failed. */
  async add(chunk: number, time: number, { records, reasons }: ChunkRecords): Promise<void> {
    const words = new TextEncoder().encode(JSON.stringify(reasons));
    const frame = new Uint8Array(FRAME_HEADER + records.length + words.length + CHECKSUM_BYTES);
    const view = new DataView(frame.buffer);
    view.setUint32(0, chunk, true);
    view.setUint32(4, records.length / RECORD_BYTES, true);
    view.setFloat64(8, time, true);
    view.setUint32(16, words.length, true);
    frame.set(records, FRAME_HEADER);
    frame.set(words, FRAME_HEADER + records.length);
    const end = frame.length - CHECKSUM_BYTES;
    view.setUint32(end, crc32(frame.subarray(0, end)), true);
    await this.file.write(frame);
    if (Date.now() - this.#lastSync < SYNC_AFTER) return;
    this.#lastSync = Date.now();
    await this.file.sync();
  }

  /** Ends writing; what was written stays for another time. */
  async close(): Promise<void> {
    await this.file.close();
  }

  /** Ends writing and removes the file. */
  async remove(): Promise<void> {
    await this.file.close();
    await Deno.remove(this.path);
  }
}

/**
 * Reads a scan file as far as it is sound.
 * @returns the bytes that are; 0 where it begins otherwise, undefined where there is none
 */
async function readScan(
  path: string,
  line: Uint8Array,
  records: ScanRecords,
  times: Map<number, number>,
): Promise<number | undefined> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  using reader = new Reader(file);
  const begin = await reader.take(line.length);
  if (begin === undefined || !begin.every((byte, i) => byte === line[i])) return 0;
  let sound = line.length;
  while (await readFrame(reader, records, times)) sound = reader.at;
  return sound;
}

/** Takes in the next frame; false where there is none, or it is damaged. */
async function readFrame(
  reader: Reader,
  records: ScanRecords,
  times: Map<number, number>,
): Promise<boolean> {
  const header = await reader.take(FRAME_HEADER);
  if (header === undefined) return false;
  const view = new DataView(header.buffer);
  const chunk = view.getUint32(0, true), count = view.getUint32(4, true), words = view.getUint32(16, true);
  if (chunk >= records.chunks || count !== records.sizeOf(chunk) || words > MOST_REASON_BYTES) return false;
  const body = await reader.take(count * RECORD_BYTES + words + CHECKSUM_BYTES);
  if (body === undefined) return false;
  const end = body.length - CHECKSUM_BYTES;
  const sum = new DataView(body.buffer).getUint32(end, true);
  if (crc32(body.subarray(0, end), crc32(header)) !== sum) return false;
  const reasons: [number, string][] = JSON.parse(
    new TextDecoder().decode(body.subarray(count * RECORD_BYTES, end)),
  );
  records.put(chunk, { records: body.subarray(0, count * RECORD_BYTES), reasons });
  times.set(chunk, view.getFloat64(8, true));
  return true;
}

/** Reads a file from one end to the other. */
class Reader implements Disposable {
  /** Bytes taken so far. */
  at = 0;

  constructor(private readonly file: Deno.FsFile) {}

  /** The next bytes; undefined where there are fewer. */
  async take(length: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const bytes = new Uint8Array(length);
    for (let have = 0; have < length;) {
      const read = await this.file.read(bytes.subarray(have));
      if (read === null) return undefined;
      have += read;
    }
    this.at += length;
    return bytes;
  }

  [Symbol.dispose](): void {
    this.file.close();
  }
}
