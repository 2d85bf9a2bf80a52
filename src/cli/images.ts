/** Images given as arguments. */
import type { ImageSource } from "../data/source.ts";
import { InputError } from "../util/errors.ts";
import { pathExists } from "../util/files.ts";

/** Files and folders as one list. Throws `InputError` for what is not there or holds no image. */
export async function listAll(paths: readonly string[]): Promise<ImageSource> {
  const { listImages, pathOfSample } = await import("../data/source.ts");
  const all: string[] = [];
  for (const path of paths) {
    if (!await pathExists(path)) throw new InputError(`There is no image or folder "${path}"`);
    const source = await listImages(path);
    all.push(...Array.from(source.paths, (_, i) => pathOfSample(source, i)));
  }
  return { root: "", paths: all, others: 0 };
}
