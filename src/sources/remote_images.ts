/** Image files behind the network: a single one, or all in a folder of a bucket. */
import { sortByBytes } from "../util/byte_order.ts";
import { parseAddress, shownUrl } from "../storage/address.ts";
import type { Storage } from "../storage/storage.ts";
import { InputError } from "../util/errors.ts";
import { isImageName } from "./image_folder.ts";
import { RemoteFiles } from "./remote_files.ts";
import { fileSource, type ImageSource } from "./source.ts";

/** Files of which some are images, behind an address that they all begin with. */
function sourceAt(address: string, names: readonly string[], others: number, storage: Storage): ImageSource {
  const files = new RemoteFiles(storage);
  const source = fileSource("", names, others);
  const path = (sample: number) => address + source.name(sample);
  return {
    ...source,
    root: shownUrl(address),
    path: (sample) => shownUrl(path(sample)),
    locate: (sample) => files.fetch(path(sample)),
  };
}

/**
 * The images at an address: one image, or, of a bucket, all under a prefix that is taken for a folder. They are in the order of
 * their names' bytes; hidden ones are passed over.
 * @throws {InputError} for a folder behind HTTP, which cannot be listed, and where there are no images
 */
export async function listRemoteImages(text: string, storage: Storage): Promise<ImageSource> {
  const address = parseAddress(text);
  const bare = text.replace(/[?#].*$/s, "");
  if (isImageName(bare)) {
    const slash = bare.lastIndexOf("/") + 1;
    return sourceAt(text.slice(0, slash), [text.slice(slash)], 0, storage);
  }
  if (address.kind !== "s3") {
    throw new InputError(
      `"${address.shown}" is no image, and folders behind HTTP cannot be listed: name a table of images (.csv, .jsonl) or shards`,
    );
  }
  const folder = text.endsWith("/") ? text : `${text}/`;
  const names: string[] = [];
  let others = 0;
  for await (const object of storage.list(folder)) {
    const name = object.address.slice(folder.length);
    if (name === "" || name.split("/").some((part) => part.startsWith("."))) continue;
    if (isImageName(name)) names.push(name);
    else others++;
  }
  if (names.length > 0) return sourceAt(folder, sortByBytes(names), others, storage);
  throw new InputError(`There are no images under "${address.shown}": it holds ${others} other files`);
}
