/**
 * TensorBoard event files. A file is a row of records, each with its length and checksums (TFRecord framing); each record
 * is an `Event` message. Field numbers: `event.proto` and `summary.proto` of tensorflow/tensorboard.
 */

import { joinPath } from "../util/files.ts";
import { AppendFile } from "./output_file.ts";
import { encodePng, type Picture } from "./png.ts";
import { ProtoMessage } from "./protobuf.ts";

const EVENT = { wallTime: 1, step: 2, fileVersion: 3, summary: 5, sessionLog: 7 } as const;
const SUMMARY = { value: 1 } as const;
const VALUE = { tag: 1, simpleValue: 2, image: 4 } as const;
const IMAGE = { height: 1, width: 2, colorSpace: 3, encoded: 4 } as const;
const SESSION_LOG = { status: 1 } as const;
const SESSION_START = 1;

const CRC32C_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

/** CRC-32C (Castagnoli) of the bytes, unsigned; RFC 3720, appendix B.4. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ CRC32C_TABLE[(crc ^ bytes[i]) & 0xff];
  return ~crc >>> 0;
}

/** The checksum as TFRecord stores it: rotated right by 15 bits, plus a constant. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** One TFRecord: u64 length, masked CRC of the length, data, masked CRC of the data; all little-endian. */
export function frameRecord(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(16 + data.length);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return record;
}

/** Seconds in the names of the folder's event files: the newest, or 0 where there are none. */
async function newestEventTime(folder: string): Promise<number> {
  let newest = 0;
  try {
    for await (const { name } of Deno.readDir(folder)) {
      newest = Math.max(newest, Number(/^events\.out\.tfevents\.(\d{10})\./.exec(name)?.[1] ?? 0));
    }
  } catch {
    // A folder that cannot be listed is reported when the file is created in it.
  }
  return newest;
}

/**
 * Writes one event file. Events are gathered in memory until `flush`; the file is valid up to the last flush whenever the
 * process ends. A failed write fails every later `flush` and `close`.
 */
export class EventWriter implements AsyncDisposable {
  #pending: Uint8Array[] = [];

  private constructor(private readonly file: AppendFile) {}

  /** Path of the event file. */
  get path(): string {
    return this.file.path;
  }

  /**
   * Starts a new event file, `events.out.tfevents.<seconds>.mae`, in an existing folder. TensorBoard reads the files of a
   * folder in the order of their names, so the seconds are the clock's or later than those of any file there.
   *
   * @param folder the run's folder
   * @param options with `resumeAtStep`, TensorBoard drops all points after that step that older files hold
   * @throws {RunError} where the file cannot be created
   */
  static async open(folder: string, options: { readonly resumeAtStep?: number } = {}): Promise<EventWriter> {
    let seconds = Math.max(Math.floor(Date.now() / 1000), await newestEventTime(folder) + 1);
    let file: AppendFile | undefined;
    while (file === undefined) {
      const path = joinPath(folder, `events.out.tfevents.${String(seconds).padStart(10, "0")}.mae`);
      try {
        file = await AppendFile.open(path, { isNew: true });
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
        seconds++; // another process was faster
      }
    }
    const writer = new EventWriter(file);
    writer.#add(0, (event) => event.bytes(EVENT.fileVersion, "brain.Event:2"));
    if (options.resumeAtStep !== undefined) {
      const start = new ProtoMessage().integer(SESSION_LOG.status, SESSION_START);
      writer.#add(options.resumeAtStep + 1, (event) => event.bytes(EVENT.sessionLog, start));
    }
    return writer;
  }

  #add(step: number, fill: (event: ProtoMessage) => void): void {
    const event = new ProtoMessage().double(EVENT.wallTime, Date.now() / 1000).integer(EVENT.step, step);
    fill(event);
    this.#pending.push(frameRecord(event.encode()));
  }

  /**
   * Adds values of one step under their tags; a `null` is left out. Values are stored as float32.
   * Throws `RangeError` where the step is no non-negative integer.
   */
  scalars(step: number, values: Readonly<Record<string, number | null>>): void {
    const summary = new ProtoMessage();
    for (const [tag, value] of Object.entries(values)) {
      if (value === null) continue;
      summary.bytes(SUMMARY.value, new ProtoMessage().bytes(VALUE.tag, tag).float(VALUE.simpleValue, value));
    }
    this.#add(step, (event) => event.bytes(EVENT.summary, summary));
  }

  /** Adds a picture, stored as PNG. Throws `RangeError` where the step or the picture's size is wrong. */
  image(step: number, tag: string, picture: Picture): void {
    const image = new ProtoMessage()
      .integer(IMAGE.height, picture.height)
      .integer(IMAGE.width, picture.width)
      .integer(IMAGE.colorSpace, picture.channels)
      .bytes(IMAGE.encoded, encodePng(picture));
    const value = new ProtoMessage().bytes(VALUE.tag, tag).bytes(VALUE.image, image);
    this.#add(step, (event) => event.bytes(EVENT.summary, new ProtoMessage().bytes(SUMMARY.value, value)));
  }

  /** Writes what was added since the last flush. Throws `RunError` where the disk refuses. */
  async flush(): Promise<void> {
    const records = this.#pending;
    this.#pending = [];
    await Promise.all(records.map((record) => this.file.write(record)));
  }

  /** Flushes and closes the file. Throws `RunError` where the disk refuses. */
  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.file.close();
    }
  }

  /** Flushes and closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
