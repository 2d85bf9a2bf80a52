/** The images of Parquet row groups: decoded once per group, and held until they are asked for. */
import type { ColumnChunk, ParquetColumn } from "../formats/parquet_footer.ts";
import { decodeByteColumn, ParquetPageError } from "../formats/parquet_pages.ts";
import { BrokenImageError } from "../images/image.ts";
import { OpenFiles, roomForImages, sharedCopy } from "./open_files.ts";

/** Where the images of a row group lie. */
export interface ImageGroup {
  /** Number of the file. */
  readonly file: number;
  /** The number of its first row among all samples. */
  readonly start: number;
  /** Number of rows. */
  readonly rows: number;
  /** The column. */
  readonly column: ParquetColumn;
  /** Its chunk. */
  readonly chunk: ColumnChunk;
}

/** Images of a group, by its rows; views of its pages. */
type Images = readonly (Uint8Array | undefined)[];

/** Longest column of images of a row group. */
const MAX_CHUNK = 2 ** 31 - 1;
/** Bytes of row groups that are read side by side, one at least. */
const AT_ONCE = 512 * 2 ** 20;
/**
 * Decodes a row group when one of its images is asked for, and holds the others, in memory that workers share. An image that
 * was given away is held no longer; where too many are held the oldest are dropped, and their group is decoded again for each
 * of them that is asked for.
 */
export class GroupImages {
  /** How often a row group was decoded. */
  decoded = 0;
  readonly #files: OpenFiles;
  readonly #most: number;
  /** Images by number of the sample, the oldest first. */
  readonly #held = new Map<number, Uint8Array>();
  /** Images that were dropped before they were asked for. */
  readonly #dropped = new Set<number>();
  #bytes = 0;
  /** Groups that are being decoded. */
  readonly #underWay = new Map<ImageGroup, Promise<Images>>();
  /** Why a group cannot be decoded. */
  readonly #broken = new Map<ImageGroup, string>();
  #reading = 0;
  readonly #waiting: (() => void)[] = [];

  /** Of these files; `most` bytes of images are held. */
  constructor(files: OpenFiles, most: number = roomForImages()) {
    this.#files = files;
    this.#most = most;
  }

  /**
   * The file of an image, which is then held no longer.
   * @throws {BrokenImageError} where the row has none, or its group is damaged
   */
  async take(group: ImageGroup, row: number): Promise<Uint8Array> {
    const sample = group.start + row;
    // Whoever comes back for a dropped image takes that one only, or the others would drive out more.
    const isLate = this.#dropped.delete(sample);
    const images = this.#held.has(sample) ? [] : await this.#decode(group, !isLate);
    const held = this.#held.get(sample);
    if (held) {
      this.#drop(sample, held);
      return held;
    }
    this.#dropped.delete(sample); // where it was at once
    const image = images[row];
    if (image) return sharedCopy(image);
    const damage = this.#broken.get(group);
    throw new BrokenImageError(
      damage === undefined ? "its row holds no image" : `its row group cannot be read: ${damage}`,
    );
  }

  /** Decodes a group before one of its images is asked for; says why where it cannot be decoded. */
  async prepare(group: ImageGroup): Promise<string | undefined> {
    await this.#decode(group, true);
    return this.#broken.get(group);
  }

  #drop(sample: number, image: Uint8Array): void {
    this.#held.delete(sample);
    this.#bytes -= image.length;
  }

  #decode(group: ImageGroup, hold: boolean): Promise<Images> {
    if (this.#broken.has(group)) return Promise.resolve([]);
    const underWay = this.#underWay.get(group);
    if (underWay) return underWay;
    const work = this.#read(group, hold).finally(() => this.#underWay.delete(group));
    this.#underWay.set(group, work);
    return work;
  }

  async #read(group: ImageGroup, hold: boolean): Promise<Images> {
    const { file, chunk, column, start, rows } = group;
    try {
      if (chunk.length > MAX_CHUNK) {
        throw new ParquetPageError(
          `it has ${chunk.length} bytes of images, and ${MAX_CHUNK} are the most; write smaller row groups`,
        );
      }
      const bytes = await this.#inTurn(
        chunk.length,
        () => this.#files.read(file, chunk.offset, chunk.length),
      );
      const images = decodeByteColumn(bytes, chunk, column);
      if (images.length !== rows) {
        throw new ParquetPageError(`it has ${images.length} images in ${rows} rows`);
      }
      this.decoded++;
      if (hold) { for (const [i, image] of images.entries()) this.#hold(start + i, image); }
      return images;
    } catch (error) {
      if (!(error instanceof ParquetPageError)) throw error;
      this.#broken.set(group, error.message);
      return [];
    }
  }

  #hold(sample: number, image: Uint8Array | undefined): void {
    if (image === undefined || this.#held.has(sample)) return;
    this.#held.set(sample, sharedCopy(image));
    this.#bytes += image.length;
    for (const [old, oldImage] of this.#held) {
      if (this.#bytes <= this.#most || old === sample) return;
      this.#drop(old, oldImage);
      this.#dropped.add(old);
    }
  }

  /** Does the action when what is being read at the time leaves room for it. */
  async #inTurn<T>(bytes: number, action: () => Promise<T>): Promise<T> {
    while (this.#reading > 0 && this.#reading + bytes > AT_ONCE) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#reading += bytes;
    try {
      return await action();
    } finally {
      this.#reading -= bytes;
      for (const resume of this.#waiting.splice(0)) resume();
    }
  }
}
