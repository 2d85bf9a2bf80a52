/** From a sample's location to its bytes. */
import { BrokenImageError } from "../images/image.ts";
import type { SampleLocation } from "./source.ts";

/** Larger samples are refused unread, in bytes. */
export const MAX_FILE_BYTES = 2 ** 30;

/** The bytes of a sample. Throws {@linkcode BrokenImageError} when they are gone, cut short or unreadable. */
export async function readSample(location: SampleLocation): Promise<Uint8Array> {
  if (location.kind === "bytes") return location.bytes;
  try {
    return location.kind === "file" ? await readWhole(location.path) : await readRange(location);
  } catch (error) {
    throw asBroken(error);
  }
}

/**
 * As {@linkcode readSample}, for a thread that has nothing else to do meanwhile: a small file that the system has in
 * memory is there in 0.02 ms, where being called back takes 0.1 ms and more.
 */
export function readSampleSync(location: SampleLocation): Uint8Array {
  if (location.kind === "bytes") return location.bytes;
  try {
    return location.kind === "file" ? readWholeSync(location.path) : readRangeSync(location);
  } catch (error) {
    throw asBroken(error);
  }
}

/** The error to throw for one that reading threw. */
function asBroken(error: unknown): unknown {
  if (error instanceof Deno.errors.NotFound) return new BrokenImageError("the file has vanished");
  if (error instanceof Deno.errors.PermissionDenied) {
    return new BrokenImageError("the system denies reading the file");
  }
  return isReadFailure(error) ? new BrokenImageError(`the file cannot be read: ${error.message}`) : error;
}

function checkSize(bytes: number, what: string): void {
  if (bytes > MAX_FILE_BYTES) {
    throw new BrokenImageError(`the ${what} has ${bytes} bytes, more than any image needs`);
  }
}

async function readWhole(path: string): Promise<Uint8Array> {
  checkSize((await Deno.stat(path)).size, "file");
  return await Deno.readFile(path);
}

function readWholeSync(path: string): Uint8Array {
  checkSize(Deno.statSync(path).size, "file");
  return Deno.readFileSync(path);
}

/** An entry of a larger file. */
type Range = Extract<SampleLocation, { kind: "range" }>;

async function readRange({ path, offset, length }: Range): Promise<Uint8Array> {
  checkSize(length, "entry");
  using file = await Deno.open(path);
  await file.seek(offset, Deno.SeekMode.Start);
  const bytes = new Uint8Array(length);
  for (let have = 0; have < length;) {
    have += checkRead(await file.read(bytes.subarray(have)), path, length - have);
  }
  return bytes;
}

function readRangeSync({ path, offset, length }: Range): Uint8Array {
  checkSize(length, "entry");
  using file = Deno.openSync(path);
  file.seekSync(offset, Deno.SeekMode.Start);
  const bytes = new Uint8Array(length);
  for (let have = 0; have < length;) {
    have += checkRead(file.readSync(bytes.subarray(have)), path, length - have);
  }
  return bytes;
}

function checkRead(read: number | null, path: string, missing: number): number {
  if (read === null) throw new BrokenImageError(`${path} ends ${missing} bytes before the entry does`);
  return read;
}

/** Whether the system failed to read; Deno's own refusal (a missing --allow-read) is another matter. */
function isReadFailure(error: unknown): error is Error {
  return error instanceof Error && !(error instanceof Deno.errors.NotCapable) &&
    !(error instanceof BrokenImageError) && ("code" in error || error.constructor.name in Deno.errors);
}
