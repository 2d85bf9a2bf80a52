/**
 * The container of PyTorch 1.6 and later: a zip archive with one folder, in it `data.pkl`, and one stored entry
 * `data/KEY` for each storage. Format: `torch/serialization.py`, `_save`.
 */

import type { ByteSource } from "./byte_source.ts";
import { unpickle } from "./pickle.ts";
import { decodeText, PickleCutShort } from "./pickle_machine.ts";
import { quoted, type TorchErrors } from "./torch_errors.ts";
import { TorchHost } from "./torch_host.ts";
import type { TorchValue } from "./torch_value.ts";
import { readZipEntries, type ZipEntry } from "./zip_archive.ts";

/** What a container holds. */
export interface TorchContents {
  /** The value that was saved. */
  readonly value: TorchValue;
  /** First byte of each storage in the file, by its name. */
  readonly storageOffsets: ReadonlyMap<string, number>;
  /** Whether the most significant byte of each element comes first. */
  readonly bigEndian: boolean;
}

/** Longest pickle that is read; it is held in memory, and the tensors' elements are not in it. */
export const MAX_PICKLE_BYTES = 256 * 2 ** 20;

const ROOT = /^([^/]+\/)data\.pkl$/;

/** The folder that holds everything. */
function findRoot(entries: ReadonlyMap<string, ZipEntry>, errors: TorchErrors): string {
  const roots = [...entries.keys()].flatMap((name) => ROOT.exec(name)?.[1] ?? []);
  if (roots.length === 1) return roots[0];
  throw errors.malformed(
    roots.length > 1
      ? `its zip archive holds ${quoted(`${roots[0]}data.pkl`)} and ${quoted(`${roots[1]}data.pkl`)}`
      : "its zip archive holds no data.pkl, so torch.save did not write it",
  );
}

/** The byte order, from the entry that newer versions write. */
async function readByteOrder(
  source: ByteSource,
  entry: ZipEntry | undefined,
  errors: TorchErrors,
): Promise<boolean> {
  if (entry === undefined) return false;
  const text = entry.size > 6 ? null : decodeText(await source.read(entry.offset, entry.size));
  if (text !== "little" && text !== "big") throw errors.malformed("its byteorder is neither little nor big");
  return text === "big";
}

/**
 * Reads the pickle of a zip container.
 *
 * @throws {InputError} with one sentence where the file is not what `torch.save` writes
 */
export async function readTorchZip(source: ByteSource, errors: TorchErrors): Promise<TorchContents> {
  const entries = await readZipEntries(source, errors);
  const root = findRoot(entries, errors);
  if (entries.has(`${root}constants.pkl`)) {
    throw errors.unsupported("it is a TorchScript program; save its state_dict() by torch.save");
  }
  const bigEndian = await readByteOrder(source, entries.get(`${root}byteorder`), errors);
  const { offset, size } = entries.get(`${root}data.pkl`) ?? { offset: 0, size: 0 };
  if (size > MAX_PICKLE_BYTES) {
    throw errors.malformed(`its pickle takes ${size} bytes, more than ${MAX_PICKLE_BYTES}`);
  }
  const host = new TorchHost(errors);
  const value = readWhole(await source.read(offset, size), host);
  const storageOffsets = new Map<string, number>();
  for (const [key, { byteLength }] of host.storages) {
    const entry = entries.get(`${root}data/${key}`);
    if (entry === undefined) throw errors.malformed(`it lacks its storage ${quoted(key)}`);
    if (entry.size !== byteLength) {
      throw errors.malformed(
        `its storage ${quoted(key)} has ${entry.size} bytes, and should have ${byteLength}`,
      );
    }
    storageOffsets.set(key, entry.offset);
  }
  return { value, storageOffsets, bigEndian };
}

/** The value of a pickle that takes all of the bytes. */
function readWhole(bytes: Uint8Array, host: TorchHost): TorchValue {
  try {
    const { value, end } = unpickle(bytes, 0, host);
    if (end === bytes.length) return value;
  } catch (error) {
    if (!(error instanceof PickleCutShort)) throw error;
    throw host.errors.malformed(`its data.pkl ends inside the pickle, after ${bytes.length} bytes`);
  }
  throw host.errors.malformed("its data.pkl goes on after the pickle");
}
