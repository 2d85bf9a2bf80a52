/** The image files under a folder. */
import { sortByBytes } from "../util/byte_order.ts";
import { InputError, messageOf } from "../util/errors.ts";
import { baseName, didYouMeanPath, directoryOf, joinPath } from "../util/files.ts";
import { fileSource, type ImageSource } from "./source.ts";

/** Endings of the files that are taken for images, in any case. */
export const IMAGE_EXTENSIONS: readonly string[] = [
  "jpg",
  "jpeg",
  "png",
  "webp",
  "avif",
  "gif",
  "tif",
  "tiff",
];

/** Whether a name ends as images do. */
export function isImageName(name: string): boolean {
  const dot = name.lastIndexOf(".");
  return dot >= 0 && IMAGE_EXTENSIONS.includes(name.slice(dot + 1).toLowerCase());
}

/** `a.jpg, b.png and c.webp` for a list of words. */
export function inWords(words: readonly string[], last: string): string {
  return words.length < 2
    ? words.join("")
    : `${words.slice(0, -1).join(", ")} ${last} ${words[words.length - 1]}`;
}

/** What a walk has found so far. */
interface Walk {
  readonly root: string;
  readonly paths: string[];
  /** Real paths of the folders already read: a link back to one is a loop. */
  readonly visited: Set<string>;
  /** Links met, relative to the root; looked at when all real folders are done. */
  links: string[];
  others: number;
}

/** Reads a folder and the real folders in it; leaves links for later. */
async function walkFolder(walk: Walk, relative: string, realPath: string): Promise<void> {
  if (walk.visited.has(realPath)) return;
  walk.visited.add(realPath);
  const folders: string[] = [];
  for await (const { name, isDirectory, isSymlink, isFile } of Deno.readDir(joinPath(walk.root, relative))) {
    if (name.startsWith(".")) continue;
    const path = relative === "" ? name : `${relative}/${name}`;
    if (isDirectory) folders.push(name);
    else if (isSymlink) walk.links.push(path);
    else if (isFile) noteFile(walk, path);
  }
  for (const name of folders.sort()) {
    await walkFolder(walk, relative === "" ? name : `${relative}/${name}`, joinPath(realPath, name));
  }
}

function noteFile(walk: Walk, path: string): void {
  if (isImageName(path)) walk.paths.push(path);
  else walk.others++;
}

/** Follows links to files and folders, in byte order; a folder that was read before is not read again. */
async function followLinks(walk: Walk): Promise<void> {
  while (walk.links.length > 0) {
    const links = sortByBytes(walk.links);
    walk.links = [];
    for (const path of links) {
      const full = joinPath(walk.root, path);
      const target = await Deno.stat(full).catch(() => null);
      if (target?.isDirectory) await walkFolder(walk, path, await Deno.realPath(full));
      else if (target?.isFile) noteFile(walk, path);
      else walk.others++;
    }
  }
}

/** The error for a path that cannot be read: missing, with the nearest neighbour's name, or forbidden. */
async function unreadable(path: string, error: unknown): Promise<InputError> {
  if (!(error instanceof Deno.errors.NotFound)) {
    return new InputError(`Cannot read the image folder "${path}": ${messageOf(error)}`);
  }
  const near = await didYouMeanPath(path, ({ isFile }) => !isFile);
  return new InputError(`There is no folder "${path}"${near}`);
}

/**
 * Lists the image files under a folder, however nested, or takes the path of a single image. Hidden files and folders
 * are passed over, links are followed. Throws `InputError` when the path is missing or unreadable, or holds no image.
 */
export async function listImages(root: string): Promise<ImageSource> {
  const endings = inWords(IMAGE_EXTENSIONS.map((extension) => `.${extension}`), "or");
  try {
    if ((await Deno.stat(root)).isFile) {
      if (!isImageName(root)) {
        throw new InputError(`"${root}" is neither a folder nor a file that ends in ${endings}`);
      }
      return fileSource(directoryOf(root), [baseName(root)]);
    }
    const walk: Walk = { root, paths: [], visited: new Set(), links: [], others: 0 };
    await walkFolder(walk, "", await Deno.realPath(root));
    await followLinks(walk);
    if (walk.paths.length > 0) return fileSource(root, sortByBytes(walk.paths), walk.others);
    const seen = walk.others === 0
      ? "it holds no files"
      : `it holds ${walk.others} other file${walk.others === 1 ? "" : "s"}, and none that ends in ${endings}`;
    throw new InputError(`There are no images under "${root}": ${seen}`);
  } catch (error) {
    throw error instanceof InputError ? error : await unreadable(root, error);
  }
}
