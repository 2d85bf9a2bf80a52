/** JSON files of strangers: read within bounds, and refused with one sentence. */

import { isMapping } from "../config/layers.ts";
import { InputError, messageOf } from "../util/errors.ts";

/** Longest JSON file that is read, in bytes: the names of 22,000 classes take 2 MB. */
const MAX_JSON_BYTES = 32 * 2 ** 20;

/**
 * Reads a JSON file that must hold an object.
 * @throws {InputError} when it cannot be read, is too long, or holds anything else
 */
export async function readJsonObject(path: string): Promise<Readonly<Record<string, unknown>>> {
  const value = await readJson(path);
  if (isMapping(value)) return value;
  throw new InputError(`"${path}" must hold a JSON object`);
}

async function readJson(path: string): Promise<unknown> {
  try {
    const { size, isFile } = await Deno.stat(path);
    if (!isFile) throw new Error("it is no file");
    if (size > MAX_JSON_BYTES) throw new Error(`it has ${size} bytes, and ${MAX_JSON_BYTES} are the most`);
    return JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    const reason = error instanceof SyntaxError ? "it is no valid JSON" : messageOf(error);
    throw new InputError(`"${path}" cannot be read: ${reason}`);
  }
}
