/** From a sample's location to its bytes. */
import { BrokenImageError } from "./image.ts";
import type { SampleLocation } from "./source.ts";

/** Larger files are refused unread. */
const MAX_FILE_BYTES = 2 ** 30;

/** The bytes of a sample. Throws {@linkcode BrokenImageError} when they are gone, cut short or unreadable. */
export async function readSample(location: SampleLocation): Promise<Uint8Array> {
  if (location.kind === "bytes") return location.bytes;
  try {
    return location.kind === "file" ? await readWhole(location.path) : await readRange(location);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new BrokenImageError("the file has vanished");
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new BrokenImageError("the system denies reading the file");
    }
    throw isReadFailure(error) ? new BrokenImageError(`the file cannot be read: ${error.message}`) : error;
  }
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

async function readRange(
  { path, offset, length }: Extract<SampleLocation, { kind: "range" }>,
): Promise<Uint8Array> {
  checkSize(length, "entry");
  using file = await Deno.open(path);
  await file.seek(offset, Deno.SeekMode.Start);
  const bytes = new Uint8Array(length);
  for (let have = 0; have < length;) {
    const read = await file.read(bytes.subarray(have));
    if (read === null) {
      throw new BrokenImageError(`${path} ends ${length - have} bytes before the entry does`);
    }
    have += read;
  }
  return bytes;
}

/** Whether the system failed to read; Deno's own refusal (a missing --allow-read) is another matter. */
function isReadFailure(error: unknown): error is Error {
  return error instanceof Error && !(error instanceof Deno.errors.NotCapable) &&
    !(error instanceof BrokenImageError) && ("code" in error || error.constructor.name in Deno.errors);
}
