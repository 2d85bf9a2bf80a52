/**
 * The container before PyTorch 1.6: pickles of a magic number, the protocol's version, facts about the system, the value,
 * the storages' names; then each storage, its number of elements first. Format: `torch/serialization.py`, `_legacy_save`.
 */

import type { ByteSource } from "./byte_source.ts";
import { itemSize } from "./dtypes.ts";
import { unpickle } from "./pickle.ts";
import { PickleCutShort } from "./pickle_machine.ts";
import { quoted, type TorchErrors } from "./torch_errors.ts";
import { TorchHost } from "./torch_host.ts";
import type { TorchValue } from "./torch_value.ts";
import { MAX_PICKLE_BYTES, type TorchContents } from "./torch_zip.ts";

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;
/** Bytes that are read at first for the pickles, whose length nothing says. */
const FIRST_BYTES = 2 ** 20;
/** Bytes of the number before each storage. */
const COUNT_BYTES = 8;

/** What stands before the storages. */
interface Head {
  readonly value: TorchValue;
  readonly keys: readonly string[];
  readonly host: TorchHost;
  /** First byte after it. */
  readonly end: number;
}

function parseHead(bytes: Uint8Array, errors: TorchErrors): Head {
  const host = new TorchHost(errors);
  let end = 0;
  const next = (): TorchValue => {
    const pickle = unpickle(bytes, end, host);
    end = pickle.end;
    return pickle.value;
  };
  if (next() !== MAGIC) throw errors.malformed("it is a pickle, and not one that torch.save wrote");
  const protocol = next();
  if (protocol !== PROTOCOL) {
    throw errors.malformed(`it is not of version ${PROTOCOL}, the only one there was`);
  }
  next(); // byte order and sizes of the writer's types, which the storages do not depend on
  const value = next();
  const listed = next();
  const keys: string[] = [];
  for (const key of Array.isArray(listed) ? listed : [null]) {
    if (typeof key !== "string") throw errors.malformed("its list of storages is none");
    keys.push(key);
  }
  return { value, keys, host, end };
}

/** Reads as much of the file as the pickles take. */
async function readHead(source: ByteSource, errors: TorchErrors): Promise<Head> {
  const limit = Math.min(source.size, MAX_PICKLE_BYTES);
  for (let length = Math.min(FIRST_BYTES, limit);; length = Math.min(4 * length, limit)) {
    try {
      return parseHead(await source.read(0, length), errors);
    } catch (error) {
      if (!(error instanceof PickleCutShort)) throw error;
    }
    if (length < limit) continue;
    throw errors.malformed(
      limit === source.size
        ? "it ends inside its pickles; the file may be cut short"
        : `its pickles take more than ${limit} bytes`,
    );
  }
}

/** Where the storages lie, one after the other. */
async function findStorages(
  source: ByteSource,
  head: Head,
  errors: TorchErrors,
): Promise<Map<string, number>> {
  const offsets = new Map<string, number>();
  let at = head.end;
  for (const key of head.keys) {
    const storage = head.host.storages.get(key);
    if (storage === undefined) {
      throw errors.malformed(`it lists the storage ${quoted(key)}, which no tensor uses`);
    }
    if (offsets.has(key)) throw errors.malformed(`it lists the storage ${quoted(key)} twice`);
    const prefix = await source.read(at, COUNT_BYTES);
    if (prefix.length < COUNT_BYTES) {
      throw errors.malformed("it ends before its storages; it may be cut short");
    }
    const count = new DataView(prefix.buffer).getBigUint64(0, true);
    const { byteLength, dtype } = storage;
    if (count * BigInt(dtype === null ? 1 : itemSize(dtype)) !== BigInt(byteLength)) {
      throw errors.malformed(
        `its storage ${quoted(key)} has ${count} elements, and takes ${byteLength} bytes`,
      );
    }
    offsets.set(key, at + COUNT_BYTES);
    at += COUNT_BYTES + byteLength;
    if (at > source.size) {
      throw errors.malformed(
        `its storage ${quoted(key)} ends at byte ${at} of ${source.size}; it may be cut short`,
      );
    }
  }
  if (at < source.size) throw errors.malformed(`${source.size - at} bytes follow its last storage`);
  for (const key of head.host.storages.keys()) {
    if (!offsets.has(key)) throw errors.malformed(`it lacks its storage ${quoted(key)}`);
  }
  return offsets;
}

/**
 * Reads the pickles of a container of the old kind.
 *
 * @throws {InputError} with one sentence where the file is not what `torch.save` wrote
 */
export async function readTorchLegacy(source: ByteSource, errors: TorchErrors): Promise<TorchContents> {
  const head = await readHead(source, errors);
  // Storages are little-endian whatever the writer's machine was.
  return { value: head.value, storageOffsets: await findStorages(source, head, errors), bigEndian: false };
}
