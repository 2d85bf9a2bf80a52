/** The lines of a text that may be larger than the memory. */
import { InputError } from "../util/errors.ts";
import type { ByteSource } from "./byte_source.ts";

/** Bytes read at a time. */
const CHUNK = 2 ** 20;

/** Longer lines mean that this is no text of lines. */
const LONGEST_LINE = 2 ** 20;

/**
 * Calls `visit` with every line, without its end (LF or CRLF), and its number from 1. A byte order mark is passed over.
 * @param name what the bytes are called, for refusals
 * @throws {InputError} when the text is not UTF-8, or a line is longer than a million letters
 */
export async function eachLine(
  bytes: ByteSource,
  name: string,
  visit: (line: string, number: number) => void,
): Promise<void> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let [rest, number] = ["", 0];
  const give = (line: string) => visit(line.endsWith("\r") ? line.slice(0, -1) : line, ++number);
  for (let offset = 0; offset < bytes.size; offset += CHUNK) {
    const isLast = offset + CHUNK >= bytes.size;
    const chunk = await bytes.read(offset, CHUNK);
    const text = rest + decoded(decoder, chunk, !isLast, name);
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      give(text.slice(start, end));
      start = end + 1;
    }
    rest = text.slice(start);
    if (rest.length > LONGEST_LINE) {
      throw new InputError(`"${name}" line ${number + 1} is longer than ${LONGEST_LINE} letters`);
    }
  }
  if (rest !== "") give(rest);
}

function decoded(decoder: TextDecoder, chunk: Uint8Array, stream: boolean, name: string): string {
  try {
    return decoder.decode(chunk, { stream });
  } catch {
    throw new InputError(`"${name}" is no text in UTF-8`);
  }
}
