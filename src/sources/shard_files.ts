/** Finding the files of a data set in shards. */
import { openBytes } from "../formats/byte_source.ts";
import { sortByBytes } from "../util/byte_order.ts";
import { InputError, messageOf } from "../util/errors.ts";
import { didYouMeanPath, directoryOf, isMissing, joinPath } from "../util/files.ts";
import type { ShardFile } from "./shard_tables.ts";

/** Largest small file that is read beside a shard, in bytes. */
export const MAX_BESIDE = 256 * 2 ** 20;

/** The folder that all paths or addresses have in common, with its slash; empty where there is none. */
export function commonFolder(paths: readonly string[]): string {
  let common = paths[0].slice(0, paths[0].lastIndexOf("/") + 1);
  for (const path of paths) {
    while (!path.startsWith(common)) common = common.slice(0, common.lastIndexOf("/", common.length - 2) + 1);
  }
  return common;
}

/** A shard on this machine, one of `among`. Throws `InputError` where there is no such file. */
export async function localShard(path: string, name: string, among = 1): Promise<ShardFile> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(path);
  } catch (error) {
    if (!isMissing(error)) throw new InputError(`cannot read the shard "${path}": ${messageOf(error)}`);
    const hint = among > 1 ? `, one of the ${among} that are named` : await didYouMeanPath(path);
    throw new InputError(`there is no shard "${path}"${hint}`);
  }
  if (!info.isFile) {
    throw new InputError(`the shard "${path}" is ${info.isDirectory ? "a folder" : "no file"}`);
  }
  return {
    name,
    address: path,
    shown: path,
    size: info.size,
    version: [info.mtime?.getTime(), info.dev, info.ino].join(":"), // the same path elsewhere is another file
    isLocal: true,
    open: () => openBytes(path, { blocking: true }),
    beside: (name) => readBeside(joinPath(directoryOf(path), name)),
  };
}

async function readBeside(path: string): Promise<Uint8Array | undefined> {
  try {
    if ((await Deno.stat(path)).size > MAX_BESIDE) return undefined;
    return await Deno.readFile(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new InputError(`cannot read "${path}": ${messageOf(error)}`);
  }
}

/** Shards on this machine, named by their paths within the folder that they have in common. */
export function localShards(paths: readonly string[]): Promise<ShardFile[]> {
  const start = commonFolder(paths).length;
  return Promise.all(paths.map((path) => localShard(path, path.slice(start), paths.length)));
}

/** The files of a folder with one of these endings, in byte order; none where it is no folder. */
export async function shardsInFolder(folder: string, endings: readonly string[]): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const ending = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
    if (!isDirectory && !name.startsWith(".") && endings.includes(ending)) names.push(name);
  }
  return sortByBytes(names).map((name) => joinPath(folder, name));
}
