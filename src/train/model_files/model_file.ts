/** From what a user calls a checkpoint to the file of its tensors. */
import { MODEL_FILES } from "../../formats/open_tensors.ts";
import { InputError, messageOf } from "../../util/errors.ts";
import { didYouMeanPath, isMissing, joinPath, pathExists } from "../../util/files.ts";
import { checkpointPath, listCheckpoints } from "../checkpoint/checkpoint.ts";

/** Name of the file of a checkpoint's tensors. */
export const MODEL = "model.safetensors";

/** Where a model lies. */
export interface ModelFile {
  /** The file of its tensors, or the index of several. */
  readonly file: string;
  /** The checkpoint's folder, where `state.json` or `config.json` may lie beside; null for a file that was named itself. */
  readonly folder: string | null;
}

/**
 * The file of a model: the path itself, that of a checkpoint's folder, or that of a run's best checkpoint (which jobs that
 * evaluate keep) or else of its newest.
 * @throws {InputError} when there is nothing at the path (naming the nearest neighbour), or a folder that is neither
 */
export async function findModelFile(path: string): Promise<ModelFile> {
  let isFolder: boolean;
  try {
    isFolder = (await Deno.stat(path)).isDirectory;
  } catch (error) {
    throw isMissing(error)
      ? new InputError(`There is no checkpoint "${path}"${await didYouMeanPath(path)}`)
      : new InputError(`The checkpoint "${path}" cannot be read: ${messageOf(error)}`);
  }
  if (!isFolder) return { file: path, folder: null };
  for (const name of MODEL_FILES) {
    if (await pathExists(joinPath(path, name))) return { file: joinPath(path, name), folder: path };
  }
  const best = joinPath(path, "checkpoints", "best");
  if (await pathExists(joinPath(best, MODEL))) return inFolder(best);
  const newest = (await listCheckpoints(path)).at(-1);
  if (newest !== undefined) return inFolder(checkpointPath(path, newest));
  throw new InputError(
    `The folder ${path} is neither a checkpoint (with ${MODEL}) nor a run (with checkpoints/step-*)`,
  );
}

function inFolder(folder: string): ModelFile {
  return { file: joinPath(folder, MODEL), folder };
}
