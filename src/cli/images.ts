/** Images given as arguments. */
import type { BrokenFile } from "../data/broken_samples.ts";
import type { ImageSource } from "../sources/source.ts";
import { InputError } from "../util/errors.ts";
import { didYouMeanPath, pathExists } from "../util/files.ts";

/**
 * Files and folders as one list.
 *
 * @param onSkipped hears of each path that is not there or holds no image, as long as another does; by default the first of
 * them is refused
 * @throws {InputError} for the first path that is refused, or when all are
 */
export async function listAll(
  paths: readonly string[],
  onSkipped?: (path: BrokenFile) => void,
): Promise<ImageSource> {
  const { fileSource } = await import("../sources/source.ts");
  const all: string[] = [];
  const refused: { path: string; error: InputError }[] = [];
  for (const path of paths) {
    try {
      all.push(...await imagesAt(path));
    } catch (error) {
      if (!(error instanceof InputError) || onSkipped === undefined) throw error;
      refused.push({ path, error });
    }
  }
  if (all.length === 0) throw refused[0].error;
  for (const { path, error } of refused) onSkipped?.({ path, reason: error.message });
  return fileSource("", all);
}

async function imagesAt(path: string): Promise<string[]> {
  const { openSource } = await import("../sources/open_source.ts");
  if (!await pathExists(path)) {
    throw new InputError(`There is no image or folder "${path}"${await didYouMeanPath(path)}`);
  }
  const source = await openSource(path);
  return Array.from({ length: source.length }, (_, i) => source.path(i));
}
