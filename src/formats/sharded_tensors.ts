/**
 * Tensors in several files, with a JSON index that says which is in which: `model.safetensors.index.json` and
 * `pytorch_model.bin.index.json` of Hugging Face.
 */

import { isMapping } from "../config/layers.ts";
import { didYouMean, InputError } from "../util/errors.ts";
import { directoryOf, joinPath } from "../util/files.ts";
import { readJsonObject } from "./json_file.ts";
import type { TensorOutline, TensorSource } from "./tensor_source.ts";

/** Most files of one model. */
const MAX_SHARDS = 1000;

/**
 * Opens every file of an index as one.
 * @param openShard opens one of the files
 * @throws {InputError} when the index is malformed, or a file is missing or does not hold what the index says
 */
export async function openSharded(
  index: string,
  openShard: (path: string) => Promise<TensorSource>,
): Promise<TensorSource> {
  const places = await readIndex(index);
  using opened = new DisposableStack();
  const shards = new Map<string, TensorSource>();
  for (const file of new Set(places.values())) {
    shards.set(file, opened.use(await openShard(joinPath(directoryOf(index), file))));
  }
  const tensors = new Map<string, TensorOutline>();
  for (const [name, file] of places) {
    const outline = shards.get(file)?.tensors.get(name);
    if (!outline) throw new InputError(`"${index}" says that "${file}" holds "${name}", and it does not`);
    tensors.set(name, outline);
  }
  const kept = opened.move();
  return {
    path: index,
    tensors,
    read(name) {
      const shard = shards.get(places.get(name) ?? "");
      if (shard) return shard.read(name);
      const hint = didYouMean(name, [...tensors.keys()]);
      return Promise.reject(new InputError(`"${index}" holds no tensor "${name}"${hint}`));
    },
    [Symbol.dispose]: () => kept.dispose(),
  };
}

/** File names by tensor. Only files beside the index are opened, whatever it says. */
async function readIndex(index: string): Promise<Map<string, string>> {
  const { weight_map: map } = await readJsonObject(index);
  if (!isMapping(map)) throw new InputError(`"${index}" has no "weight_map" of tensors and files`);
  const places = new Map<string, string>();
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== "string" || !/^[\w.-]+$/.test(file) || /^\.+$/.test(file)) {
      throw new InputError(`"${index}" must name files beside it, not ${JSON.stringify(file)?.slice(0, 80)}`);
    }
    places.set(name, file);
  }
  const count = new Set(places.values()).size;
  if (count > MAX_SHARDS) throw new InputError(`"${index}" names ${count} files; ${MAX_SHARDS} are the most`);
  return places;
}
